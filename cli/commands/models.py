"""Which model of a dataset is live, and what its files are read by."""

from __future__ import annotations

import json

import click

from cli import delete as deleting
from cli.classes import forget_classes
from cli.command import command, complete_dataset, complete_run, confirmed, pass_target
from cli.dataset_settings import change_settings, named_value
from cli.errors import Problem
from cli.outcome import end, follow_again, tell
from cli.output import answer, progress_of
from cli.redeploy import pin, pins, previous_run, restorable_run, unpin
from cli.settings import this_command
from cli.target import Target
from report.words import counted

SETTINGS_EXAMPLES = """\b
knn settings titanic
knn settings titanic --set label=survived --set 'ignore=name;ticket'
knn settings titanic --remove ignore"""

DELETE_EXAMPLES = """\b
knn delete titanic             its models and history
knn delete titanic --files     all versions of its files, too"""


@command()
@click.argument("dataset", shell_complete=complete_dataset)
@click.argument("run", required=False, shell_complete=complete_run)
@pass_target
def rollback(target: Target, dataset: str, run: str | None) -> None:
    """Go back to the model that was live before, or to that of RUN.

    Deploys the model again as it was, without training: it predicts the same. First it is checked
    that it is as good as it was. Then DATASET is pinned: models of new files don't go live until
    you unpin it. A second rollback goes one further back, and not to a model that you have rolled
    back from; name RUN for that.
    """
    stack = target.stack()
    item = restorable_run(stack, run) if run else previous_run(stack, dataset)
    if item["dataset"] != dataset:
        raise Problem(
            f'{item["run"]} is a run of "{item["dataset"]}". See those of {dataset}: '
            f"{this_command()} runs {dataset}"
        )
    ended = follow_again(target, stack, item, pins=True)
    tell(target, stack, ended.name)
    end(ended)


@command()
@click.argument("name", metavar="RUN", shell_complete=complete_run)
@pass_target
def promote(target: Target, name: str) -> None:
    """Let the model of RUN go live.

    RUN was held or superseded, or was live before. Deploys its model as it was, without training,
    and first checks that it is as good as it was. It isn't compared with the live model again.
    """
    stack = target.stack()
    item = restorable_run(stack, name)
    if any(pins(stack, item["dataset"])):
        raise Problem(
            f"{item['dataset']} is pinned. Unpin it first: {this_command()} unpin {item['dataset']}"
        )
    ended = follow_again(target, stack, item, pins=False)
    tell(target, stack, ended.name)
    end(ended)


@command("pin")
@click.argument("dataset", shell_complete=complete_dataset)
@pass_target
def pin_command(target: Target, dataset: str) -> None:
    """Keep the live model of DATASET.

    New files are trained, validated and reported, but their models don't go live until you unpin
    it.
    """
    made = pin(target.stack(), dataset)
    answer(target, vars(made), [f"{dataset} is pinned to {made.run}."])


@command("unpin")
@click.argument("dataset", shell_complete=complete_dataset)
@pass_target
def unpin_command(target: Target, dataset: str) -> None:
    """Let models of new files of DATASET go live again."""
    held = unpin(target.stack(), dataset)
    lines = [f"{dataset} is no longer pinned."]
    if held:
        lines.append(
            f"Held meanwhile: {', '.join(held)}\nTo let the last go live: "
            f"{this_command()} promote {held[-1]}"
        )
    answer(target, {"dataset": dataset, "held": held}, lines)


@command("settings", epilog=SETTINGS_EXAMPLES)
@click.argument("dataset", shell_complete=complete_dataset)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set it for every later file. Separate the items of a list by ; and write ; and % in an "
    "item as %3B and %25.",
)
@click.option(
    "--remove",
    multiple=True,
    metavar="NAME",
    help="Remove a setting, so that the stack's applies again.",
)
@pass_target
def settings_command(
    target: Target, dataset: str, changes: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    """Show, set or remove the settings of DATASET.

    They are in the dataset's schema.json in the inbox. They apply to every later file and override
    the stack's parameters.
    """
    given = change_settings(target.stack(), dataset, dict(map(named_value, changes)), remove)
    answer(target, given, [json.dumps(given, indent=2, ensure_ascii=False)])


@command()
@click.argument("dataset", shell_complete=complete_dataset)
@pass_target
def forget(target: Target, dataset: str) -> None:
    """Forget the classes that the live model of DATASET doesn't know.

    Without a live model, forget all. Use it after you uploaded a wrong file: otherwise its labels
    stay among the dataset's classes.
    """
    forgotten = forget_classes(target.stack(), dataset)
    answer(
        target,
        {"dataset": dataset, "forgotten": forgotten},
        [*forgotten, f"Forgot {len(forgotten):,} classes."],
    )


@command(epilog=DELETE_EXAMPLES)
@click.argument("dataset", shell_complete=complete_dataset)
@click.option("--files", is_flag=True, help="Delete its files too: uploads, settings and runs.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_target
def delete(target: Target, dataset: str, *, files: bool, yes: bool) -> None:
    """Delete DATASET: its models, and with --files its files.

    Its endpoints and what is known of its runs go too. Nobody can predict with it from then on. If
    it is interrupted, run it again.
    """
    stack = target.stack()
    found = deleting.find_dataset(stack, dataset, with_files=files)
    versions = sum(map(len, found.files.values()))
    what = [
        f"the live model, of {found.live}" if found.live else "",
        counted(len(found.runs), "run"),
        counted(versions, "version") + " of files, for ever" if files else "",
    ]
    told = ", ".join(filter(None, what))
    confirmed(target, f"This deletes {told}. Delete {dataset}?", yes=yes)
    with progress_of(target).shown() as progress:
        progress.begin("Switch off")
        deleting.switch_off(stack, found)
        if found.deployed:
            progress.begin("Retire")
            retired = deleting.retire(target.stack_name, found, poll_seconds=target.poll_seconds)
            for place, _ in enumerate(retired, start=1):
                progress.note(f"{place} of {len(found.deployed)} endpoints")
        if versions:
            progress.begin("Delete files")
            for done in deleting.delete_files(found):
                progress.note(f"{done:,} of {versions:,}")
        progress.begin("Forget")
        deleting.forget(stack, found)
    counts = {
        "runs": len(found.runs),
        "endpoints": len(found.deployed),
        "file_versions": versions,
    }
    lines = [f"\n{dataset} is deleted."]
    if not files:
        lines.append(f"Its files are still there: {this_command()} delete {dataset} --files")
    answer(target, {"dataset": dataset, "deleted": counts}, lines)
