"""Functions in containers, by `sam local`, and the events that they are tried with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.exceptions import Exit

from cli import containers, embedded, events
from cli.command import command, pass_target
from cli.errors import NOT_DONE, Problem
from cli.logs import FUNCTIONS
from cli.output import answer, console, to_json
from cli.render import Progress
from cli.settings import Local, checkout, local_folder
from cli.target import Target


@command("events")
@pass_target
def events_command(target: Target) -> None:
    """Fill in the events of events/ with the running stack's names.

    Use them with sam local and aws lambda invoke.
    """
    checkout()
    into = local_folder() / "events"
    deployed = events.DeployedStack(target.stack(), target.stack_name)
    endpoint_url = containers.endpoint_url(target.local) if target.local else None
    filled = events.fill(deployed, into, endpoint_url)
    lines = [
        f"{'✗' if why_not else '✓'} {name}{f': {why_not}' if why_not else ''}"
        for name, why_not in filled.items()
    ]
    lines.append(f"\nThe events are in {into}. Try one: make invoke EVENT=predict-json")
    answer(target, {"folder": into, "events": filled}, lines)


@command()
@click.argument("event")
@click.option("--function", help="The function; by default the one that EVENT's name begins with.")
@pass_target
def invoke(target: Target, event: str, function: str | None) -> None:
    """Invoke a function with EVENT in a container, as on Lambda.

    This uses sam local. EVENT is an event of events/, such as predict-json, filled in with the
    running stack's names; or the path of your own file.
    """
    checkout()
    where, stack = target.embedded(), target.stack()
    named = function_of(event, function)
    deployed = events.DeployedStack(stack, target.stack_name)
    path = event_file(event, deployed, where)
    with sam_local(where, deployed, named) as options:
        said = containers.invoke(options, named, path)
    click.echo(to_json(said))
    if isinstance(said, dict) and "errorType" in said:
        raise Exit(NOT_DONE)


@command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@pass_target
def api(target: Target, *, port: int) -> None:
    """Serve the API with Predict in a container, until Ctrl-C.

    This uses sam local.
    """
    checkout()
    where, stack = target.embedded(), target.stack()
    deployed = events.DeployedStack(stack, target.stack_name)
    if embedded.is_taken(port):
        raise Problem(f"Another program uses port {port}. Choose another: --port {port + 1}")
    with sam_local(where, deployed, "Predict") as options:
        click.echo(f"The API is at http://127.0.0.1:{port}/datasets. It needs no key here.")
        containers.serve_api(options, port)


def function_of(event: str, function: str | None) -> str:
    """Return the function that an event is for: the one named, else the one its name begins with.

    Raises
    ------
    Problem
        There is no such function.
    """
    one_of = f"one of {', '.join(FUNCTIONS)}"
    if function is None:
        if found := events.function_of(Path(event).stem):
            return found
        raise Problem(f"We can't tell which function {event} is for. Add FUNCTION=NAME, {one_of}.")
    for name in FUNCTIONS:
        if function.lower() in (name.lower(), f"{name}Function".lower()):
            return name
    raise Problem(f"There is no function {function}. Choose {one_of}.")


def event_file(event: str, deployed: events.DeployedStack, where: Local) -> Path:
    """Return the file of an event: one of events/, filled just now, or the user's own."""
    own = Path(event).resolve()
    if own.is_file():
        return own
    into = where.folder / "events"
    outcome = events.fill(deployed, into, containers.endpoint_url(where))
    name = own.stem if own.suffix == ".json" else own.name
    if name not in outcome:
        raise Problem(f"There is no event {event}. Choose one of {', '.join(outcome)}.")
    if why_not := outcome[name]:
        raise Problem(f"We can't fill in {name}: {why_not}. See which can be: make events")
    return into / f"{name}.json"


@contextmanager
def sam_local(where: Local, deployed: events.DeployedStack, function: str) -> Iterator[list[str]]:
    """Prepare what `sam local` needs; yield its options."""
    system = containers.check_engine()
    with Progress(console).shown() as progress:
        if not containers.has_base_image():
            progress.begin("Lambda's image")
            containers.pull_base_image()
        progress.begin("Build")
        template = containers.template(where, function)
    environment = events.fill_environment(
        deployed, where.folder / "events", containers.endpoint_url(where)
    )
    with containers.reachable(where, system) as options:
        yield ["--template", str(template), "--env-vars", str(environment), *options]
