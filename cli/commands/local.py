"""The embedded AWS on this machine."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from cli import deploy, embedded
from cli.command import command, pass_target
from cli.errors import Problem
from cli.follow import drop
from cli.mails import sent_mails
from cli.outcome import call_api, end, follow_upload, tell
from cli.output import answer, progress_of
from cli.render import Progress
from cli.settings import NAME, ROOT, Local, checkout, this_command
from cli.target import Target

IRIS = ROOT / "data/iris.csv"
IRIS_INSTANCE = [5.1, 3.5, 1.4, 0.2]

COMPLETION_EXAMPLES = f"""\b
eval "$({NAME} completion bash)"          in ~/.bashrc
eval "$({NAME} completion zsh)"           in ~/.zshrc
{NAME} completion fish > ~/.config/fish/completions/{NAME}.fish"""


@command()
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="Parameter of the stack.")
@pass_target
def up(target: Target, parameter: tuple[str, ...]) -> None:
    """Start the embedded AWS and deploy the application to it.

    This needs a checkout. To deploy to AWS: make deploy ADDRESS=you@example.com
    """
    if target.is_aws:
        raise Problem(
            "This command deploys to the embedded AWS. To deploy to AWS, in a checkout: make "
            "deploy ADDRESS=you@example.com"
        )
    local = target.embedded()
    with progress_of(target).shown() as progress:
        bring_up(local, progress, parameter)
    stack = target.stack()
    url = stack.api_url
    answer(
        target,
        {"endpoint": local.endpoint_url, "api": url, "page": f"{url}/"},
        [f"\nAPI       {url}\nPage      {stack.page}\nUpload a file: {this_command()} drop FILE"],
    )


@command()
@pass_target
def run(target: Target) -> None:
    """Do what make run does: make an iris model live, and call it."""
    checkout()
    local = target.embedded()
    with progress_of(target).shown() as progress:
        bring_up(local, progress, ())
    stack = target.stack()
    ended = follow_upload(target, stack, lambda _: drop(stack, IRIS, None))
    tell(target, stack, ended.name)
    end(ended)
    call_api(target, stack, "iris", IRIS_INSTANCE)
    if not target.as_json:
        click.echo(
            f"\nThe embedded AWS keeps running at {local.endpoint_url}. "
            "Upload another file: make drop CSV=… Stop it: make stop."
        )


def bring_up(local: Local, progress: Progress, parameters: tuple[str, ...]) -> None:
    """Start what isn't running, build and deploy what has changed."""
    checkout()
    progress.begin("Embedded AWS")
    embedded.start(local)
    if not parameters and deploy.is_current(local):
        progress.begin("Stack as it is")
        return
    if not deploy.is_built(local):
        progress.begin("Build")
        deploy.build(local)
    progress.begin("Deploy")
    deploy.deploy(local, parameters)


def _stop(target: Target) -> None:
    if target.is_aws:
        raise Problem(
            "Only the embedded AWS can be stopped. To delete the stack on AWS: "
            f"{this_command()} teardown --aws"
        )
    stopped = embedded.stop(target.embedded(any_port=True))
    line = "The embedded AWS has stopped." if stopped else "The embedded AWS was not running."
    answer(target, {"stopped": stopped}, [line])


@command()
@pass_target
def stop(target: Target) -> None:
    """Stop the embedded AWS; its state is kept."""
    _stop(target)


@command()
@pass_target
def down(target: Target) -> None:
    """Stop the embedded AWS, as stop does."""
    _stop(target)


@command()
@pass_target
def clean(target: Target) -> None:
    """Stop the embedded AWS and remove its state."""
    local = target.embedded(any_port=True)
    embedded.stop(local)
    embedded.remove_state(local)
    answer(target, {"removed": local.folder}, ["The embedded AWS and its state are gone."])


@command()
@pass_target
def endpoint(target: Target) -> None:
    """Print the URL of the embedded AWS, for AWS_ENDPOINT_URL."""
    where = target.embedded()
    target.stack()
    answer(target, {"endpoint": where.endpoint_url}, [where.endpoint_url])


@command()
@click.option("--all", "every", is_flag=True, help="Show all emails, not only the last.")
@pass_target
def mail(target: Target, *, every: bool) -> None:
    """Show the email that the embedded AWS sent last."""
    local, stack = target.embedded(), target.stack()
    mails = sent_mails(local)
    if not mails and not target.as_json:
        raise Problem(
            f"No email has been sent yet. Upload a file first: {this_command()} drop FILE"
        )
    chosen = mails if every else mails[-1:]
    lines = []
    for message in chosen:
        lines += [f"From: {message['Source']}\nTo: {', '.join(message['To'])}"]
        lines += [f"Subject: {message['Subject']}\n", message["BodyText"]]
        for part in message.get("Attachments", []):
            where = "shown in the HTML" if part["ContentDisposition"] == "INLINE" else "attached"
            lines.append(f"{part['FileName']} ({part['ContentType']}, {where})")
    told = [
        {
            "from": message["Source"],
            "to": message["To"],
            "subject": message["Subject"],
            "text": message["BodyText"],
            "attachments": [part["FileName"] for part in message.get("Attachments", [])],
        }
        for message in chosen
    ]
    answer(target, told, [*lines, f"(The API in the email is here at {stack.api_url})"])


@command(epilog=COMPLETION_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and names."""
    kind: Any = get_completion_class(shell)
    root = context.find_root().command
    click.echo(kind(root, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())
