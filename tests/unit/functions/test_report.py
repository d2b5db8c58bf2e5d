"""The email and the page: the same story, with what to do on lines that can be pasted."""

import json
import re
import shlex
from copy import deepcopy
from html import unescape
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.registry import Status
from pipeline.wording import percent
from report.calls import python_call
from report.costs import costs
from report.explain import explain
from report.facts import Facts
from report.gather import ReportedRun
from report.render import MAX_MAIL, mail, page, text
from report.sections import MANY_CLASSES, MANY_ROWS, Table, sections
from report.verdict import cautions, comparison, subject
from report.words import plain_code, points, shown, table_text

METRICS: dict[str, Any] = {
    "rows": 3,
    "accuracy": 2 / 3,
    "balanced_accuracy": 0.5,
    "macro_f1": 0.4,
    "kappa": 0.1,
    "log_loss": 0.7,
    "brier": 0.3,
    "baseline": {"class": "a", "accuracy": 0.61, "macro_f1": 0.3, "p_value": 0.4},
    "intervals": {"accuracy": [0.208, 0.939]},
    "classes": ["a", "<script>"],
    "confusion_matrix": [[2, 0], [1, 0]],
    "per_class": {
        "a": {
            "precision": 2 / 3,
            "recall": 1.0,
            "f_score": 0.8,
            "support": 2,
            "precision_interval": [0.208, 0.939],
            "recall_interval": [0.342, 1.0],
        },
        "<script>": {
            "precision": 0.0,
            "recall": 0.0,
            "f_score": 0.0,
            "support": 1,
            "precision_interval": None,
            "recall_interval": [0.0, 0.793],
        },
    },
    "by_confidence": [
        {"at_least": 0.5, "rows": 3, "right": 2},
        {"at_least": 0.9, "rows": 1, "right": 1},
        {"at_least": 0.99, "rows": 0, "right": 0},
    ],
    "notes": ['"<script>" was never predicted: its precision is given as 0.'],
}
LIVE = {
    "run": "iris-0",
    "own": {"rows": 40, "accuracy": 0.9, "macro_f1": 0.88},
    "rows": 2,
    "accuracy": 0.5,
    "macro_f1": 0.45,
    "this": {"accuracy": 0.75, "macro_f1": 0.7},
    "better": 1,
    "worse": 0,
}
REFUSAL = {"code": "NoLabel", "message": "No label in <b>a</b>.", "remedy": "Name it."}
PROFILE: dict[str, Any] = {
    "rows": {"read": 10_000, "kept": 9_998, "rejected": 2},
    "rejects": {"not a number": 2},
    "first_lines": {"not a number": [5, 7]},
    "first_rows": {"not a number": [{"line": 5, "text": "x;<i>;3"}, {"line": 7, "text": "y;;3"}]},
    "features": {},
    "settings": {"upload": []},
}


def facts(status: Status, **fields: Any) -> Facts:
    return Facts("iris-1", "iris", status, "s3://inbox/iris.csv", "s3://runs/iris-1/", **fields)


def seen(html: str) -> str:
    """What a reader of HTML sees."""
    body = re.sub(r"<style>.*?</style>|<head>.*?</head>|</?(strong|a)[^>]*>", "", html, flags=re.S)
    return unescape(re.sub(r"<[^>]*>", "\n", body)).replace("\N{NO-BREAK SPACE}", " ")


def test_a_live_model_has_a_link_to_its_page_and_addresses_can_be_followed():
    page_of_it, api = (
        "https://x.example/v1/#/iris",
        "https://x.example/v1/datasets/iris/predictions",
    )
    told = facts(Status.LIVE, metrics=METRICS, predictions_url=api, links={"page": page_of_it})
    for html in (mail(told), page(told)):
        found = re.findall('<a href="([^"]*)" style="color:inherit">([^<]*)</a>', html)
        assert found == [(page_of_it, page_of_it), (api, api), (page_of_it, page_of_it)]
    files = "https://x.example/s3?a=1&b=<2>"
    (link,) = re.findall('<a href="([^"]*)"', page(facts(Status.FAILED, links={"files": files})))
    assert unescape(link) == "https://x.example/s3?a=1&b="


def test_numbers_beside_names_from_right_to_left_stay_where_they_are():
    # A browser would show what follows such a name on its other side: "(2)" before it.
    metrics = json.loads(json.dumps(METRICS).replace('"a"', '"קטן מאוד"'))
    for html in (
        mail(facts(Status.LIVE, metrics=metrics)),
        page(facts(Status.LIVE, metrics=metrics)),
    ):
        assert unescape(html).count('"\u2068קטן מאוד\u2069" (2)') == 1
        assert "קטן" not in html.replace("\u2068קטן מאוד\u2069", "")


def every_form(told: Facts) -> list[str]:
    """The text, and what email and page show."""
    return [text(told), seen(mail(told)), seen(page(told))]


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [
        (Status.LIVE, {"metrics": METRICS}, "iris: live, 66.7 % right"),
        (
            Status.LIVE,
            {"metrics": METRICS | {"live": LIVE}},
            "iris: live, 66.7 % right (+25.0)",
        ),
        (Status.LIVE, {}, "iris: live"),
        (Status.REFUSED, {"problem": REFUSAL}, "iris: refused, no label column"),
        (
            Status.REFUSED,
            {
                "problem": REFUSAL | {"code": "RecallTooLow"},
                "metrics": METRICS,
                "previous_is_live": True,
            },
            "iris: kept the old model, recall too low",
        ),
        (
            Status.REFUSED,
            {
                "problem": REFUSAL | {"code": "WorseThanLive"},
                "metrics": METRICS | {"live": LIVE | {"this": {"accuracy": 0.46}}},
                "previous_is_live": True,
            },
            "iris: kept the old model, the new one is worse (−4.0)",
        ),
        (Status.FAILED, {"problem": REFUSAL | {"code": "Timeout"}}, "iris: failed, timeout"),
        (Status.SUPERSEDED, {"problem": REFUSAL}, "iris: a newer file is live already"),
        (
            Status.HELD,
            {"metrics": METRICS | {"live": LIVE}, "problem": REFUSAL | {"code": "Pinned"}},
            "iris: would be live, 66.7 % right (+25.0)",
        ),
        (
            Status.LIVE,
            {"metrics": METRICS, "restores": "iris-0", "pins": True},
            "iris: rolled back to iris-0, 66.7 % right",
        ),
        (
            Status.REFUSED,
            {
                "metrics": METRICS,
                "problem": REFUSAL | {"code": "NotAsBefore"},
                "previous_is_live": True,
                "restores": "iris-0",
                "pins": True,
            },
            "iris: not rolled back, not as before",
        ),
        (
            Status.FAILED,
            {"problem": REFUSAL | {"code": "EndpointFailed"}, "restores": "iris-0"},
            "iris: not promoted, endpoint failed",
        ),
        (
            Status.LIVE,
            {"metrics": METRICS, "restores": "iris-0", "repairs": True},
            "iris: repaired, its endpoint was gone, 66.7 % right",
        ),
        (
            Status.LIVE,
            {"metrics": METRICS, "restores": "iris-0"},
            "iris: promoted iris-0, 66.7 % right",
        ),
    ],
)
def test_the_subject_is_the_verdict(status, fields, told):
    assert subject(facts(status, **fields)) == told


def test_a_subject_has_one_line_whatever_the_names_are():
    odd = REFUSAL | {"code": "a\r\nBcc: x\u202e"}
    assert subject(facts(Status.REFUSED, problem=odd)).isprintable()
    assert len(subject(Facts("r", "d" * 300, Status.REFUSED, "s3://i/k", "s3://r/"))) <= 200


def test_every_form_carries_the_same_numbers_with_intervals_and_the_baseline_beside_them():
    live = facts(Status.LIVE, metrics=METRICS, training_accuracy=0.55)
    for form in every_form(live):
        for number in ("66.7 % (21–94)", "61.0 %", "0.400", "0.700", "80.0 %", "55.0 %"):
            assert number in form
        assert 'always "a"' in form


def test_what_comes_from_the_file_is_escaped():
    wrong = {
        "of": 1,
        "rows": [
            {
                "row": {"<i>": "<td>"},
                "true": "<u>",
                "predicted": "<s>",
                "shares": {"<s>": 1.0},
                "nearest": [{"row": {"<i>": "<em>"}, "class": "<s>", "distance": 0.1}],
            }
        ],
    }
    told = facts(
        Status.REFUSED,
        metrics=METRICS,
        profile=PROFILE,
        wrong=wrong,
        problem=REFUSAL | {"remedy": "do:\n    drop <b>"},
    )
    for html in (page(told), mail(told)):
        for each in ("<script>", "<i>", "<u>", "<s>", "<b>", "<em>", "<td>&lt;td&gt;<"):
            assert each not in html
        assert "&lt;script&gt;" in html


def test_of_a_wide_row_those_columns_are_shown_that_the_model_looks_most_at():
    row = {f"column {n}": f"cell {n}" for n in range(12)}
    near = {"row": row, "class": "b", "distance": 0.5}
    each = {"row": row, "true": "a", "predicted": "b", "shares": {"b": 1.0}, "nearest": [near]}
    shares = {f"column {n}": n / 100 for n in range(12)}
    told = facts(
        Status.LIVE, metrics=METRICS, wrong={"of": 1, "rows": [each]}, choice={"columns": shares}
    )
    (wrong,) = (each for each in sections(told) if each.title == "Wrong predictions")
    (table,) = (block for block in wrong.blocks if isinstance(block, Table))
    assert table.rows[0][1:-1] == [f"column {n}" for n in range(4, 12)]
    assert table.rows[1][1:-1] == table.rows[2][1:-1] == [f"cell {n}" for n in range(4, 12)]
    assert table.rows[2][-1] == "0.5"


@given(st.text())
def test_what_can_not_be_seen_is_shown_escaped(name):
    assert shown(name).isprintable()
    assert shown(name) == name or not name.isprintable()
    told = facts(Status.REFUSED, problem=REFUSAL | {"message": name.replace("\n", "")})
    assert all(c == "\n" or c.isprintable() for c in text(told))


@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED, Status.SUPERSEDED, Status.HELD])
def test_whatever_came_to_nothing_says_why_and_what_to_do(status):
    for form in every_form(facts(status, problem=REFUSAL)):
        assert "No label in <b>a</b>." in form
        assert "Name it." in form


def test_that_the_previous_model_is_live_is_said_only_where_there_is_one():
    for form in every_form(facts(Status.REFUSED, problem=REFUSAL)):
        assert "live" not in form
    for form in every_form(facts(Status.REFUSED, problem=REFUSAL, previous_is_live=True)):
        assert "The previous model is still live." in form


CANARY = {"percent": 5, "minutes": 10, "requests": 240.0, "errors": 1.0}
TOOK = {"milliseconds": 21.5, "live_milliseconds": 20.0}


@pytest.mark.parametrize(
    ("canary", "told", "decided_alone"),
    [
        (CANARY | TOOK, "240 requests, of which 1 failed. It took 21.5 ms on average", False),
        (
            {**CANARY, "requests": 3.0, "errors": 0, "milliseconds": 0, "live_milliseconds": 0},
            "For 10 minutes it answered 5 % of the requests, to see how it does: 3 requests",
            True,
        ),
        ({"skipped": "async"}, "is asynchronous", False),
    ],
)
def test_how_a_model_did_on_some_of_the_requests_is_said(canary, told, decided_alone):
    said = text(facts(Status.LIVE, metrics=METRICS, canary=canary))
    assert told in said
    assert ("validation alone decided" in said) is decided_alone


def test_a_model_that_was_dropped_is_never_said_to_have_been_judged_by_validation_alone():
    canary = {**CANARY, "requests": 3.0, "errors": 0} | TOOK
    problem = {"code": "CanaryFailed", "message": "It is gone.", "remedy": "Upload it again."}
    said = text(facts(Status.REFUSED, metrics=METRICS, canary=canary, problem=problem))
    assert "3 requests" in said
    assert "validation alone decided" not in said


def test_after_a_rollback_the_pin_is_said_and_how_to_undo_it():
    back = {"metrics": METRICS, "restores": "iris-0"}
    for form in every_form(facts(Status.LIVE, **back, pins=True)):
        assert "The model of iris.csv, trained in iris-0, is live." in form
        assert "knn unpin iris" in form
    for form in every_form(facts(Status.LIVE, **back)):
        assert "unpin" not in form


def test_a_rollback_that_came_to_nothing_names_the_run_that_it_was_to():
    of = {"restores": "iris-0", "pins": True, "previous_is_live": True, "problem": REFUSAL}
    for form in every_form(facts(Status.FAILED, **of)):
        assert "The model of iris.csv, trained in iris-0, was not deployed again" in form
    for form in every_form(facts(Status.REFUSED, metrics=METRICS, **of)):
        assert "The model of iris.csv, trained in iris-0, did not go live." in form
        assert "pinned" not in form


def test_commands_stand_on_lines_of_their_own_so_that_they_can_be_pasted():
    drop = "knn drop 'my rows.csv' --label '<b> & \"c\"'"
    copy = "aws s3 cp 'my rows.csv' s3://inbox/rows.csv --metadata label=%3Cb%3E"
    remedy = f"Say which it is, with either of:\n    {drop}\n    {copy}"
    refused = facts(Status.REFUSED, problem=REFUSAL | {"remedy": remedy})
    lines = text(refused).splitlines()
    assert {f"    {drop}", f"    {copy}"} <= set(lines)
    for html in (mail(refused), page(refused)):
        found = [unescape(line) for line in re.findall("<pre[^>]*>(.*?)</pre>", html)]
        assert found == [drop, copy]
        assert shlex.split(found[0])[-1] == '<b> & "c"'


def test_the_live_model_stands_beside_the_new_one_on_the_rows_that_neither_has_learned():
    header, right, _, common, _ = comparison(METRICS | {"live": LIVE})
    assert header == ["", "this model", "live before", 'always "a"']
    assert right == ["right on 3 held-out rows", "66.7 % (21–94)", "", "61.0 %"]
    assert common == ["right on the 2 rows that neither was trained on", "75.0 %", "50.0 %", ""]
    header, right, *_ = comparison(METRICS | {"live": LIVE | {"rows": 3}})
    assert right[2] == "50.0 %"


@pytest.mark.parametrize(
    ("live", "told"),
    [
        (
            {"run": "r", "own": LIVE["own"], "reason": "FewRows", "rows": 4},
            "not compared with the one that is live, because only 4 held-out rows are new to "
            "both. On its own 40 held-out rows that one was right on 90.0 %.",
        ),
        ({"run": "r", "reason": "NoAnswer"}, "because its endpoint did not answer."),
        (LIVE, "only the new one has 1 right, only the live one 0. So few can be chance."),
    ],
)
def test_how_the_comparison_came_about_is_said(live, told):
    assert told in "\n".join(cautions(facts(Status.LIVE, metrics=METRICS | {"live": live})))


def test_few_rows_are_said_to_tell_little():
    told = "\n".join(cautions(facts(Status.LIVE, metrics=METRICS)))
    assert "Only 3 rows were held out: of other rows the model may be right on 21 to 94 %" in told
    assert 'Too few held-out rows to judge these classes: "a" (2), "<script>" (1).' in told


def test_that_accuracy_misleads_is_said_where_it_does():
    metrics = deepcopy(METRICS) | {"accuracy": 0.97, "rows": 2500}
    metrics["per_class"] = {
        "no": {"recall": 0.999, "support": 2417},
        "yes": {"recall": 15 / 83, "support": 83},
    }
    told = "\n".join(cautions(facts(Status.LIVE, metrics=metrics)))
    assert '97.0 % right, but only 15 of 83 "yes" were found: accuracy misleads' in told
    metrics["per_class"]["yes"]["recall"] = 0.9
    assert "misleads" not in "\n".join(cautions(facts(Status.LIVE, metrics=metrics)))


def test_quality_by_confidence_is_on_the_page():
    told = seen(page(facts(Status.LIVE, metrics=METRICS)))
    assert re.search(r"at least 50 %\s+3 \(100 %\)\s+66.7 %", told)
    assert re.search(r"at least 90 %\s+1 \(33 %\)\s+100 %", told)
    assert "99 %" not in told


def test_rows_set_aside_are_told_with_the_first_of_them_as_they_were_written():
    told = seen(page(facts(Status.LIVE, metrics=METRICS, profile=PROFILE)))
    assert "10,000 rows read, 9,998 kept, 2 set aside" in told
    assert re.search(r"line 5\s+x;<i>;3", told)


def test_a_refusal_shows_the_rows_that_are_its_reason_in_the_email_too():
    told = facts(Status.REFUSED, profile=PROFILE, problem=REFUSAL)
    for form in every_form(told):
        assert re.search(r"line 5\s+x;<i>;3", form)


def test_of_many_columns_the_first_are_shown():
    columns = [{"name": f"c{n}", "role": "number", "reason": "holds numbers"} for n in range(500)]
    told = text(facts(Status.LIVE, profile=PROFILE, schema={"columns": columns}))
    assert f"c{MANY_ROWS - 1} " in told
    assert f"c{MANY_ROWS} " not in told
    assert f"{500 - MANY_ROWS} more in clean/schema.json" in told


def many_classes(count: int, length: int = 0) -> dict[str, Any]:
    classes = [f"class {n:03}".ljust(length, "x") for n in range(count)]
    metrics = deepcopy(METRICS) | {
        "classes": classes,
        "confusion_matrix": [[int(i == j) for j in range(count)] for i in range(count)],
        "per_class": {
            name: {"precision": 1, "recall": 1, "f_score": 1 - n / count, "support": 3}
            for n, name in enumerate(classes)
        },
        "notes": [f"note {n}" for n in range(100)],
    }
    metrics["confusion_matrix"][0][1] = 7
    return metrics


def test_of_many_classes_the_worst_are_shown():
    told = text(facts(Status.LIVE, metrics=many_classes(300)))
    assert f"the {MANY_CLASSES} of 300 with the lowest F-score" in told
    assert "class 299" in told
    assert "class 100" not in told
    assert "class 000 class 001 7" in " ".join(told.split())
    assert "And 80 more such notes." in told
    assert len(told) < 10_000


def test_an_email_is_never_so_long_that_it_is_cut_off():
    columns = [
        {"name": f"{n}".ljust(256, "ß"), "role": "number", "reason": "holds numbers " * 20}
        for n in range(1000)
    ]
    worst = facts(
        Status.LIVE,
        metrics=many_classes(1000, 256),
        profile=PROFILE,
        schema={"columns": columns},
        split={
            "by": "class",
            "rows": {"train": 9, "test": 3},
            "classes": {f"{n}".ljust(256, "ß"): {"train": 9, "test": 3} for n in range(1000)},
            "duplicates": {"held_out_rows_in_training": 0, "is_exact": True},
        },
    )
    assert len(mail(worst).encode()) <= MAX_MAIL


def test_metrics_of_an_earlier_release_are_told_as_far_as_they_go():
    earlier = {"rows", "accuracy", "macro_f1", "classes", "confusion_matrix", "per_class", "notes"}
    metrics = {name: METRICS[name] for name in earlier}
    for form in every_form(facts(Status.LIVE, metrics=metrics)):
        assert "66.7 %" in form
        assert "always" not in form


@pytest.mark.parametrize(
    ("psi", "by_chance", "told"),
    [
        (0.05, 0.01, "no feature has shifted more than chance"),
        (0.2, 0.34, "no feature has shifted more than chance"),
        (0.4, 0.34, "these features have shifted: length (0.40)"),
    ],
)
def test_drift_against_the_live_model_is_told_in_words(psi, by_chance, told):
    chance = {"length": by_chance, "width": by_chance}
    drift = {
        "psi": {"length": psi, "width": 0.0},
        "by_chance": chance,
        "classes": {"a": [0.25, 0.5]},
    }
    metrics = METRICS | {"live": LIVE | {"drift": drift}}
    shown_page = seen(page(facts(Status.LIVE, metrics=metrics, profile=PROFILE)))
    assert told in shown_page
    assert re.search(rf"length\s+{psi:.3f}\s+width\s+0.000", shown_page)
    assert re.search(r"a\s+25.0 %\s+50.0 %", shown_page)


@pytest.mark.parametrize(
    ("status", "cause", "code", "message"),
    [
        ("ABORTED", None, "ExecutionFailed", "The execution a-1 of knn-Deploy ended as ABORTED."),
        ("TIMED_OUT", None, "ExecutionTimedOut", "of knn-Deploy ended as TIMED_OUT."),
        ("FAILED", "no item", "ExecutionFailed", "of knn-Deploy ended as FAILED: no item"),
    ],
)
def test_an_execution_that_was_waited_for_is_named_with_how_it_ended(status, cause, code, message):
    described = {
        "ExecutionArn": "arn:aws:states:us-east-1:000000000000:execution:knn-Deploy:a-1",
        "StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:knn-Deploy",
        "Name": "a-1",
        "Status": status,
        "Input": "{}",
    }
    told = explain("States.TaskFailed", json.dumps(described | ({"Cause": cause} if cause else {})))
    assert told["code"] == code
    assert told["message"].endswith(message)


def test_a_runs_cost_is_that_of_its_seconds():
    stages = {"Preprocess": 2.0, "Split": 3.0, "train, deploy and validate": 200.0}
    found = costs(stages, 120, "ml.m5.xlarge")
    assert found["training"] == pytest.approx(0.23 / 30)
    assert found["functions"] == pytest.approx(5 * 1769 / 1024 * 0.0000166667)
    assert "training" not in costs(stages, 120, "ml.p3.2xlarge")
    assert "training" not in costs({}, None, "ml.m5.large")


@pytest.mark.parametrize(
    ("authorization", "header", "sent_by_python"),
    [
        ("key", "x-api-key: $API_KEY", "my API_KEY"),
        ("iam", "x-amz-security-token: $AWS_SESSION_TOKEN", "/eu-west-1/execute-api/"),
        ("cognito", "Authorization: $ID_TOKEN", "my ID_TOKEN"),
    ],
)
def test_a_snippet_predicts_one_of_the_files_own_rows(
    authorization, header, sent_by_python, monkeypatch
):
    row, url = [5.1, None, "it's"], "https://x/v1/y"
    told = facts(Status.LIVE, predictions_url=url, example=row, api_authorization=authorization)
    lines = text(told).replace("\\\n", "").splitlines()
    curl = shlex.split(next(line for line in lines if "curl" in line))
    assert json.loads(curl[-1]) == {"instances": [row]}
    assert header in curl
    assert any("knn key" in line for line in lines) is (authorization == "key")
    answer = Mock(json=lambda: {"predictions": ["a"]})
    monkeypatch.setattr("requests.post", asked := Mock(return_value=answer))
    for name in ("API_KEY", "ID_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"my {name}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    exec(python_call(url, row, authorization), {})
    sent = asked.call_args
    assert sent.args[0] == url
    assert (sent.kwargs.get("json") or json.loads(sent.args[1])) == {"instances": [row]}
    assert sent_by_python in str(sent.kwargs["headers"])


def test_facts_are_the_same_when_they_are_read_again():
    told = facts(Status.REFUSED, problem=REFUSAL, metrics=METRICS, links={"files": "https://x"})
    assert Facts.from_dict(json.loads(json.dumps(told.as_dict()))) == told


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (1, "100 %"), (0.9561, "95.6 %"), (0.99999, "99.9 %"), (0.0001, "<0.1 %")],
)
def test_only_what_is_whole_is_none_or_all(share, told):
    assert percent(share) == told


def test_a_difference_has_a_sign():
    assert [points(each) for each in (0.021, -0.04, 0.0, -0.0001)] == [
        "+2.1",
        "−4.0",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("code", "told"),
    [("TooFewTestRows", "too few test rows"), ("MacroF1TooLow", "macro F1 too low"),
     ("GzipBomb", "gzip bomb"), ("NotUtf8", "not UTF-8"), ("KeyError", "key error")],
)  # fmt: skip
def test_a_code_is_told_in_words(code, told):
    assert plain_code(code) == told


def test_tables_in_text_are_aligned_whatever_the_script():
    rows = [["北京", "1"], ["a", "22"], ["é", "3"]]
    assert table_text(rows) == ["北京  1", "a     22", "é     3"]


def test_a_failed_training_job_is_explained_by_its_own_reason():
    cause = json.dumps({"TrainingJobStatus": "Failed", "FailureReason": "ClientError: no rows"})
    problem = explain("States.TaskFailed", cause)
    assert problem["message"] == "ClientError: no rows"
    assert "/aws/sagemaker/TrainingJobs" in problem["remedy"]


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("CapacityError: Unable to provision", "another TrainingInstanceType"),
        ("InternalServerError: an internal error", "SageMaker failed, not the file"),
        ("AlgorithmError: broken", "training job's log"),
    ],
)
def test_what_to_do_about_a_failed_training_job_fits_its_reason(reason, remedy):
    problem = explain("TrainingFailed", json.dumps({"FailureReason": reason}))
    assert (problem["code"], problem["message"]) == ("TrainingFailed", reason)
    assert remedy in problem["remedy"]


def test_a_failed_function_is_explained_by_its_exception():
    cause = json.dumps({"errorType": "NoAnswerInTime", "errorMessage": "no answer at s3://x"})
    problem = explain("NoAnswerInTime", cause)
    assert problem["code"] == "NoAnswerInTime"
    assert problem["message"] == "NoAnswerInTime: no answer at s3://x"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("States.Timeout", ""),
        ("SageMaker.ResourceLimitExceededException", "The limit is 0 instances"),
        ("SageMaker.AmazonSageMakerException", "plain text"),
        ("Odd", "[1, 2]"),
        ("Odd", ""),
    ],
)
def test_any_error_gets_a_message_and_a_remedy(error, cause):
    problem = explain(error, cause)
    assert problem["message"]
    assert problem["remedy"]


@pytest.mark.parametrize(
    ("partition", "endpoint", "console"),
    [
        (
            "aws",
            "https://s3.xx-place-1.amazonaws.com",
            "https://xx-place-1.console.aws.amazon.com/",
        ),
        ("aws-cn", "https://s3.amazonaws.com.cn", "https://xx-place-1.console.amazonaws.cn/"),
        ("aws", "http://127.0.0.1:4566", None),
    ],
)
def test_the_console_is_that_of_the_partition_and_an_embedded_aws_has_none(
    partition, endpoint, console
):
    meta = SimpleNamespace(partition=partition, endpoint_url=endpoint, region_name="xx-place-1")
    links = ReportedRun(SimpleNamespace(meta=meta), "runs", "iris-1").console_links("arn:x")
    assert set(links) == ({"files", "execution"} if console else set())
    assert all(url.startswith(console) for url in links.values())
