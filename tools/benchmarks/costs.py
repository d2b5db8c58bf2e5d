"""What the application costs: a run, a month without one, a thousand predictions.

Prints the tables of ``docs/operations.md``: ``python -m tools.benchmarks.costs``. How many states a
run passes, how long it waits, how much memory functions have and how many alarms there are is read
from the template and the state machines; how long things take on AWS is assumed, and can be given.
"""

import argparse
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
HOURS_A_MONTH = 730
SWEEPS_A_MONTH = 6 * HOURS_A_MONTH
"""Each takes a second."""
KINDS = ("serverless", "async", "realtime")


@dataclass(frozen=True)
class Prices:
    """List prices in USD, us-east-1, on demand, without free tiers, as they were in 2025.

    Source: the pricing page of each service (Lambda, Step Functions, SageMaker AI, API Gateway,
    DynamoDB, S3, CloudWatch, X-Ray, KMS, PrivateLink). They change: look before you rely on them.
    """

    lambda_gb_second: float = 0.0000166667
    lambda_request: float = 0.20 / 1e6
    state_transition: float = 0.025 / 1e3
    instance_hour: float = 0.115
    """ml.m5.large, for training and for hosting."""
    volume_gb_month: float = 0.14
    serverless_gb_second: float = 0.00002
    api_request: float = 3.50 / 1e6
    table_write: float = 0.625 / 1e6
    table_read: float = 0.125 / 1e6
    s3_put: float = 0.005 / 1e3
    s3_get: float = 0.0004 / 1e3
    s3_gb_month: float = 0.023
    log_gb: float = 0.50
    metric_month: float = 0.30
    alarm_month: float = 0.10
    dashboard_month: float = 3.00
    trace: float = 5.00 / 1e6
    key_month: float = 1.00
    interface_hour: float = 0.01
    """An interface endpoint in an availability zone."""


@dataclass(frozen=True)
class Assumptions:
    """How long things take on AWS, in seconds, and how large they are; for a file as small as iris.

    None of it was measured there.
    """

    training: float = 120
    endpoint: float = 180
    function: float = 3
    """Each of the functions that a run calls, its cold start included."""
    prediction: float = 0.1
    """Predict, and the endpoint that it asks, each."""
    stored_gb: float = 1
    log_kb: float = 20
    """Of a run."""


@dataclass(frozen=True)
class Application:
    """What the template and the state machines say."""

    states: Mapping[str, Any]
    memory_gb: Mapping[str, float]
    serverless_gb: float
    volume_gb: float
    alarms: int
    mail_alarms: int
    interfaces: int

    def transitions(self, seconds_to_endpoint: float) -> int:
        """How many states a run passes that goes live and replaces none, polls included."""
        way = [
            "Begin",
            "What is asked?",
            "Train",
            "Deploy endpoint",
            "Is it deployed?",
            "Validate",
            "Good enough?",
            "Read registry",
            "May it go live?",
            "Promote",
            "Scale",
            "Report",
            "What is left to do?",
            "Done",
        ]
        deployment = [
            "What to deploy",
            "Create model",
            "Create endpoint configuration",
            "Create endpoint",
            "Describe endpoint",
            "In service?",
            "In service",
        ]
        for state, following in [*itertools.pairwise(way), *itertools.pairwise(deployment)]:
            if following not in self.successors(state):
                raise ValueError(f"{state} doesn't lead to {following}: adapt benchmarks/costs.py")
        wait: int = self.states["Wait for endpoint"]["Seconds"]
        return len(way) + len(deployment) + 3 * round(seconds_to_endpoint / wait)

    def successors(self, name: str) -> set[str]:
        """Return the states that may come after a state."""
        state = self.states[name]
        ways = [state.get("Next"), state.get("Default")]
        ways += [choice["Next"] for choice in state.get("Choices", [])]
        return {way for way in ways if way}


def application() -> Application:
    """Read what the template and the state machines say."""
    from samcli.yamlhelper import yaml_parse

    template = yaml_parse((PROJECT / "template.yaml").read_text())
    resources, parameters = template["Resources"], template["Parameters"]
    usual = template["Globals"]["Function"]["MemorySize"]
    network = yaml_parse((PROJECT / "companions/vpc_endpoints.yaml").read_text())
    machines = ("train_deploy_validate.asl.json", "deploy_endpoint.asl.json")
    definitions = [json.loads((PROJECT / "statemachine" / name).read_text()) for name in machines]
    return Application(
        states={name: state for d in definitions for name, state in d["States"].items()},
        memory_gb={
            name.removesuffix("Function"): resource["Properties"].get("MemorySize", usual) / 1024
            for name, resource in resources.items()
            if resource["Type"] == "AWS::Serverless::Function"
        },
        serverless_gb=parameters["ServerlessMemorySizeInMB"]["Default"] / 1024,
        volume_gb=parameters["TrainingVolumeSizeInGB"]["Default"],
        alarms=sum(
            resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource
            for resource in resources.values()
        ),
        mail_alarms=sum(
            resource["Type"] == "AWS::CloudWatch::Alarm"
            and resource.get("Condition") == "MailsReports"
            for resource in resources.values()
        ),
        interfaces=sum(
            resource.get("Properties", {}).get("VpcEndpointType") == "Interface"
            # An option, and not made unless it is asked for.
            and resource.get("Condition") != "HasVerdictEndpoint"
            for resource in network["Resources"].values()
        ),
    )


def run(app: Application, prices: Prices, assumed: Assumptions, kind: str) -> dict[str, float]:
    """Return what a run costs that goes live, by what it is spent on."""
    called = ("Preprocess", "Split", "Validate", "Report")
    gb_seconds = sum(app.memory_gb[name] for name in called) * assumed.function
    hours = assumed.training / 3600
    return {
        "training": hours
        * (prices.instance_hour + app.volume_gb * prices.volume_gb_month / HOURS_A_MONTH),
        "state machine": app.transitions(assumed.endpoint) * prices.state_transition,
        "functions": gb_seconds * prices.lambda_gb_second + len(called) * prices.lambda_request,
        # Files, table items, log and metrics; the order of magnitude, which is what matters.
        "the rest": 20 * prices.s3_put
        + 40 * prices.s3_get
        + 15 * prices.table_write
        + 10 * prices.table_read
        + assumed.log_kb / 1e6 * prices.log_gb
        + 20 * prices.metric_month / HOURS_A_MONTH
        + 3 * prices.trace,
    }


def idle_month(
    app: Application, prices: Prices, assumed: Assumptions, kind: str
) -> dict[str, float]:
    """Return what a month costs in which nothing happens, with one live model."""
    return {
        # An asynchronous one that nobody asks has no instance.
        "endpoint": prices.instance_hour * HOURS_A_MONTH if kind == "realtime" else 0,
        # With the one that wakes an asynchronous endpoint, and the two of its policy.
        "alarms": (app.alarms + (3 if kind == "async" else 0)) * prices.alarm_month,
        "sweeper": SWEEPS_A_MONTH
        * (app.memory_gb["Sweep"] * prices.lambda_gb_second + prices.lambda_request),
        "storage": assumed.stored_gb * prices.s3_gb_month,
    }


def predictions(
    app: Application, prices: Prices, assumed: Assumptions, kind: str
) -> dict[str, float]:
    """Return what a thousand predictions cost, each a request of its own."""
    function = app.memory_gb["Predict"] * assumed.prediction * prices.lambda_gb_second
    asynchronous = 2 if kind == "async" else 1  # A second request fetches the answer.
    endpoint = app.serverless_gb * assumed.prediction * prices.serverless_gb_second
    files = 3 * prices.s3_put + 4 * prices.s3_get
    return {
        "API": 1000 * asynchronous * prices.api_request,
        "functions": 1000 * asynchronous * (function + prices.lambda_request),
        "endpoint": 1000 * endpoint if kind == "serverless" else 0,
        "the rest": 1000
        * (asynchronous * (prices.table_read + prices.trace / 20) + (kind == "async") * files),
    }


def table(title: str, columns: Mapping[str, Mapping[str, float]], digits: int) -> list[str]:
    """Return a Markdown table of costs, an endpoint kind a column."""
    rows = list(next(iter(columns.values())))
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for row in rows:
        cells = [f"{column[row]:.{digits}f}" for column in columns.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    totals = [f"**{sum(column.values()):.{digits}f}**" for column in columns.values()]
    return [*lines, "| **all, USD** | " + " | ".join(totals) + " |"]


def tables(prices: Prices, assumed: Assumptions) -> list[str]:
    """Return the lines of all tables."""
    app = application()
    lines = []
    for title, cost, digits in (
        ("per run", run, 4),
        ("per month, idle", idle_month, 2),
        ("per 1000 predictions", predictions, 4),
    ):
        columns = {kind: cost(app, prices, assumed, kind) for kind in KINDS}
        lines += [*table(title, columns, digits), ""]
    mail_alarms = app.mail_alarms * prices.alarm_month
    network = 2 * app.interfaces * prices.interface_hour * HOURS_A_MONTH
    return [
        *lines,
        f"Options, per month: the alarms of emails {mail_alarms:.2f} USD; `CreateDashboard=yes` "
        f"{prices.dashboard_month:.2f} USD; `EncryptionKey=new`",
        f"{prices.key_month:.2f} USD; the "
        "interface endpoints of `companions/vpc_endpoints.yaml` in two availability zones "
        f"{network:.2f} USD.",
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What the application costs, in USD.")
    for assumption in fields(Assumptions):
        flag = "--" + re.sub("_", "-", assumption.name)
        parser.add_argument(flag, type=float, default=assumption.default)
    print("\n".join(tables(Prices(), Assumptions(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
