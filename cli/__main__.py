"""The commands: ``python -m cli --help``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import boto3
import click
from rich.console import Console

from cli import deploy, embedded
from cli.errors import Problem
from cli.follow import Run, all_runs, drop, follow
from cli.logs import FUNCTIONS, log_groups, log_lines
from cli.mails import sent_mails
from cli.render import Progress, metrics_table, runs_table
from cli.settings import ROOT, STACK_NAME, Local, local
from cli.stack import Stack, find_stack, predict

# The contracts of the pipeline: the names of runs, among others.
sys.path.insert(0, str(ROOT / "layers/pipeline"))

IRIS = ROOT / "data/iris.csv"
IRIS_INSTANCE = [5.1, 3.5, 1.4, 0.2]
console = Console()


class Target:
    """The AWS that a command talks to: the embedded one, or the user's own."""

    def __init__(self, stack_name: str, *, aws: bool) -> None:
        self.stack_name = stack_name
        self.local: Local | None = None if aws else local()
        if self.local:
            self.local.use()

    def stack(self) -> Stack:
        """Return the stack, with the embedded AWS running."""
        if self.local and embedded.running(self.local) is None:
            raise Problem("The embedded AWS is not running: start it with make run")
        return find_stack(self.stack_name, self.local)

    def embedded(self) -> Local:
        """Return the embedded AWS."""
        if self.local is None:
            raise Problem("This command is about the embedded AWS: leave --aws out.")
        return self.local


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--aws", is_flag=True, help="Talk to AWS, with your AWS configuration.")
@click.option("--stack-name", default=STACK_NAME, show_default=True, help="Name of the stack.")
@click.pass_context
def cli(context: click.Context, *, aws: bool, stack_name: str) -> None:
    """Drop labelled CSV files, follow their runs, and predict with the models they become.

    Without --aws everything happens on the embedded AWS, on this machine. PORT chooses its port
    (4566), KNN_LOCAL_DIR the folder of its state (.local).
    """
    context.obj = Target(stack_name, aws=aws)


@cli.command()
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="Parameter of the stack.")
@click.pass_obj
def up(target: Target, parameter: tuple[str, ...]) -> None:
    """Start the embedded AWS and deploy the application to it."""
    with Progress(console).shown() as progress:
        bring_up(target.embedded(), progress, parameter)


@cli.command()
@click.pass_obj
def run(target: Target) -> None:
    """Do the main job: train, deploy, validate and call a model of data/iris.csv."""
    where = target.embedded()
    with Progress(console).shown() as progress:
        bring_up(where, progress, ())
        stack = target.stack()
        ended = drop_and_follow(stack, IRIS, None, progress, poll_seconds=0.1)
    report(stack, ended, where)
    call_api(stack, "iris", IRIS_INSTANCE)
    click.echo(
        f"\nThe embedded AWS goes on at {where.endpoint_url}. "
        "make drop CSV=… drops another file, make stop stops it."
    )


@cli.command("drop")
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--dataset", help="Name of the dataset; else the file's name without its ending.")
@click.pass_obj
def drop_command(target: Target, csv: Path, dataset: str | None) -> None:
    """Drop the file CSV into the inbox and follow its run."""
    stack = target.stack()
    poll_seconds = 0.1 if target.local else 2.0
    with Progress(console).shown() as progress:
        ended = drop_and_follow(stack, csv, dataset, progress, poll_seconds=poll_seconds)
    report(stack, ended, target.local)


@cli.command()
@click.argument("dataset", required=False)
@click.pass_obj
def runs(target: Target, dataset: str | None) -> None:
    """List the runs, of DATASET or of all, with how they ended."""
    items = all_runs(target.stack(), dataset)
    if not items:
        raise Problem("There are no runs yet: drop a file.")
    console.print(runs_table(items))


@cli.command("predict")
@click.argument("dataset")
@click.argument("values", type=float, nargs=-1, required=True)
@click.pass_obj
def predict_command(target: Target, dataset: str, values: tuple[float, ...]) -> None:
    """Ask the live model of DATASET for the class of an instance: VALUES are its features.

    Negative values follow a double dash: predict DATASET -- -1 2.
    """
    status, answer = predict(target.stack(), dataset, [list(values)])
    click.echo(json.dumps(answer))
    if status != 200:
        sys.exit(1)


@cli.command()
@click.option("--all", "every", is_flag=True, help="All of them, not only the last.")
@click.pass_obj
def mail(target: Target, *, every: bool) -> None:
    """Show the mail that the embedded AWS sent last."""
    target.stack()
    mails = sent_mails(target.embedded())
    if not mails:
        raise Problem("No mail has been sent yet: drop a file.")
    for message in mails if every else mails[-1:]:
        click.echo(f"To: {', '.join(message['To'])}\nSubject: {message['Subject']}\n")
        click.echo(message["BodyText"])


@cli.command()
@click.argument("function", required=False, type=click.Choice(FUNCTIONS, case_sensitive=False))
@click.option("--follow", "go_on", is_flag=True, help="Go on with what comes.")
@click.pass_obj
def logs(target: Target, function: str | None, *, go_on: bool) -> None:
    """Show the functions' logs, or those of one FUNCTION."""
    target.stack()
    for name, line in log_lines(log_groups(target.stack_name, function), follow=go_on):
        click.echo(f"{name:<10} {line}")


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


def drop_and_follow(
    stack: Stack, csv: Path, dataset: str | None, progress: Progress, *, poll_seconds: float
) -> Run:
    """Drop a file, show the stages of its run, and return the run as it ended."""
    progress.begin("Drop")
    dropped = drop(stack, csv, dataset)
    try:
        for step in follow(stack, dropped, poll_seconds=poll_seconds):
            if isinstance(step, Run):
                return step
            progress.begin(step)
    except KeyboardInterrupt:
        raise Problem(
            "The run goes on without being watched; see it again with: python -m cli runs"
        ) from None
    raise AssertionError("a run that is followed ends")


def report(stack: Stack, ended: Run, where: Local | None) -> None:
    """Print how a run ended; one that came to nothing ends the command with status 1."""
    folder = f"s3://{stack.runs}/runs/{ended.name}"
    console.print(f"\n{ended.name} is {ended.status}\n", highlight=False)
    metrics = read_metrics(stack, ended.name)
    if metrics:
        console.print(metrics_table(metrics))
    endpoint = f"--endpoint-url {where.endpoint_url} " if where else ""
    console.print(
        f"\nMail      {'make mail' if where else 'in your inbox'}\n"
        f"Report    {folder}/report/report.html\n"
        f"All files aws {endpoint}s3 ls --recursive {folder}/",
        highlight=False,
        soft_wrap=True,
    )
    if ended.error:
        error = ended.error
        raise Problem(f"{error['code']}: {error['message']}\nWhat to do: {error['remedy']}")


def read_metrics(stack: Stack, run_name: str) -> dict[str, Any] | None:
    """Return the metrics of a run's validation, if it got that far."""
    s3 = boto3.client("s3")
    try:
        key = f"runs/{run_name}/validation/metrics.json"
        metrics: dict[str, Any] = json.load(s3.get_object(Bucket=stack.runs, Key=key)["Body"])
    except s3.exceptions.NoSuchKey:
        return None
    return metrics


def call_api(stack: Stack, dataset: str, instance: list[float]) -> None:
    """Print a call of the API that can be pasted, make it, and print the answer."""
    url = f"{stack.api_url}/datasets/{dataset}/predictions"
    body = json.dumps({"instances": [instance]})
    console.print(f"\nAPI       {stack.api_url}\n", highlight=False, soft_wrap=True)
    # click.echo, because it must be pasted as it stands: no wrapping, no markup.
    click.echo(
        f"curl -s {url} -H 'content-type: application/json' "
        f"-H 'x-api-key: {stack.api_key()}' -d {shlex.quote(body)}"
    )
    status, answer = predict(stack, dataset, [instance])
    click.echo(json.dumps(answer))
    if status != 200:
        raise Problem(f"The API answered with status {status}.")


if __name__ == "__main__":
    cli(prog_name="python -m cli")
