"""Uploading files, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import folder
from cli.command import command, complete_dataset, complete_run, pass_target
from cli.dataset_settings import metadata_of
from cli.drop_again import drop_again
from cli.errors import Problem
from cli.follow import Dropped, all_runs, drop, follow_run, key_of
from cli.outcome import call_api, end, follow_upload, tell, watch
from cli.output import answer, progress_of, to_json
from cli.redeploy import named_run, pins
from cli.render import Progress, Sent, runs_list
from cli.settings import local_folder, this_command
from cli.target import Target
from pipeline.layout import is_dataset
from pipeline.registry import Status

DROP_EXAMPLES = """\b
knn drop titanic.csv --label survived --ignore name --ignore ticket
knn drop titanic.csv --set k=5 --set 'features=age;fare;sex'
knn drop 'Breast Cancer.csv'          of the dataset breast-cancer
knn drop may.csv --dataset titanic

Settings travel as the object's metadata, so a plain upload can have them too. There, and with
--set, a list has ; between its items, and %3B and %25 stand for ; and % in an item.

\b
aws s3 cp titanic.csv s3://INBOX/ --metadata 'label=survived,ignore=name;ticket'"""

RUNS_EXAMPLES = """\b
knn runs
knn runs titanic --last 5
knn runs --json | jq '.runs[] | select(.status == "Refused")'"""

rows_option = click.option(
    "--rows", is_flag=True, help="On AWS, show the first rows that were set aside, too."
)


@command("drop", epilog=DROP_EXAMPLES)
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--dataset", help="Name of the dataset; by default the file's name makes it.")
@click.option(
    "--schema",
    type=click.Path(path_type=Path),
    help="The dataset's schema.json (docs/datasets.md), to upload before the file.",
)
@click.option("--label", metavar="NAME", help="The column to predict.")
@click.option("--ignore", multiple=True, metavar="NAME", help="A column to leave out.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any setting of docs/datasets.md, for this file only.",
)
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Accept a file that lacks a feature or a class of the live model, or makes a worse one.",
)
@click.option(
    "--no-promote",
    is_flag=True,
    help="Train, validate and report, but let the model go live only with promote.",
)
@click.option("--no-wait", is_flag=True, help="Upload the file, and don't follow its run.")
@rows_option
@pass_target
def drop_command(
    target: Target,
    csv: Path,
    dataset: str | None,
    schema: Path | None,
    label: str | None,
    ignore: tuple[str, ...],
    settings: tuple[str, ...],
    *,
    allow_changes: bool,
    no_promote: bool,
    no_wait: bool,
    rows: bool,
) -> None:
    """Upload the file CSV to the inbox and follow its run.

    Settings that you give here apply to this file only. They override the dataset's schema.json.
    """
    metadata = metadata_of(
        label, ignore, settings, allow_changes=allow_changes, promote=not no_promote
    )
    stack = target.stack()

    def upload(progress: Progress) -> Dropped:
        return drop(stack, csv, dataset, schema, metadata, Sent(progress, csv))

    key, named = key_of(csv, dataset)
    if dataset is None and key != csv.name:
        click.echo(f"The dataset is {named}. To choose another: --dataset NAME\n", err=True)
    if no_wait:
        with progress_of(target).shown() as progress:
            progress.begin("Drop")
            dropped = upload(progress)
        told = {"dataset": dropped.dataset, "file": f"s3://{stack.inbox}/{dropped.key}"}
        told["version"] = dropped.version
        lines = [f"\nUploaded to {told['file']}. See its run: {this_command()} runs {named}"]
        answer(target, told, lines)
        return
    ended = follow_upload(target, stack, upload)
    facts = tell(target, stack, ended.name, file=csv, rows=rows)
    end(ended)
    if facts.example is not None and facts.predictions_url:
        call_api(target, stack, ended.dataset, facts.example)


@command()
@click.argument("name", metavar="RUN", shell_complete=complete_run)
@pass_target
def retrain(target: Target, name: str) -> None:
    """Upload the file of RUN again, and train on it.

    It keeps the settings that it was uploaded with. The model goes live if it is good enough. It
    may have fewer features and classes than the present one, or be worse.
    """
    stack = target.stack()
    earlier = named_run(stack, name)
    if not target.as_json:
        click.echo(f"The file of {earlier['run']} again, {earlier['source']['key']}\n")
    ended = follow_upload(
        target, stack, lambda _: drop_again(stack, earlier, {"allow-changes": "true"})
    )
    tell(target, stack, ended.name)
    end(ended)


@command(epilog=RUNS_EXAMPLES)
@click.argument("dataset", required=False, shell_complete=complete_dataset)
@click.option("--last", type=click.IntRange(1), metavar="COUNT", help="Only the newest runs.")
@pass_target
def runs(target: Target, dataset: str | None, last: int | None) -> None:
    """List all runs, or those of DATASET, with accuracy and date.

    The newest is last. Dates are in UTC.
    """
    stack = target.stack()
    items = all_runs(stack, dataset)
    if not items and not target.as_json:
        of_dataset = f" of {dataset}" if dataset else ""
        raise Problem(
            f"There are no runs{of_dataset} yet. Upload a file first: {this_command()} drop FILE"
        )
    items = items[-last:] if last else items
    pinned = list(pins(stack, dataset))
    lines = list(runs_list(items))
    lines += [
        f"\n{each.dataset} is pinned to {each.run} since {each.since}. Let new models go live "
        f"again: {this_command()} unpin {each.dataset}"
        for each in pinned
    ]
    answer(
        target,
        {
            "runs": [{"dataset": item["dataset"]} | as_data(item) for item in items],
            "pins": [vars(each) for each in pinned],
        },
        lines,
    )


def as_data(item: dict[str, Any]) -> dict[str, Any]:
    """Return what the registry tells of a run, for programs."""
    names = ("run", "status", "accuracy", "updated", "error")
    told: dict[str, Any] = {name: item[name] for name in names if name in item}
    source = item.get("source", {})
    told |= {"file": source.get("key"), "version": source.get("version")}
    told["dropped"] = str(item.get("dropped", "")).partition("#")[0] or None
    return told | {n: item[n] for n in ("promoted", "replaced", "restores") if item.get(n)}


@command()
@click.argument("name", metavar="RUN|DATASET", shell_complete=complete_run)
@click.option("--no-wait", is_flag=True, help="Don't follow a run that is under way.")
@rows_option
@pass_target
def show(target: Target, name: str, *, no_wait: bool, rows: bool) -> None:
    """Show how RUN, or the last one of DATASET, ended; or follow it.

    This is what drop shows: the verdict, the metrics, and why if it came to nothing.
    """
    stack = target.stack()
    of_dataset = all_runs(stack, name) if is_dataset(name) else []
    item = of_dataset[-1] if of_dataset else named_run(stack, name)
    name = item["run"]
    if not Status(item["status"]).has_ended:
        if no_wait:
            told = as_data(item)
            answer(
                target,
                told,
                [f"{name} is {item['status']}. Follow it: {this_command()} show {name}"],
            )
            return
        with progress_of(target).shown() as progress:
            progress.begin("Preprocess")
            watch(follow_run(stack, name, poll_seconds=target.poll_seconds), progress, name)
    tell(target, stack, name, rows=rows)


@command()
@click.argument("name", metavar="RUN", shell_complete=complete_run)
@click.option("--open", "in_browser", is_flag=True, help="Show it in the browser.")
@click.option(
    "--to", "into", type=click.Path(path_type=Path), help="Write it to this file or folder."
)
@pass_target
def report(target: Target, name: str, *, in_browser: bool, into: Path | None) -> None:
    """Download the report of RUN, and print its path."""
    named_run(target.stack(), name)
    page = folder.fetch_report(target.stack(), name, local_folder(), into)
    answer(target, {"run": name, "report": page}, [str(page)])
    if in_browser:
        click.launch(page.resolve().as_uri())


@command()
@click.argument("name", metavar="RUN", shell_complete=complete_run)
@click.option(
    "--to", "into", type=click.Path(path_type=Path), help="Download them into this folder."
)
@pass_target
def files(target: Target, name: str, *, into: Path | None) -> None:
    """List the files of RUN, or download them."""
    found = folder.files(target.stack(), name, into)
    if target.as_json:
        click.echo(to_json([{"key": key, "bytes": size} for key, size in found]))
        return
    for key, size in found:
        click.echo(f"{size:>12,}  {key}")
