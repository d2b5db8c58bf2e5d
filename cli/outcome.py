"""A run that is followed, and how it ended, as its user is told."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.exceptions import Exit

from cli import folder
from cli.errors import NOT_DONE, Interrupted, Problem
from cli.follow import Dropped, Run, follow, follow_run
from cli.output import answer, console, progress_of, to_json
from cli.redeploy import redeploy
from cli.render import Progress, story
from cli.settings import Local, local_folder, this_command
from cli.stack import Stack, predict
from cli.target import Target
from pipeline.registry import Status
from report.facts import Facts
from report.verdict import subject

_COMMAND = re.compile(
    r"(?<![\w/.-])(?:python -m cli|knn)(?= (?:drop|forget|promote|retrain|rollback|unpin)\b)"
)
"""This command, as a function that doesn't know how it is called here writes it."""


def follow_upload(
    target: Target, stack: Stack, upload: Callable[[Progress], Dropped], begin: str = "Drop"
) -> Run:
    """Upload a file and follow its run; return the run as it ended."""
    with progress_of(target).shown() as progress:
        progress.begin(begin)
        dropped = upload(progress)
        steps = follow(stack, dropped, poll_seconds=target.poll_seconds)
        return watch(steps, progress, dropped.dataset)


def follow_again(target: Target, stack: Stack, item: dict[str, Any], *, pins: bool) -> Run:
    """Deploy the model of a run again, and follow that; return the new run as it ended."""
    if not target.as_json:
        click.echo(f"The model of {item['run']} again, of {item['source']['key']}\n")
    with progress_of(target).shown() as progress:
        progress.begin("Copy")
        name = redeploy(stack, item, pins=pins)
        return watch(follow_run(stack, name, poll_seconds=target.poll_seconds), progress, name)


def watch(steps: Iterator[str | Run], progress: Progress, name: str) -> Run:
    """Show the stages of a run that is followed, and return the run as it ended.

    Parameters
    ----------
    name
        The run, or its dataset, to show it by later.
    """
    stages = []
    try:
        for step in steps:
            if isinstance(step, Run):
                return step
            # What is reported without having been promoted came to nothing where it stood.
            if step == "Report" and "Promote" not in stages:
                progress.fail()
            stages.append(step)
            progress.begin(step)
    except KeyboardInterrupt:
        raise Interrupted(f"The run continues. Follow it: {this_command()} show {name}") from None
    raise AssertionError("a run that is followed ends")


def tell(
    target: Target,
    stack: Stack,
    run: str,
    *,
    file: Path | None = None,
    rows: bool = False,
) -> Facts:
    """Print how a run ended.

    Parameters
    ----------
    file
        The file here that the run came of, for commands that name it.
    rows
        Whether rows of the file are printed on AWS too.
    """
    facts = folder.read_facts(stack, run)
    where = target.local
    if facts.problem:
        remedy = remedy_here(facts.problem["remedy"], file, where)
        facts = replace(facts, problem=facts.problem | {"remedy": remedy})
    if not where and not rows and facts.profile:
        facts = replace(facts, profile=facts.profile | {"first_rows": {}})
    page = folder.fetch_report(stack, run, local_folder())
    if target.as_json:
        answer(target, as_data(facts, page))
        return facts
    for part in story(facts):
        console.print()
        console.print(part, soft_wrap=isinstance(part, str))
    console.print(
        f"\nRun       {facts.run}, {facts.status}\n"
        f"Email     {'make mail' if where else 'in your inbox'}\n"
        f"Report    {page}\n"
        f"All files {this_command()} files {facts.run}",
        soft_wrap=True,
    )
    return facts


def as_data(facts: Facts, page: Path) -> dict[str, Any]:
    """Return how a run ended, for programs."""
    return {
        "run": facts.run,
        "dataset": facts.dataset,
        "status": str(facts.status),
        "verdict": subject(facts),
        "accuracy": (facts.metrics or {}).get("accuracy"),
        "problem": facts.problem,
        "metrics": facts.metrics,
        "report": page,
        "files": facts.folder,
    }


def end(ended: Run) -> None:
    """End the command with status 1 if a run came to nothing.

    A model that is held is as good as its user asked for.
    """
    if ended.error and ended.status != Status.HELD:
        raise Exit(NOT_DONE)


def remedy_here(remedy: str, file: Path | None, where: Local | None) -> str:
    """Return a remedy with commands that work here.

    The function that wrote it knows the file's name only, and not how this command is called. The
    AWS CLI would talk to AWS, not to the embedded one.
    """
    if where:
        remedy = remedy.replace("with either of:", "with:")
    lines = []
    for line in remedy.splitlines():
        if where and line.startswith("    aws "):
            continue
        if file is not None:
            name, path = (shlex.quote(str(each)) for each in (file.name, file))
            line = line.replace(f" drop {name}", f" drop {path}")
        lines.append(_COMMAND.sub(this_command(), line))
    return "\n".join(lines)


def call_api(target: Target, stack: Stack, dataset: str, instance: Sequence[Any]) -> None:
    """Show how to ask a model: here by a call that can be pasted, and its answer.

    On AWS neither the key nor a row of the file is printed unasked.
    """
    if target.as_json:
        return
    if target.is_aws or stack.authorization != "key":
        console.print(
            f"\nAPI       {stack.api_url}\n"
            f"Page      {stack.page}\n"
            f"Try it    {this_command()} predict {dataset} --example",
            soft_wrap=True,
        )
        return
    url = f"{stack.api_url}/datasets/{dataset}/predictions"
    body = to_json({"instances": [instance]}, indent=None)
    console.print(
        f"\nAPI       {stack.api_url}\n"
        f"Page      {stack.api_url}/ (asks for the API key: the x-api-key of this call)\n",
        soft_wrap=True,
    )
    key = stack.api_key()
    # click.echo, because it must be pasted as it stands: no wrapping, no markup.
    click.echo(
        f"curl -s {url} -H 'content-type: application/json' -H 'x-api-key: {key}' -d "
        f"{shlex.quote(body)}"
    )
    status, said = predict(stack, dataset, [instance])
    click.echo(to_json(said, indent=None))
    if status != 200:
        raise Problem(
            f"The API answered with status {status}. See its log: {this_command()} logs Predict"
        )
