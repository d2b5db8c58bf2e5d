"""Watching the stack, and mending what went wrong."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime

import boto3
import click
from click.exceptions import Exit

from cli import dead_letters, deploy, doctor, embedded
from cli.command import command, confirmed, pass_target
from cli.drop_again import drop_again, live_runs
from cli.errors import NOT_DONE, Problem
from cli.follow import all_runs
from cli.keys import Keys, masked
from cli.logs import (
    FUNCTIONS,
    follow_lines,
    log_groups,
    newest_lines,
    now,
    readable,
    shown_time,
)
from cli.output import answer, progress_of, to_json
from cli.settings import this_command
from cli.stack import TAKEN
from cli.sweep import sweep
from cli.target import Target
from cli.teardown import left_behind, tear_down
from pipeline.registry import Status
from pipeline.wording import percent
from report.words import counted, listed

LOGS_EXAMPLES = """\b
knn logs
knn logs Predict --lines 20 --no-follow
knn logs --since 2h
knn logs --run iris-20261130T194228Z-a96208a4"""

_SINCE = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@command()
@click.option("--show-key", is_flag=True, help="Show the API key, not only its end.")
@pass_target
def status(target: Target, *, show_key: bool) -> None:
    """Show the state of the stack, the API's URL and what is live.

    Ends with status 1 if there is nothing to talk to.
    """
    local = target.local
    if local and embedded.running(local) is None:
        what = {"state": "stopped", "endpoint": local.endpoint_url, "folder": local.folder}
        answer(target, what, ["The embedded AWS is not running. Start it: make run"])
        raise Exit(NOT_DONE)
    stack = target.stack()
    state = deploy.stack_status(target.stack_name)
    try:
        key = stack.api_key() if stack.authorization == "key" else None
    except Problem:
        # Whoever may only read can see the rest all the same.
        key = None
    runs = all_runs(stack, None)
    live = {item["dataset"]: item.get("accuracy") for item in runs if item["status"] == Status.LIVE}
    under_way = [item["run"] for item in runs if not Status(item["status"]).has_ended]
    where = {"endpoint": local.endpoint_url, "folder": local.folder} if local else {}
    told = {
        "state": state,
        "stack": target.stack_name,
        "region": boto3.client("s3").meta.region_name,
        **where,
        "api": stack.api_url,
        "page": f"{stack.api_url}/",
        "key": key if show_key or key is None else masked(key),
        "inbox": stack.inbox,
        "runs": stack.runs,
        "live": live,
        "under_way": under_way,
    }
    shown_key = str(told["key"] or "you may not read it")
    if stack.authorization in TAKEN:
        shown_key = f"none, the API takes {TAKEN[stack.authorization]}"
    if key and not show_key:
        shown_key += f" (all of it: {this_command()} key)"
    models = [
        name + (f" ({percent(float(right))} right)" if right is not None else "")
        for name, right in sorted(live.items())
    ]
    lines = [f"Embedded  {local.endpoint_url}, state in {local.folder}"] if local else []
    lines += [
        f"Stack     {target.stack_name}, {state}, in {told['region']}",
        f"API       {stack.api_url}",
        f"Page      {stack.api_url}/",
        f"API key   {shown_key}",
        f"Inbox     s3://{stack.inbox}",
        f"Live      {listed(models) if models else 'no model yet'}",
        f"Running   {counted(len(under_way), 'run') if under_way else 'no run'}",
    ]
    answer(target, told, lines)


@command("doctor")
@pass_target
def doctor_command(target: Target) -> None:
    """Check what is needed, and say what to do about it.

    Here: Python, the port, the folder, Docker. With --aws: credentials, region, SES and quotas.
    Ends with status 1 if something is wrong.
    """
    checks = []
    for check in doctor.checks(target):
        checks.append(check)
        if not target.as_json:
            click.echo(f"{check.mark} {check.what}: {check.found}")
            if check.remedy:
                click.echo(f"    {check.remedy}")
    if target.as_json:
        click.echo(to_json([vars(check) for check in checks]))
    if any(check.state == "wrong" for check in checks):
        raise Exit(NOT_DONE)


@command(epilog=LOGS_EXAMPLES)
@click.argument("function", required=False, type=click.Choice(FUNCTIONS, case_sensitive=False))
@click.option(
    "--follow/--no-follow",
    "-f",
    "go_on",
    default=None,
    help="Keep showing new lines, until Ctrl-C. By default in a terminal.",
)
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="How many of the newest lines to show.",
)
@click.option("--since", metavar="TIME", help="Only lines of the last 30s, 15m, 2h or 3d.")
@click.option("--run", "about", metavar="RUN", help="Only lines that name this run.")
@pass_target
def logs(
    target: Target,
    function: str | None,
    *,
    go_on: bool | None,
    lines: int,
    since: str | None,
    about: str | None,
) -> None:
    """Show the newest log lines of the functions, and follow them.

    New lines are shown as they come, in a terminal or with --follow. Times are in UTC. Of what
    functions log as JSON the essence is shown; --json shows all of it. Logs hold no rows, labels or
    requests.
    """
    target.stack()
    begin = None
    if since is not None:
        match = _SINCE.fullmatch(since)
        if match is None:
            raise click.BadParameter("use a number and s, m, h or d, such as 15m.")
        begin = now() - int(match[1]) * _SECONDS[match[2]] * 1000
    groups, began = log_groups(target.stack_name, function), now()
    found = newest_lines(groups, lines, containing=about or "", since=begin)
    for line in found:
        show_line(target, *line)
    if not (sys.stdout.isatty() if go_on is None else go_on):
        return
    shown = set(found)
    try:
        for line in follow_lines(groups, began, containing=about or ""):
            if line not in shown:
                show_line(target, *line)
    except KeyboardInterrupt:
        return


def show_line(target: Target, milliseconds: int, function: str, message: str) -> None:
    """Print a line of a log; of JSON each line is a document of its own, since there is no end."""
    if target.as_json:
        time = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
        told = {"time": time, "function": function, "message": message}
        click.echo(to_json(told, indent=None))
        return
    click.echo(f"{shown_time(milliseconds)} {function:<10} {readable(message)}")


@command()
@click.argument("queue", required=False)
@click.option("--dry-run", is_flag=True, help="Only show the events.")
@pass_target
def redrive(target: Target, queue: str | None, *, dry_run: bool) -> None:
    """Send the events in dead-letter queues to their functions again.

    Those in all queues, or in QUEUE.
    """
    stack = target.stack()
    urls = dead_letters.queues(target.stack_name)
    if queue is not None:
        known = {name.lower(): name for name in urls}
        name = known.get(queue.lower().removesuffix(dead_letters.QUEUE_ENDING.lower()))
        if name is None:
            raise Problem(
                f"There is no dead-letter queue {queue}. The queues are {', '.join(urls)}."
            )
        urls = {name: urls[name]}
    waiting: list[dead_letters.DeadLetter] = []
    told = []
    try:
        # All of them first: what fails again comes back to its queue.
        waiting += dead_letters.receive(urls)
        for letter in list(waiting):
            told.append(letter.as_dict())
            if not target.as_json:
                click.echo(f"{letter.queue:<15} {letter.sent:%Y-%m-%d %H:%M:%S}  {letter.about}")
                click.echo(f"    {letter.reason}")
            if not dry_run:
                dead_letters.hand_over(stack, target.stack_name, letter)
                waiting.remove(letter)
    finally:
        # Otherwise nobody would see them for a while.
        for letter in waiting:
            dead_letters.put_back(letter)
    lines = []
    if not told:
        lines = ["The dead-letter queues are empty."]
    elif not dry_run:
        lines = [f"\nHanded over: {len(told)}. See how it goes with: {this_command()} runs"]
    answer(target, {"events": told, "handed_over": 0 if dry_run else len(told)}, lines)


@command("sweep")
@click.option("--dry-run", is_flag=True, help="Only say what is not as it should be.")
@pass_target
def sweep_command(target: Target, *, dry_run: bool) -> None:
    """Put in order what is not as the registry says.

    The stack does so by itself, every ten minutes.
    """
    target.stack()
    found = list(sweep(target.stack_name, dry_run=dry_run))
    answer(target, {"found": found}, found or ["Everything is as the registry says."])


@command()
@click.argument("table")
@pass_target
def restore(target: Target, table: str) -> None:
    """Upload the files of a deleted stack's live models again.

    TABLE is the registry that the stack left behind.
    """
    stack = target.stack()
    told = []
    for item in live_runs(table):
        drop_again(stack, item)
        told.append({name: item[name] for name in ("dataset", "run")} | item["source"])
        if not target.as_json:
            click.echo(f"{item['dataset']:<20} {item['source']['key']}, as it was in {item['run']}")
    if not told:
        raise Problem(f"{table} lists no live model. List tables: aws dynamodb list-tables")
    answer(target, {"restored": told}, [f"\nFollow the runs: {this_command()} runs"])


@command()
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_target
def teardown(target: Target, *, yes: bool) -> None:
    """Delete the stack and what its runs deployed; files stay.

    What stays is named in the end, with what deletes it. If it is interrupted, run it again.
    """
    stack = target.stack()
    live = [item["run"] for item in all_runs(stack, None) if item["status"] == Status.LIVE]
    where = "the embedded AWS" if target.local else boto3.client("s3").meta.region_name
    confirmed(
        target,
        f"This stops {counted(len(live), 'live model')} and deletes the stack {target.stack_name} "
        f"on {where}. Go on?",
        yes=yes,
    )
    stays = left_behind(target.stack_name, stack)
    with progress_of(target).shown() as progress:
        progress.begin("Delete keys")
        keys = Keys(stack, target.stack_name)
        for key in keys.added():
            keys.revoke(key)
        progress.begin("Delete stack")
        for what in tear_down(target.stack_name, poll_seconds=target.poll_seconds):
            progress.note(what)
    lines = ["\nThe stack is deleted. These stay, with all files and the history of runs:"]
    lines += [f"  {what}" for what in stays]
    if target.local:
        lines.append(f"Delete all of them with the embedded AWS: {this_command()} clean")
    else:
        lines.append('docs/operations.md, "Take down", says how to delete them by hand.')
    answer(target, {"deleted": target.stack_name, "stays": stays}, lines)


@command()
@pass_target
def key(target: Target) -> None:
    """Print the API key, which the API's page asks for."""
    stack = target.stack()
    if stack.authorization != "key":
        raise Problem(f"No key opens this API: it takes {TAKEN[stack.authorization]}.")
    value = stack.api_key()
    answer(target, {"key": value}, [value])
