"""The verdict: what happened, whether the model is good, and whether that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.registry import Status
from pipeline.wording import percent
from report.facts import Facts
from report.words import counted, listed, plain_code, points, shortened, shown

MAX_SUBJECT = 200

FEW_REQUESTS = 20
"""Requests to a model that is tried below which its latency isn't judged, as its state machine has
it."""

FEW_ROWS = 10
"""Held-out rows of a class below which its recall says little: an interval is 50 points wide."""


def subject(facts: Facts) -> str:
    """Return the email's subject, the news first, on one line whatever the names are."""
    return shortened(" ".join(shown(_news(facts)).split()), MAX_SUBJECT)


def _news(facts: Facts) -> str:
    dataset, metrics = facts.dataset, facts.metrics
    if facts.status is Status.LIVE:
        live = "live"
        if facts.repairs:
            live = "repaired, its endpoint was gone"
        elif facts.restores:
            live = (
                f"rolled back to {facts.restores}" if facts.pins else f"promoted {facts.restores}"
            )
        return f"{dataset}: {live}{_right(metrics)}{_gain(metrics)}"
    if facts.status is Status.HELD:
        return f"{dataset}: would be live{_right(metrics)}{_gain(metrics)}"
    if facts.status is Status.SUPERSEDED:
        return f"{dataset}: a newer file is live already"
    why = plain_code(facts.problem["code"]) if facts.problem else ""
    if facts.restores:
        return f"{dataset}: not {'rolled back' if facts.pins else 'promoted'}, {why}".rstrip(", ")
    if facts.status is Status.REFUSED and metrics and facts.previous_is_live:
        return f"{dataset}: kept the old model, {why}{_gain(metrics)}"
    if facts.status is Status.FAILED and why.endswith(" failed"):
        return f"{dataset}: {why}"
    how = "failed" if facts.status is Status.FAILED else "refused"
    return f"{dataset}: {how}, {why}".rstrip(", ")


def _right(metrics: dict[str, Any] | None) -> str:
    """Return on how many rows a model is right, as the subject has it."""
    return f", {percent(metrics['accuracy'])} right" if metrics else ""


def _gain(metrics: dict[str, Any] | None) -> str:
    """Return by how many points a model is better than the live one, if it differs, in brackets."""
    live = _compared(metrics)
    gain = points(live["this"]["accuracy"] - live["accuracy"]) if live else ""
    return f" ({gain})" if gain else ""


def _compared(metrics: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the live model's metrics, if both were asked about the same rows."""
    live: dict[str, Any] | None = (metrics or {}).get("live")
    return live if live and "accuracy" in live else None


def what_happened(facts: Facts) -> list[str]:
    """Return the first lines: what happened, and what to do now."""
    metrics = facts.metrics
    match facts.status:
        case Status.LIVE:
            lines = [f"The model of {_origin(facts)} is live."]
            if metrics:
                lines = [f"The model of {_origin(facts)} is live. {_how_good(metrics)}"]
            if facts.repairs:
                lines.append("Its endpoint was gone, so the model was deployed again as it was.")
            if facts.pins:
                lines.append(
                    f"{facts.dataset} is pinned: models of new files are trained and reported, but "
                    f"don't go live until you unpin it: knn unpin {facts.dataset}"
                )
        case Status.HELD:
            lines = [f"The model of {_origin(facts)} passed all gates and was held."]
            if metrics:
                lines = [f"{lines[0]} {_how_good(metrics, 'the one that is live')}"]
        case Status.SUPERSEDED:
            lines = [f"The model of {facts.file} did not go live: a newer file's model is live."]
        case Status.FAILED:
            lines = [f"No model came of {facts.file}: the run failed."]
            if facts.restores:
                lines = [f"The model of {_origin(facts)} was not deployed again: the run failed."]
        case _:
            lines = [f"{facts.file} was refused."]
            if metrics:
                lines = [f"The model of {_origin(facts)} did not go live. {_how_good(metrics)}"]
    lines += tried(facts)
    if facts.previous_is_live:
        lines.append("The previous model is still live.")
    return lines


def tried(facts: Facts) -> Iterator[str]:
    """Yield how a model did on some of the requests, if it was to be tried on any."""
    canary = facts.canary
    if canary is None:
        return
    if "skipped" in canary:
        yield (
            "It was not tried on some of the requests first: the endpoint of one of the two models "
            "is asynchronous, and doesn't answer at once."
        )
        return
    requests, minutes = canary["requests"], counted(round(canary["minutes"]), "minute")
    yield (
        f"For {minutes} it answered {canary['percent']:g} % of the requests, to see how it does: "
        f"{counted(round(requests), 'request')}, of which {canary['errors']:g} failed."
        + (
            f" It took {canary['milliseconds']:g} ms on average, the live model "
            f"{canary['live_milliseconds']:g} ms."
            if canary["milliseconds"] and canary["live_milliseconds"]
            else ""
        )
    )
    if facts.status is Status.LIVE and requests < FEW_REQUESTS:
        yield "These are too few to tell anything: the validation alone decided."


def _origin(facts: Facts) -> str:
    """Return what a model was made of: a file, and the run that it was trained in before."""
    return f"{facts.file}, trained in {facts.restores}," if facts.restores else facts.file


def what_to_do(facts: Facts) -> str | None:
    """Return what to do now, None if the remedy of a problem says it."""
    if facts.problem:
        return None
    if not facts.predictions_url:
        return None
    page = facts.links.get("page")
    first = f"Try the model on its page ({page}), POST rows" if page else "POST rows"
    return f"{first} to {facts.predictions_url}, or upload the next file."


def _how_good(metrics: dict[str, Any], live_one: str = "the model that was live before") -> str:
    told = f"It is right on {percent(metrics['accuracy'])} of {counted(metrics['rows'], 'row')}"
    told += " that it had not seen."
    if baseline := metrics.get("baseline"):
        told += f' Always answering "{baseline["class"]}" is right on '
        told += f"{percent(baseline['accuracy'])}."
    if live := _compared(metrics):
        than = "as good as"
        if gain := points(live["this"]["accuracy"] - live["accuracy"]):
            than = f"{gain[1:]} points {'better' if gain[0] == '+' else 'worse'} than"
        told += f" That is {than} {live_one}."
    return told


def comparison(metrics: dict[str, Any]) -> list[list[str]]:
    """Return the model beside the live one and the baseline, a row a metric, with a header."""
    live, baseline = _compared(metrics), metrics.get("baseline")
    header = ["", "this model"]
    right = [f"right on {metrics['rows']:,} held-out rows", _with_interval(metrics)]
    macro = ["macro F1", f"{metrics['macro_f1']:.3f}"]
    common: list[list[str]] = []
    if live:
        header.append("live before")
        if live["rows"] == metrics["rows"]:
            right.append(percent(live["accuracy"]))
            macro.append(f"{live['macro_f1']:.3f}")
        else:
            right.append("")
            macro.append("")
            what = f"on the {live['rows']:,} rows that neither was trained on"
            common = [
                [
                    f"right {what}",
                    percent(live["this"]["accuracy"]),
                    percent(live["accuracy"]),
                ],
                [
                    "macro F1 on these",
                    f"{live['this']['macro_f1']:.3f}",
                    f"{live['macro_f1']:.3f}",
                ],
            ]
    if baseline:
        header.append(f'always "{shortened(shown(baseline["class"]), 24)}"')
        right.append(percent(baseline["accuracy"]))
        macro.append(f"{baseline['macro_f1']:.3f}")
        common = [[*row, ""] for row in common]
    return [header, right, macro, *common]


def _with_interval(metrics: dict[str, Any]) -> str:
    interval = metrics.get("intervals", {}).get("accuracy")
    return f"{percent(metrics['accuracy'])}{interval_text(interval)}"


def interval_text(interval: list[float] | None) -> str:
    """Return a 95 % interval in whole percent, in brackets."""
    if interval is None:
        return ""
    low, high = interval
    return f" ({100 * low:.0f}–{100 * high:.0f})"


def cautions(facts: Facts) -> Iterator[str]:
    """Yield what the numbers can hide, in plain words."""
    metrics = facts.metrics
    if metrics is None:
        return
    of_class = metrics["per_class"]
    supports = {name: of["support"] for name, of in of_class.items()}
    if interval := metrics.get("intervals", {}).get("accuracy"):
        low, high = interval
        if high - low > 0.1:
            yield (
                f"Only {counted(metrics['rows'], 'row was', 'rows were')} held out: of other rows "
                f"the model may be right on {100 * low:.0f} to {100 * high:.0f} % (95 % interval)."
            )
    if few := [n for n, support in supports.items() if 0 < support < FEW_ROWS]:
        named = listed([f'"{name}" ({supports[name]})' for name in few])
        yield f"Too few held-out rows to judge these classes: {named}."
    yield from _unbalanced(metrics, supports)
    live = metrics.get("live")
    if live and "reason" in live:
        yield _why_not_compared(live)
    elif live and (differ := live.get("better", 0) + live.get("worse", 0)):
        yield (
            f"Of the {live['rows']:,} rows that both models were asked about, only the new one has "
            f"{live['better']:,} right, only the live one {live['worse']:,}."
            + (" So few can be chance." if differ < FEW_ROWS else "")
        )


def _unbalanced(metrics: dict[str, Any], supports: dict[str, int]) -> Iterator[str]:
    """Yield the introduction's lesson on accuracy, where it applies."""
    recalls = {n: of["recall"] for n, of in metrics["per_class"].items() if supports[n]}
    worst = min(recalls, key=recalls.__getitem__, default=None)
    mean = sum(recalls.values()) / max(len(recalls), 1)
    if worst is None or recalls[worst] >= 0.5 or metrics["accuracy"] < mean + 0.1:
        return
    found = round(recalls[worst] * supports[worst])
    yield (
        f"{percent(metrics['accuracy'])} right, but {f'only {found:,}' if found else 'none'} of "
        f'{supports[worst]:,} "{worst}" were found: accuracy misleads when classes are unbalanced. '
        "Look at recall."
    )


def _why_not_compared(live: dict[str, Any]) -> str:
    why = {
        "FewRows": f"only {live.get('rows', 0):,} held-out rows are new to both",
        "OtherFeatures": "it uses other features",
        "NoFingerprints": "a release trained it that kept no fingerprints of its training rows",
        "NoAnswer": "its endpoint did not answer",
    }.get(live["reason"], live["reason"])
    told = f"The model was not compared with the one that is live, because {why}."
    if own := live.get("own"):
        told += (
            f" On its own {own['rows']:,} held-out rows that one was right on "
            f"{percent(own['accuracy'])}."
        )
    return told
