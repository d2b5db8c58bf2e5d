"""The commands: ``python -m cli --help``."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError, NoRegionError
from botocore.exceptions import ConnectionError as NoConnectionError
from rich.console import Console

from cli import containers, dead_letters, deploy, embedded, events, folder
from cli.classes import forget_classes
from cli.dataset_settings import change_settings, metadata_of, named_value
from cli.drop_again import drop_again, live_runs
from cli.errors import Problem
from cli.follow import Run, all_runs, drop, follow, follow_run
from cli.logs import FUNCTIONS, log_groups, log_lines
from cli.mails import sent_mails
from cli.redeploy import named_run, pin, pins, previous_run, redeploy, restorable_run, unpin
from cli.render import Progress, runs_list, story
from cli.settings import ROOT, STACK_NAME, Local, local_folder, this_command
from cli.stack import Stack, find_stack, predict
from cli.sweep import sweep
from pipeline.registry import Status
from report.facts import Facts

IRIS = ROOT / "data/iris.csv"
IRIS_INSTANCE = [5.1, 3.5, 1.4, 0.2]
DROP_EXAMPLES = """\b
drop titanic.csv --label survived --ignore name --ignore ticket
drop titanic.csv --set k=5 --set 'features=age;fare;sex'

Settings travel as the object's metadata, so a plain upload can have them too. There, and with
--set, a list has ; between its items, and %3B and %25 stand for ; and % in an item.

\b
aws s3 cp titanic.csv s3://INBOX/ --metadata 'label=survived,ignore=name;ticket'"""
SETTINGS_EXAMPLES = """\b
settings titanic
settings titanic --set label=survived --set 'ignore=name;ticket'
settings titanic --remove ignore"""
_COMMAND = re.compile(r"(?<![\w/.-])python -m cli\b")
"""This command, as a function that doesn't know how it is called here writes it."""

# What users name their classes and files is no markup.
console = Console(markup=False, highlight=False)


class Target:
    """The AWS that a command talks to: the embedded one, or the user's own."""

    def __init__(self, stack_name: str, *, aws: bool, any_port: bool = False) -> None:
        if not aws and stack_name != STACK_NAME:
            raise Problem(
                f"The embedded AWS has only the stack {STACK_NAME}: leave out --stack-name."
            )
        self.stack_name = stack_name
        self.local: Local | None = None if aws else embedded.find(local_folder(), any_port=any_port)
        if self.local:
            self.local.use()

    def stack(self) -> Stack:
        """Return the stack, with the embedded AWS running."""
        if self.local and embedded.running(self.local) is None:
            raise Problem(
                f"The embedded AWS is not running. Start it: make run, or {this_command()} "
                "up if you don't want to upload anything."
            )
        return find_stack(self.stack_name, self.local)

    @property
    def poll_seconds(self) -> float:
        """How often to look how far a run is."""
        return 0.1 if self.local else 2.0

    @property
    def flag(self) -> str:
        """What a command that is shown has to have."""
        return "" if self.local else " --aws"

    def embedded(self) -> Local:
        """Return the embedded AWS."""
        if self.local is None:
            raise Problem("This command works with the embedded AWS only: leave out --aws.")
        return self.local


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--aws", is_flag=True, help="Talk to AWS, with your AWS configuration.")
@click.option(
    "--stack-name", default=STACK_NAME, show_default=True, help="Name of the stack on AWS."
)
@click.pass_context
def cli(context: click.Context, *, aws: bool, stack_name: str) -> None:
    """Upload labelled CSV files, follow their runs, and predict with the models they become.

    Without --aws, commands use the embedded AWS on this machine. Set PORT for its port (4566,
    or the last one that you chose), and KNN_LOCAL_DIR for the folder of its state (.local).
    """
    # What stops it, stops it wherever it runs.
    any_port = context.invoked_subcommand in ("stop", "clean")
    context.obj = Target(stack_name, aws=aws, any_port=any_port)


@cli.command()
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="Parameter of the stack.")
@click.pass_obj
def up(target: Target, parameter: tuple[str, ...]) -> None:
    """Start the embedded AWS and deploy the application to it."""
    with Progress(console).shown() as progress:
        bring_up(target.embedded(), progress, parameter)
    url = target.stack().api_url
    click.echo(
        f"\nAPI       {url}\nPage      {url}/ (asks for the API key: {this_command()} key)\n"
        "Upload a file: make drop CSV=…"
    )


@cli.command()
@click.pass_obj
def run(target: Target) -> None:
    """Train, deploy, validate and call a model for data/iris.csv."""
    where = target.embedded()
    with Progress(console).shown() as progress:
        bring_up(where, progress, ())
        stack = target.stack()
        progress.begin("Drop")
        ended = watch(
            follow(stack, drop(stack, IRIS, None), poll_seconds=target.poll_seconds), progress
        )
    show(stack, ended, where)
    call_api(stack, "iris", IRIS_INSTANCE)
    click.echo(
        f"\nThe embedded AWS keeps running at {where.endpoint_url}. "
        "Upload another file: make drop CSV=… Stop it: make stop."
    )


@cli.command("drop", epilog=DROP_EXAMPLES)
@click.argument("csv", type=click.Path(path_type=Path))
@click.option(
    "--dataset", help="Name of the dataset; by default the file's name without its ending."
)
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
@click.pass_obj
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
) -> None:
    """Upload the file CSV to the inbox and follow its run.

    Settings that you give here apply to this file only. They override the dataset's schema.json.
    """
    metadata = metadata_of(
        label, ignore, settings, allow_changes=allow_changes, promote=not no_promote
    )
    stack = target.stack()
    with Progress(console).shown() as progress:
        progress.begin("Drop")
        dropped = drop(stack, csv, dataset, schema, metadata)
        ended = watch(follow(stack, dropped, poll_seconds=target.poll_seconds), progress)
    facts = show(stack, ended, target.local, csv)
    if facts.example is not None and facts.predictions_url:
        call_api(stack, ended.dataset, facts.example)


@cli.command()
@click.argument("dataset")
@click.argument("run", required=False)
@click.pass_obj
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
        raise Problem(f'{item["run"]} is a run of "{item["dataset"]}".')
    deploy_again(target, stack, item, pins=True)


@cli.command()
@click.argument("name", metavar="RUN")
@click.pass_obj
def promote(target: Target, name: str) -> None:
    """Let the model of RUN go live.

    RUN was held or superseded, or was live before. Deploys its model as it was, without training,
    and first checks that it is as good as it was. It isn't compared with the live model again.
    """
    stack = target.stack()
    item = restorable_run(stack, name)
    if any(pins(stack, item["dataset"])):
        raise Problem(
            f"{item['dataset']} is pinned. Unpin it first: {this_command()}{target.flag} unpin "
            f"{item['dataset']}"
        )
    deploy_again(target, stack, item, pins=False)


@cli.command()
@click.argument("name", metavar="RUN")
@click.pass_obj
def retrain(target: Target, name: str) -> None:
    """Upload the file of RUN again, and train on it.

    It keeps the settings that it was uploaded with. The model goes live if it is good enough. It
    may have fewer features and classes than the present one, or be worse.
    """
    stack = target.stack()
    earlier = named_run(stack, name)
    click.echo(f"The file of {earlier['run']} again, {earlier['source']['key']}\n")
    with Progress(console).shown() as progress:
        progress.begin("Drop")
        dropped = drop_again(stack, earlier, {"allow-changes": "true"})
        ended = watch(follow(stack, dropped, poll_seconds=target.poll_seconds), progress)
    show(stack, ended, target.local)


@cli.command("pin")
@click.argument("dataset")
@click.pass_obj
def pin_command(target: Target, dataset: str) -> None:
    """Keep the live model of DATASET.

    New files are trained, validated and reported, but their models don't go live until you unpin
    it.
    """
    made = pin(target.stack(), dataset)
    click.echo(f"{dataset} is pinned to {made.run}.")


@cli.command("unpin")
@click.argument("dataset")
@click.pass_obj
def unpin_command(target: Target, dataset: str) -> None:
    """Let models of new files of DATASET go live again."""
    held = unpin(target.stack(), dataset)
    click.echo(f"{dataset} is no longer pinned.")
    if held:
        click.echo(
            f"Held meanwhile: {', '.join(held)}\nTo let the last go live: "
            f"{this_command()}{target.flag} promote {held[-1]}"
        )


@cli.command()
@click.argument("table")
@click.pass_obj
def restore(target: Target, table: str) -> None:
    """Upload the files of a deleted stack's live models again.

    TABLE is the registry that the stack left behind.
    """
    stack = target.stack()
    count = 0
    for item in live_runs(table):
        drop_again(stack, item)
        count += 1
        click.echo(f"{item['dataset']:<20} {item['source']['key']}, as it was in {item['run']}")
    if not count:
        raise Problem(f"{table} lists no live model.")
    click.echo(f"\nFollow the runs: {this_command()}{target.flag} runs")


@cli.command()
@click.argument("queue", required=False)
@click.option("--dry-run", is_flag=True, help="Only show the events.")
@click.pass_obj
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
    # All of them first: what fails again comes back to its queue.
    letters = list(dead_letters.receive(urls))
    for letter in letters:
        click.echo(f"{letter.queue:<15} {letter.sent:%Y-%m-%d %H:%M:%S}  {letter.about}")
        click.echo(f"    {letter.reason}")
        if dry_run:
            dead_letters.put_back(letter)
        else:
            dead_letters.hand_over(stack, target.stack_name, letter)
    if not letters:
        click.echo("The dead-letter queues are empty.")
    elif not dry_run:
        click.echo(
            f"\nHanded over: {len(letters)}. See how it goes with: "
            f"{this_command()}{target.flag} runs"
        )


@cli.command("sweep")
@click.option("--dry-run", is_flag=True, help="Only say what is not as it should be.")
@click.pass_obj
def sweep_command(target: Target, *, dry_run: bool) -> None:
    """Put in order what is not as the registry says.

    The stack does so by itself, every ten minutes.
    """
    target.stack()
    found = False
    for line in sweep(target.stack_name, dry_run=dry_run):
        found = True
        click.echo(line)
    if not found:
        click.echo("Everything is as the registry says.")


@cli.command()
@click.pass_obj
def endpoint(target: Target) -> None:
    """Print the URL of the embedded AWS, for AWS_ENDPOINT_URL."""
    where = target.embedded()
    target.stack()
    click.echo(where.endpoint_url)


@cli.command()
@click.argument("dataset", required=False)
@click.pass_obj
def runs(target: Target, dataset: str | None) -> None:
    """List the runs of DATASET, or all runs, and how they ended."""
    items = all_runs(target.stack(), dataset)
    if not items:
        of_dataset = f" of {dataset}" if dataset else ""
        raise Problem(f"There are no runs{of_dataset} yet. Upload a file first.")
    for line in runs_list(items):
        click.echo(line)
    for each in pins(target.stack(), dataset):
        click.echo(
            f"\n{each.dataset} is pinned to {each.run} since {each.since}. Let new models go live "
            f"again: {this_command()}{target.flag} unpin {each.dataset}"
        )


@cli.command()
@click.pass_obj
def key(target: Target) -> None:
    """Print the API key, which the API's page asks for."""
    click.echo(target.stack().api_key())


@cli.command()
@click.argument("dataset")
@click.pass_obj
def forget(target: Target, dataset: str) -> None:
    """Forget the classes of DATASET that its live model doesn't know.

    Without a live model, forget all. Use it after you uploaded a wrong file: otherwise its labels
    stay among the dataset's classes.
    """
    forgotten = forget_classes(target.stack(), dataset)
    for name in forgotten:
        click.echo(name)
    click.echo(f"Forgot {len(forgotten):,} classes.")


@cli.command()
@click.argument("name", metavar="RUN")
@click.option("--open", "in_browser", is_flag=True, help="Show it in the browser.")
@click.pass_obj
def report(target: Target, name: str, *, in_browser: bool) -> None:
    """Download the report of RUN, and print its path."""
    page = folder.fetch_report(target.stack(), name, local_folder())
    click.echo(page)
    if in_browser:
        click.launch(page.as_uri())


@cli.command()
@click.argument("name", metavar="RUN")
@click.option(
    "--to", "into", type=click.Path(path_type=Path), help="Download them into this folder."
)
@click.pass_obj
def files(target: Target, name: str, *, into: Path | None) -> None:
    """List the files of RUN, or download them."""
    for key, size in folder.files(target.stack(), name, into):
        click.echo(f"{size:>12,}  {key}")


@cli.command("settings", epilog=SETTINGS_EXAMPLES)
@click.argument("dataset")
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
@click.pass_obj
def settings_command(
    target: Target, dataset: str, changes: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    """Show, set or remove the settings of DATASET.

    They are in the dataset's schema.json in the inbox. They apply to every later file and override
    the stack's parameters.
    """
    stack = target.stack()
    given = change_settings(stack, dataset, dict(map(named_value, changes)), remove)
    click.echo(json.dumps(given, indent=2, ensure_ascii=False))


@cli.command("predict", context_settings={"ignore_unknown_options": True})
@click.argument("dataset")
@click.argument("values", nargs=-1, required=True)
@click.pass_obj
def predict_command(target: Target, dataset: str, values: tuple[str, ...]) -> None:
    """Ask the live model of DATASET for the class of an instance.

    VALUES are the features in the model's order, for example 22.5 male yes. Write text as in your
    files, numbers with a decimal point, and NA for a missing value.
    """
    status, answer = predict(target.stack(), dataset, [values])
    click.echo(json.dumps(answer, ensure_ascii=False))
    if status != 200:
        sys.exit(1)


@cli.command()
@click.option("--all", "every", is_flag=True, help="Show all emails, not only the last.")
@click.pass_obj
def mail(target: Target, *, every: bool) -> None:
    """Show the email that the embedded AWS sent last."""
    stack = target.stack()
    mails = sent_mails(target.embedded())
    if not mails:
        raise Problem("No email has been sent yet. Upload a file first.")
    for message in mails if every else mails[-1:]:
        click.echo(f"From: {message['Source']}\nTo: {', '.join(message['To'])}")
        click.echo(f"Subject: {message['Subject']}\n")
        click.echo(message["BodyText"])
        for part in message.get("Attachments", []):
            where = "shown in the HTML" if part["ContentDisposition"] == "INLINE" else "attached"
            click.echo(f"{part['FileName']} ({part['ContentType']}, {where})")
    click.echo(f"(The API in the email is here at {stack.api_url})")


@cli.command()
@click.argument("function", required=False, type=click.Choice(FUNCTIONS, case_sensitive=False))
@click.option("--follow", "go_on", is_flag=True, help="Keep showing new lines.")
@click.pass_obj
def logs(target: Target, function: str | None, *, go_on: bool) -> None:
    """Show the logs of all functions, or of one FUNCTION."""
    target.stack()
    for name, line in log_lines(log_groups(target.stack_name, function), follow=go_on):
        click.echo(f"{name:<10} {line}")


@cli.command("events")
@click.pass_obj
def events_command(target: Target) -> None:
    """Fill in the events of events/ with the running stack's names.

    Use them with sam local and aws lambda invoke.
    """
    into = local_folder() / "events"
    deployed = events.DeployedStack(target.stack(), target.stack_name)
    endpoint_url = containers.endpoint_url(target.local) if target.local else None
    for name, why_not in events.fill(deployed, into, endpoint_url).items():
        click.echo(f"{'✗' if why_not else '✓'} {name}{f': {why_not}' if why_not else ''}")
    click.echo(f"\nThe events are in {into}. Try one: make invoke EVENT=predict-json")


@cli.command()
@click.argument("event")
@click.option("--function", help="The function; by default the one that EVENT's name begins with.")
@click.pass_obj
def invoke(target: Target, event: str, function: str | None) -> None:
    """Invoke a function with EVENT in a container, as on Lambda.

    This uses sam local. EVENT is an event of events/, such as predict-json, filled in with the
    running stack's names; or the path of your own file.
    """
    where, stack = target.embedded(), target.stack()
    named = function_of(event, function)
    deployed = events.DeployedStack(stack, target.stack_name)
    path = event_file(event, deployed, where)
    with sam_local(where, deployed, named) as options:
        answer = containers.invoke(options, named, path)
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    if isinstance(answer, dict) and "errorType" in answer:
        sys.exit(1)


@cli.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@click.pass_obj
def api(target: Target, *, port: int) -> None:
    """Serve the API with Predict in a container, until Ctrl-C.

    This uses sam local.
    """
    where, stack = target.embedded(), target.stack()
    deployed = events.DeployedStack(stack, target.stack_name)
    if embedded.is_taken(port):
        raise Problem(f"Another program uses port {port}. Choose another: --port {port + 1}")
    with sam_local(where, deployed, "Predict") as options:
        click.echo(f"The API is at http://127.0.0.1:{port}/datasets. It needs no key here.")
        containers.serve_api(options, port)


@cli.command()
@click.pass_obj
def stop(target: Target) -> None:
    """Stop the embedded AWS; its state is kept."""
    stopped = embedded.stop(target.embedded())
    click.echo("The embedded AWS has stopped." if stopped else "The embedded AWS was not running.")


@cli.command()
@click.pass_obj
def clean(target: Target) -> None:
    """Stop the embedded AWS and remove its state."""
    where = target.embedded()
    embedded.stop(where)
    embedded.remove_state(where)
    click.echo("The embedded AWS and its state are gone.")


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
        raise Problem(f"There is no event {event}. The events are {', '.join(outcome)}.")
    if why_not := outcome[name]:
        raise Problem(f"We can't fill in {name}: {why_not}.")
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


def bring_up(where: Local, progress: Progress, parameters: tuple[str, ...]) -> None:
    """Start what isn't running, build and deploy what has changed."""
    progress.begin("Embedded AWS")
    embedded.start(where)
    if not parameters and deploy.is_current(where):
        progress.begin("Stack as it is")
        return
    if not deploy.is_built(where):
        progress.begin("Build")
        deploy.build(where)
    progress.begin("Deploy")
    deploy.deploy(where, parameters)


def deploy_again(target: Target, stack: Stack, item: dict[str, Any], *, pins: bool) -> None:
    """Deploy the model of a run again, and follow that."""
    click.echo(f"The model of {item['run']} again, of {item['source']['key']}\n")
    with Progress(console).shown() as progress:
        progress.begin("Copy")
        name = redeploy(stack, item, pins=pins)
        ended = watch(follow_run(stack, name, poll_seconds=target.poll_seconds), progress)
    show(stack, ended, target.local)


def watch(steps: Iterator[str | Run], progress: Progress) -> Run:
    """Show the stages of a run that is followed, and return the run as it ended."""
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
        raise Problem(f"The run continues. Look at it: {this_command()} runs") from None
    raise AssertionError("a run that is followed ends")


def show(stack: Stack, ended: Run, where: Local | None, file: Path | None = None) -> Facts:
    """Print how a run ended; one that came to nothing ends the command with status 1."""
    facts = folder.read_facts(stack, ended.name)
    if facts.problem:
        remedy = remedy_here(facts.problem["remedy"], file, where)
        facts = replace(facts, problem=facts.problem | {"remedy": remedy})
    for part in story(facts):
        console.print()
        console.print(part, soft_wrap=isinstance(part, str))
    page = folder.fetch_report(stack, ended.name, local_folder())
    command = f"{this_command()}{'' if where else ' --aws'}"
    console.print(
        f"\nRun       {ended.name}, {ended.status}\n"
        f"Email     {'make mail' if where else 'in your inbox'}\n"
        f"Report    {page}\n"
        f"All files {command} files {ended.name}",
        soft_wrap=True,
    )
    # A model that is held is as good as its user asked for.
    if ended.error and ended.status != Status.HELD:
        sys.exit(1)
    return facts


def remedy_here(remedy: str, file: Path | None, where: Local | None) -> str:
    """Return a remedy with commands that work here.

    The function that wrote it knows the file's name only, and not how this command is called. The
    AWS CLI would talk to AWS, not to the embedded one.
    """
    command = f"{this_command()}{'' if where else ' --aws'}"
    if where:
        remedy = remedy.replace("with either of:", "with:")
    lines = []
    for line in remedy.splitlines():
        if where and line.startswith("    aws "):
            continue
        if file is not None:
            name, path = (shlex.quote(str(each)) for each in (file.name, file))
            line = line.replace(f"python -m cli drop {name}", f"python -m cli drop {path}")
        lines.append(_COMMAND.sub(command, line))
    return "\n".join(lines)


def call_api(stack: Stack, dataset: str, instance: Sequence[Any]) -> None:
    """Print a call of the API that can be pasted, make it, and print the answer."""
    url = f"{stack.api_url}/datasets/{dataset}/predictions"
    body = json.dumps({"instances": [instance]})
    console.print(
        f"\nAPI       {stack.api_url}\n"
        f"Page      {stack.api_url}/ (asks for the API key: the x-api-key of this call)\n",
        soft_wrap=True,
    )
    try:
        key = stack.api_key()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        click.echo("You may not read the API key: ask for it who deployed the stack.")
        return
    # click.echo, because it must be pasted as it stands: no wrapping, no markup.
    click.echo(
        f"curl -s {url} -H 'content-type: application/json' -H 'x-api-key: {key}' -d "
        f"{shlex.quote(body)}"
    )
    status, answer = predict(stack, dataset, [instance])
    click.echo(json.dumps(answer))
    if status != 200:
        raise Problem(f"The API answered with status {status}.")


def main() -> int:
    """Run a command; what its user can't mend is the only traceback."""
    try:
        cli(prog_name="python -m cli", standalone_mode=False)
    except click.Abort:
        click.echo(
            "\nInterrupted. What was started goes on; make stop stops the embedded AWS.", err=True
        )
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (NoCredentialsError, NoRegionError) as error:
        Problem(f"{str(error).rstrip('.')}. Configure your credentials first: aws configure").show()
        return 1
    except (HTTPClientError, NoConnectionError) as error:
        if "//127.0.0.1:" in str(error.kwargs.get("endpoint_url")):
            Problem(
                "The embedded AWS has stopped. Start it again: make run. It then reports "
                f"interrupted runs as failed: {this_command()} runs"
            ).show()
        else:
            Problem(f"AWS does not answer: {error}").show()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
