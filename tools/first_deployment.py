"""The first deployment to an account, tried from end to end.

``python -m tools.first_deployment --address you@example.com`` checks the account, deploys a stack
of its own, makes an iris model live on each kind of endpoint, predicts, rolls back, takes
everything down and says what it cost. With ``--embedded`` it does the same on the embedded AWS, on
the stack that is there.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from cli.doctor import checks
from cli.errors import Problem
from cli.folder import read_facts
from cli.follow import all_runs
from cli.settings import ROOT
from cli.stack import Stack, find_stack, predict
from cli.target import Target
from tools.benchmarks.costs import Prices

KINDS = ("serverless", "async", "realtime")
IRIS = ROOT / "data/iris.csv"
ROW = (5.1, 3.5, 1.4, 0.2)


@dataclass(frozen=True)
class Deployment:
    """A stack, on AWS or on the embedded AWS."""

    name: str
    embedded: bool

    def cli(self, *arguments: str) -> str:
        """Run a command of the command line; return what it prints.

        Raises
        ------
        Problem
            It fails: the message is what it says.
        """
        where = [] if self.embedded else ["--aws", "--stack-name", self.name]
        command = [sys.executable, "-m", "cli", *where, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(f"{' '.join(arguments)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def stack(self) -> Stack:
        """Return the deployed stack."""
        if not self.embedded:
            return find_stack(self.name, None)
        return Target().stack()


def try_kind(deployment: Deployment, kind: str) -> None:
    """Make an iris model live on a kind of endpoint, and predict.

    Raises
    ------
    Problem
        It does not go live, or answers something else than setosa.
    """
    dataset = f"first-{kind}"
    deployment.cli("drop", str(IRIS), "--dataset", dataset, "--set", f"endpoint_kind={kind}")
    expect(deployment, dataset)


def expect(deployment: Deployment, dataset: str) -> None:
    """Predict a setosa.

    Raises
    ------
    Problem
        It is none.
    """
    status, answer = predict(deployment.stack(), dataset, [ROW])
    labels = [each["label"] for each in answer.get("predictions", [])]
    if (status, labels) != (200, ["setosa"]):
        raise Problem(f"{dataset} answers {status}: {answer}")


def go_back(deployment: Deployment, dataset: str) -> None:
    """Let another model go live, and roll back.

    Raises
    ------
    Problem
        The model that answers afterwards is another one.
    """
    first = live_run(deployment, dataset)
    changed = ("--set", "k=1", "--allow-changes")
    deployment.cli("drop", str(IRIS), "--dataset", dataset, *changed)
    deployment.cli("rollback", dataset)
    stack = deployment.stack()
    (item,) = [i for i in all_runs(stack, dataset) if i["run"] == live_run(deployment, dataset)]
    if item.get("restores") != first:
        raise Problem(f"Not {first} is live again, but {item}")
    expect(deployment, dataset)


def live_run(deployment: Deployment, dataset: str) -> str:
    """Return the run of a dataset that is live."""
    live = [i["run"] for i in all_runs(deployment.stack(), dataset) if i["status"] == "Live"]
    return str(live[-1])


def cost(deployment: Deployment, hours: float) -> float:
    """Return what was spent in USD, about: runs, and an instance for two kinds of endpoint."""
    stack = deployment.stack()
    runs = sum(
        sum(read_facts(stack, item["run"]).costs.values())
        for kind in KINDS
        for item in all_runs(stack, f"first-{kind}")
    )
    return runs + 2 * hours * Prices().instance_hour


def deploy(name: str, address: str) -> None:
    """Build and deploy the stack.

    Raises
    ------
    Problem
        It fails.
    """
    command = ["make", "deploy", f"ADDRESS={address}", f"DEPLOY=--stack-name {name}"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Problem("The stack failed to deploy; see above.")


def take_down(name: str) -> None:
    """Delete the stack.

    Raises
    ------
    Problem
        It fails.
    """
    command = ["sam", "delete", "--no-prompts", "--stack-name", name]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Problem("The stack was not deleted; see above.")


@click.command(help=__doc__)
@click.option("--address", help="Where reports go. Needed on AWS.")
@click.option("--stack-name", default="knn-first", show_default=True)
@click.option("--embedded", is_flag=True, help="On the embedded AWS, which must run: make run.")
@click.option("--keep", is_flag=True, help="Don't take the stack down.")
def main(*, address: str | None, stack_name: str, embedded: bool, keep: bool) -> None:
    """Try everything, one step after the other."""
    deployment, began = Deployment(stack_name, embedded), time.monotonic()
    if not embedded:
        if not address:
            raise Problem("Whom to mail? --address you@example.com")
        for each in checks(Target(aws=True)):
            click.echo(f"  {each.mark} {each.what}: {each.found}\n    {each.remedy}".rstrip())
            if each.state == "wrong":
                raise Problem(f"{each.found}. {each.remedy}")
        deploy(stack_name, address)
    try:
        try_all(deployment)
        spent = cost(deployment, (time.monotonic() - began) / 3600)
    finally:
        if not embedded:
            end(stack_name, keep=keep)
    click.echo(f"Runs and endpoints cost about {spent:.2f} USD{' on AWS' if embedded else ''}.")


def try_all(deployment: Deployment) -> None:
    """Try each kind of endpoint, a rollback, and whether anything is left behind.

    Raises
    ------
    Problem
        Something doesn't work.
    """
    for kind in KINDS:
        with step(f"{kind}: upload, train, deploy, validate, predict"):
            try_kind(deployment, kind)
    with step("a worse model goes live, and is rolled back"):
        go_back(deployment, f"first-{KINDS[0]}")
    with step("nothing is left behind"):
        found = deployment.cli("sweep", "--dry-run")
        if "first-" in found:
            raise Problem(found)


def end(stack_name: str, *, keep: bool) -> None:
    """Take the stack down, or say that it costs money."""
    if keep:
        click.echo(
            f"The stack {stack_name} is still there and costs money. Take it down: sam delete "
            f"--stack-name {stack_name}"
        )
        return
    with step("take the stack down"):
        take_down(stack_name)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    began, mark = time.monotonic(), "✗"
    try:
        yield
        mark = "✓"
    finally:
        click.echo(f"{mark} {what}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
