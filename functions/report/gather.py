"""What a report is about: gathered from the state machine, the registry and a run's folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from pipeline import layout
from pipeline.handling import logger, metrics
from pipeline.objects import read_json_if_there
from pipeline.registry import Status
from pipeline.schema import Schema
from report.costs import costs
from report.explain import explain
from report.facts import Facts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from report.pictures import Picture

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
"""Where the console of a partition is. Source: AWS Sign-In user guide, "Sign-in URLs", and those of
China and AWS GovCloud (US)."""

_MAX_FEATURES = 100
"""Features that are looked at for the pictures, which show the most telling of them."""


@dataclass(frozen=True)
class ReportedRun:
    """The folder of a run that is reported."""

    s3: S3Client
    bucket: str
    run: str

    @property
    def folder(self) -> layout.RunFolder:
        """The keys of its files."""
        return layout.RunFolder(self.run)

    def read(self, name: str) -> Any:
        """Return what a JSON file holds, None if the run hasn't come to it."""
        return read_json_if_there(self.s3, self.bucket, self.folder / name)

    def stages(self, dropped: str) -> dict[str, float]:
        """Return the seconds that each stage took, by the times of what it wrote last."""
        took: dict[str, float] = {}
        if not dropped:
            return took
        began = datetime.fromisoformat(dropped.partition("#")[0])
        for stage, name in (
            ("Preprocess", layout.MANIFEST),
            ("Split", layout.SPLIT),
            ("train, deploy and validate", layout.METRICS),
        ):
            try:
                found = self.s3.head_object(Bucket=self.bucket, Key=self.folder / name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "404":
                    raise
                break
            took[stage] = max((found["LastModified"] - began).total_seconds(), 0.0)
            began = found["LastModified"]
        return took

    def console_links(self, execution: str | None) -> dict[str, str]:
        """Return the pages of AWS's console that show a run's folder, and its execution.

        There is none of an AWS that is not at AWS's own address.
        """
        region, domain = self.s3.meta.region_name, _CONSOLES.get(self.s3.meta.partition)
        if domain is None or "amazonaws" not in self.s3.meta.endpoint_url:
            return {}
        console = f"https://{region}.{domain}"
        prefix = quote(f"{self.folder.prefix}/")
        links = {"files": f"{console}/s3/buckets/{self.bucket}?region={region}&prefix={prefix}"}
        if execution:
            links["execution"] = (
                f"{console}/states/home?region={region}#/v2/executions/details/{execution}"
            )
        return links


def problem_of(event: Mapping[str, Any]) -> dict[str, str] | None:
    """Return why a run came to nothing, in words, None if it didn't."""
    problem: dict[str, str] | None = event.get("problem")
    if problem and "Error" in problem:
        return explain(problem["Error"], problem.get("Cause", ""))
    return problem


def gather(
    event: Mapping[str, Any],
    item: Mapping[str, Any],
    files: ReportedRun,
    *,
    live_run: str | None,
    api_url: str,
    api_authorization: str,
    instance_type: str,
) -> Facts:
    """Return the facts of a run: what the state machine passes, its item, and its folder."""
    status = Status(event["outcome"])
    source: Any = item["source"]
    has_page = status is Status.LIVE and api_authorization == "key"
    took = files.stages(str(item.get("dropped", "")))
    return Facts(
        run=files.run,
        dataset=event["dataset"],
        status=status,
        source=f"s3://{source['bucket']}/{source['key']}",
        version=source.get("version", ""),
        folder=f"s3://{files.bucket}/{files.folder.prefix}/",
        metrics=files.read(layout.METRICS),
        wrong=files.read(layout.WRONG),
        profile=files.read(layout.PROFILE),
        schema=files.read(layout.SCHEMA),
        settings=files.read(layout.SETTINGS) or {},
        split=files.read(layout.SPLIT),
        choice=files.read(layout.CHOICE),
        training_accuracy=event.get("training_accuracy"),
        problem=problem_of(event),
        canary=event.get("canary"),
        restores=str(item.get("restores", "")),
        pins=bool(item.get("pins", False)),
        repairs=bool(item.get("restores")) and item["restores"] == event.get("replaced"),
        previous_is_live=status in (Status.REFUSED, Status.FAILED, Status.HELD)
        and live_run not in (None, files.run),
        predictions_url=f"{api_url}/datasets/{event['dataset']}/predictions"
        if status is Status.LIVE
        else None,
        api_authorization=api_authorization,
        stages=took,
        costs=costs(took, event.get("billable_seconds"), instance_type),
        links=files.console_links(event.get("execution"))
        # The page can only ask for a key.
        | ({"page": f"{api_url}/#/{event['dataset']}"} if has_page else {}),
    )


def illustrated(facts: Facts, files: ReportedRun) -> tuple[Facts, Sequence[Picture]]:
    """Return the facts with an example, and the pictures: held-out rows, read and drawn.

    A report without pictures is better than none: what keeps them from being drawn is logged.
    """
    if facts.choice is None and facts.metrics is None:
        return facts, ()
    try:
        # matplotlib remembers fonts there; a function's home can't be written to.
        os.environ.setdefault("MPLCONFIGDIR", f"{tempfile.gettempdir()}/matplotlib")
        # They take a second to import, which refusals don't need.
        from report.pictures import draw
        from report.sample import instance_of, read_table, sample_of

        sample = None
        if facts.metrics and facts.schema and "columns" in facts.schema:
            schema = Schema.from_dict(facts.schema)
            table = read_table(files.s3, files.bucket, files.folder / layout.PREDICTIONS)
            sample = sample_of(table, schema, schema.features[:_MAX_FEATURES])
            facts = replace(facts, example=instance_of(table, schema))
        return facts, draw(facts.metrics, facts.choice, sample)
    except Exception:
        logger.exception("no pictures")
        metrics.add_metric("ReportsWithoutPictures", MetricUnit.Count, 1)
        return facts, ()
