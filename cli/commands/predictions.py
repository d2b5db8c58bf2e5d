"""What models are live, and asking them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import click
from click.exceptions import Exit

from cli import score as scoring
from cli.access import Authorize
from cli.command import command, complete_dataset, pass_target
from cli.errors import NOT_DONE, Interrupted, Problem, Unavailable
from cli.follow import all_runs
from cli.instances import file_of, in_batches, instance_of, read_records, to_csv
from cli.output import answer, progress_of, to_json
from cli.redeploy import live_run, pins
from cli.render import Sent, table_lines, when
from cli.settings import this_command
from cli.stack import TAKEN, Stack, ask, get
from cli.target import Target
from pipeline.layout import PROFILE, SCHEMA, RunFolder, stem
from pipeline.objects import read_json, read_json_if_there
from pipeline.schema import FEATURE_ROLES, Schema
from pipeline.wording import percent
from report.words import counted, listed

PREDICT_EXAMPLES = """\b
knn predict iris 5.1 3.5 1.4 0.2
knn predict titanic age=22.5 sex=male alone=yes
knn predict iris rows.csv > predicted.csv
head -3 rows.csv | knn predict iris --format json
knn predict iris --example"""

SCORE_EXAMPLES = """\b
knn score titanic new.csv                     writes "new scored.csv"
knn score titanic new.csv --to results.csv
knn score titanic new.csv --no-wait"""

TRIES = 10
"""How often rows of a file are sent while the endpoint isn't ready."""


@command(
    "predict",
    epilog=PREDICT_EXAMPLES,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("dataset", shell_complete=complete_dataset)
@click.argument("values", nargs=-1)
@click.option("--example", is_flag=True, help="Ask about a held-out row of the model's file.")
@click.option("--neighbors", type=click.IntRange(1), metavar="COUNT",
              help="Show the nearest training rows of each.")  # fmt: skip
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    help="How to answer. By default CSV to a file, and JSON otherwise.",
)
@pass_target
def predict_command(
    target: Target,
    dataset: str,
    values: tuple[str, ...],
    *,
    example: bool,
    neighbors: int | None,
    form: str | None,
) -> None:
    """Predict the class of an instance, or of each row of a file.

    The live model of DATASET is asked. VALUES are the features in the model's order, for example
    22.5 male yes; or NAME=VALUE for each of them, in any order; or a CSV file, whose first line may
    name its columns. Without any, rows come from standard input. Write text as in your files,
    numbers with a decimal point, and NA for a missing value.

    CSV has the columns of the file, then Prediction and Confidence.
    """
    stack = target.stack()
    file = None if example else file_of(values)
    form = form or ("csv" if file and not target.as_json and not neighbors else "json")
    if file is None:
        if example:
            row = example_of(stack, dataset)
            values = tuple("" if value is None else str(value) for value in row)
            click.echo(f"About {', '.join(values)}:", err=True)
        said = predict_one(stack, dataset, values, neighbors or 0, as_json=target.as_json)
        if form == "csv":
            rows = [[*values, *cells(each)] for each in said["predictions"]]
            click.echo(to_csv(rows), nl=False)
        else:
            click.echo(to_json(said, indent=None))
    else:
        predict_file(stack, dataset, file, neighbors or 0, as_csv=form == "csv")


def predict_one(
    stack: Stack, dataset: str, values: Sequence[str], neighbors: int, *, as_json: bool
) -> dict[str, Any]:
    """Return what a model says of one instance.

    Raises
    ------
    Problem
        The API has refused it. Programs get the API's answer, and status 1.
    """
    body = to_json({"instances": [instance_of(values)]}, indent=None)
    status, said = ask(
        stack, stack.access(), dataset, body, "application/json", neighbors=neighbors
    )
    if status == 200:
        return said
    if as_json:
        click.echo(to_json(said, indent=None))
        raise Exit(NOT_DONE)
    see = {400: f" See {this_command()} schema {dataset}", 404: f" See {this_command()} datasets"}
    raise Problem(f"{told(said, 0)}{see.get(status, '')}")


def predict_file(stack: Stack, dataset: str, file: Path, neighbors: int, *, as_csv: bool) -> None:
    """Print what a model says of each row of a file; CSV as it comes, JSON in one document."""
    predictions: list[Any] = []
    run = ""
    for header, rows, said in ask_about(stack, stack.access(), dataset, file, neighbors):
        if run and said["run"] != run:
            click.echo(f"{said['run']} went live meanwhile; it answers from here on.", err=True)
        run = said["run"]
        if as_csv:
            named = [[*header, "Prediction", "Confidence"]] if header else []
            pairs = zip(rows, said["predictions"], strict=True)
            click.echo(to_csv([*named, *([*row, *cells(each)] for row, each in pairs)]), nl=False)
        else:
            predictions += said["predictions"]
    if not as_csv:
        click.echo(to_json({"predictions": predictions, "run": run}, indent=None))


def cells(prediction: dict[str, Any]) -> list[str]:
    """Return what is said of an instance: its label, and how sure the model is."""
    label = prediction["label"]
    sure = prediction.get("probabilities", {}).get(label)
    return [label, "" if sure is None else f"{sure:g}"]


def ask_about(
    stack: Stack, access: Authorize, dataset: str, file: Path, neighbors: int
) -> Iterator[tuple[list[str] | None, list[list[str]], dict[str, Any]]]:
    """Yield rows of a file with what is answered; with the first ones also the header, if any.

    Whether the first record is a header is for the API to say: it then predicts one row less.

    Raises
    ------
    Problem
        Rows can't be predicted: the message says which.
    """
    header: list[str] | None = None
    done = 0
    for place, batch in enumerate(in_batches(read_records(file))):
        body = to_csv([header, *batch] if header else batch)
        status, said = ask(
            stack, access, dataset, body, "text/csv", neighbors=neighbors, tries=TRIES
        )
        if status != 200:
            raise Problem(told(said, done))
        is_header = place == 0 and len(said["predictions"]) == len(batch) - 1
        if is_header:
            header, batch = batch[0], batch[1:]
        yield (header if is_header else None), batch, said
        done += len(batch)
    if not done:
        raise Problem(f"{file} has no rows. Add some, and try again.")


def told(answered: dict[str, Any], done: int) -> str:
    """Return an error's message, with the number of the row in the file."""
    message = answered.get("error", {}).get("message") or str(answered)
    return re.sub(r"\bInstance (\d+)", lambda match: f"Row {int(match[1]) + done + 1:,}", message)


def example_of(stack: Stack, dataset: str) -> list[Any]:
    """Return a held-out row of the live model's file.

    Raises
    ------
    Problem
        The dataset has no live model, or the model no report.
    """
    status, said = get(stack, stack.access(), ("datasets", dataset))
    if status != 200:
        raise Problem(f"{said['error']['message']} See {this_command()} datasets")
    if "example" not in said:
        raise Problem(f"{dataset} has no example yet. See {this_command()} schema {dataset}")
    return list(said["example"])


@command(epilog=SCORE_EXAMPLES)
@click.argument("dataset", shell_complete=complete_dataset)
@click.argument("csv", required=False, type=click.Path(path_type=Path))
@click.option(
    "--to",
    "into",
    type=click.Path(path_type=Path),
    help="Write the result to this file or folder; by default to the present folder.",
)
@click.option("--batch", help="Fetch the result of a file that was handed in before.")
@click.option("--no-wait", is_flag=True, help="Hand the file in, and print its batch.")
@pass_target
def score(
    target: Target,
    dataset: str,
    csv: Path | None,
    into: Path | None,
    batch: str | None,
    *,
    no_wait: bool,
) -> None:
    """Score a file: get each row of CSV back with its prediction.

    CSV needs the features of DATASET's live model, by their names, and no label. It may have any
    length; predict answers sooner for a few rows. The result has Prediction, Confidence and the
    probability of each class.
    """
    if (csv is None) == (batch is None):
        raise click.UsageError("Name a CSV file, or a --batch.")
    name = csv.name if csv else f"{batch}.csv"
    result = into or Path(f"{stem(name)} scored.csv")
    if result.is_dir():
        result /= f"{stem(name)} scored.csv"
    for file in scoring.files_of(result).values():
        if file.exists():
            raise Problem(f"{file} is there already. Choose another name: --to FILE")
    stack = target.stack()
    with progress_of(target).shown() as progress:
        if csv is not None:
            progress.begin("Upload")
            batch = scoring.upload(stack, dataset, csv, Sent(progress, csv))
        batch = str(batch)
        later = scoring.command_to_fetch(dataset, batch)
        if no_wait:
            answer(target, {"dataset": dataset, "batch": batch}, [f"\nFetch the result: {later}"])
            return
        progress.begin("Score")
        steps = scoring.follow(stack, dataset, batch, poll_seconds=target.poll_seconds)
        told: dict[str, Any] = {}
        try:
            for told in steps:
                progress.note(str(told["status"]))
            if "error" in told:
                progress.fail()
            else:
                progress.begin("Download")
                told |= scoring.fetch(told, result)
        except KeyboardInterrupt:
            raise Interrupted(f"The file is scored all the same. Fetch it: {later}") from None
        except Problem as problem:
            # A batch that was named may be none at all.
            if csv is None and not isinstance(problem, Unavailable):
                raise
            raise Problem(f"{problem.message}\nFetch the result later: {later}") from problem
        except OSError as error:
            raise Problem(
                f"We can't write to {result.parent}: {error.strerror}. Fetch the result into "
                f"another folder: {later} --to FOLDER"
            ) from error
    answer(target, told, scored_lines(name, told))
    if "error" in told:
        raise Exit(NOT_DONE)


def scored_lines(name: str, told: dict[str, Any]) -> Iterator[str]:
    """Yield what became of a file that was scored: how often each class, or why not."""
    if error := told.get("error"):
        yield f"\n{name}: {told['status']}, {error['code']}"
        yield f"What to do: {error['remedy']}"
        return
    aside = told["set_aside"]
    yield f"\n{counted(told['scored'], 'row')} scored by {told['run']}, {aside:,} set aside.\n"
    by_class = sorted(told["predicted"].items(), key=lambda each: -each[1])
    yield from table_lines(["class", "rows"], [[label, f"{rows:,}"] for label, rows in by_class])
    yield f"\nResult    {told['result']}"
    if "rejects" in told:
        yield f"Set aside {told['rejects']}"


@command()
@pass_target
def datasets(target: Target) -> None:
    """List the datasets and their live models."""
    stack = target.stack()
    items = all_runs(stack, None)
    if not items and not target.as_json:
        raise Problem(f"There are no datasets yet. Upload a file: {this_command()} drop FILE")
    pinned = {each.dataset for each in pins(stack)}
    found = []
    for name in sorted({item["dataset"] for item in items}):
        own = [item for item in items if item["dataset"] == name]
        live = live_run(stack, name)
        model = next((item for item in own if item["run"] == live), {})
        found.append(
            {
                "dataset": name,
                "live": live,
                "accuracy": model.get("accuracy"),
                "dropped": when(model) or None,
                "pinned": name in pinned,
                "runs": len(own),
                "last": {"run": own[-1]["run"], "status": own[-1]["status"]},
            }
        )
    rows = [
        [
            each["dataset"],
            percent(float(each["accuracy"])) if each["accuracy"] is not None else "",
            each["live"] or "no live model",
            each["dropped"] or "",
            "pinned" if each["pinned"] else "",
            f"{each['runs']:,}",
            each["last"]["status"],
        ]
        for each in found
    ]
    header = ["dataset", "right", "live run", "its file's date", "", "runs", "last run"]
    answer(target, {"datasets": found}, table_lines(header, rows))


@command()
@click.argument("dataset", shell_complete=complete_dataset)
@pass_target
def schema(target: Target, dataset: str) -> None:
    """Show what each column of DATASET is to its live model, and why.

    Numbers are shown with their range.
    """
    stack = target.stack()
    run = live_run(stack, dataset)
    if run is None:
        raise Problem(f'"{dataset}" has no live model. See {this_command()} datasets')
    s3, folder = boto3.client("s3"), RunFolder(run)
    found = Schema.from_dict(read_json(s3, stack.runs, folder / SCHEMA))
    profile = (read_json_if_there(s3, stack.runs, folder / PROFILE) or {}).get("features", {})
    columns = [
        {
            "name": column.name,
            "role": str(column.role),
            "reason": column.reason,
            "feature": column.role in FEATURE_ROLES,
        }
        | {n: v for n, v in profile.get(column.name, {}).items() if n in ("min", "max")}
        for column in found.columns
    ]
    rows = [
        [
            each["name"] or "(no name)",
            each["role"],
            f"{each['min']:g} to {each['max']:g}" if "min" in each else "",
            each["reason"],
        ]
        for each in columns
    ]
    lines = [
        f"{dataset}, as {run} has it. Classes of {found.label}: {listed(found.classes)}\n",
        *table_lines(["column", "role", "range", "why"], rows),
        f"\nIn the model's order: {', '.join(found.features)}",
    ]
    told = {"dataset": dataset, "run": run, "label": found.label, "classes": found.classes}
    answer(target, told | {"features": found.features, "columns": columns}, lines)


@command("open")
@click.argument("dataset", required=False, shell_complete=complete_dataset)
@pass_target
def open_command(target: Target, dataset: str | None) -> None:
    """Open the page of the API, or of DATASET, in the browser.

    Prints its address. It asks for the API key, which the command key prints.
    """
    stack = target.stack()
    if stack.authorization != "key":
        raise Problem(
            f"The page asks for an API key, and this API takes {TAKEN[stack.authorization]}. "
            f"Instead: {this_command()} predict --help"
        )
    page = f"{stack.api_url}/{f'#/{dataset}' if dataset else ''}"
    answer(target, {"page": page}, [page, f"It asks for the API key: {this_command()} key"])
    click.launch(page)
