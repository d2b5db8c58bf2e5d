"""Deploying the model of an earlier run again as it was, without training."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline import layout
from pipeline.objects import read_json
from pipeline.registry import Status, record_status, run_sort

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

NEEDED = (
    *(layout.SCHEMA, layout.SETTINGS, layout.SAMPLE, layout.TRANSFORM, layout.CHOICE),
    *(layout.SPLIT, layout.METRICS),
)
"""What the folder of a run must have, besides its model, to be validated again."""

COPIED = (
    *(layout.SCHEMA, layout.SETTINGS, layout.SAMPLE, layout.PROFILE, layout.TRANSFORM),
    *(layout.CHOICE, layout.SPLIT, layout.TRAINING_SAMPLE),
    *("test/", layout.HELD_OUT.removesuffix(".csv"), "fingerprints/"),
)
"""What the names begin with of the files that Predict, Validate and Report need. The manifest isn't
among them: its creation starts a split."""


class FileGone(Exception):
    """A file of the run is gone that it takes; the message is its name."""


@dataclass(frozen=True)
class Redeployer:
    """Starts runs that deploy models again."""

    s3: S3Client
    table: Table
    sfn: SFNClient
    bucket: str
    state_machine_arn: str

    def redeploy(
        self, item: Mapping[str, Any], *, pins: bool = False, repairs: bool = False
    ) -> str:
        """Start a run that deploys the model of another as it was; return its name.

        Parameters
        ----------
        item
            That of the run whose model is deployed again.
        pins
            Whether the dataset is pinned with the promotion.
        repairs
            Whether it is the live model, which is deployed again whether the dataset is pinned or
            not.

        Raises
        ------
        FileGone
            A file that it takes is gone.
        """
        old = layout.RunFolder(item["run"])
        pages = list(
            self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{old.prefix}/"
            )
        )
        found = {
            each["Key"].removeprefix(f"{old.prefix}/")
            for page in pages
            for each in page.get("Contents", ())
        }
        # Of several training jobs the last one has made the model.
        models = [name for name in _models(old.run) if name in found]
        if not models:
            raise FileGone(_model(old.run))
        for name in NEEDED:
            if name not in found:
                raise FileGone(name)
        # By the clock of S3, as that of files: this one may be wrong.
        now = parsedate_to_datetime(pages[-1]["ResponseMetadata"]["HTTPHeaders"]["date"])
        dataset = item["dataset"]
        new = layout.RunFolder(f"{dataset}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")
        copies = {name: name for name in found if name.startswith(COPIED)}
        copies[models[0]] = _model(new.run)
        for name, copy in copies.items():
            self.s3.copy({"Bucket": self.bucket, "Key": old / name}, self.bucket, new / copy)
        # Later than all files of this second.
        dropped = f"{now:%Y-%m-%dT%H:%M:%SZ}#{'f' * 32}"
        asked = {
            "run": new.run,
            "dataset": dataset,
            "dropped": dropped,
            "restores": old.run,
            "pins": pins,
        }
        if repairs:
            asked["repairs"] = True
        # The stack's kind of endpoint serves what was made before datasets had their own.
        if kind := read_json(self.s3, self.bucket, old / layout.SETTINGS).get("endpoint_kind"):
            asked["endpoint_kind"] = kind
        about = {
            "source": item.get("source"),
            "dropped": dropped,
            "restores": old.run,
            "pins": pins,
        }
        record_status(self.table, self.s3, self.bucket, new.run, Status.TRAINING, **about)
        try:
            self.sfn.start_execution(
                stateMachineArn=self.state_machine_arn, name=new.run, input=json.dumps(asked)
            )
        except ClientError:
            # Otherwise it would stay a run under way for ever.
            self.table.delete_item(Key={"dataset": dataset, "sort": run_sort(new.run)})
            raise
        return new.run


def _models(run: str) -> list[str]:
    """Return where the training jobs of a run put their models, the last job first."""
    return [f"model/{job}/output/model.tar.gz" for job in (f"{run}-3", f"{run}-2", run)]


def _model(run: str) -> str:
    return _models(run)[-1]


def run_before[Item: Mapping[str, Any]](items: Sequence[Item], live: str) -> Item | None:
    """Return the run that was live before the present one, None if there is none to go back to.

    A model that was rolled back from is passed over, unless it was live again later and a newer
    file took its place. So a second rollback goes one further back, not to the bad model.
    """
    by_name = {item["run"]: item for item in items}

    def model(name: str) -> Any:
        """Return the run that a run's model was trained in."""
        while name in by_name and (restores := by_name[name].get("restores")):
            name = restores
        return name

    lived = sorted(filter(was_live, items), key=_when_live)
    seen = {model(live)}
    for item, successor in [*pairwise(lived)][::-1]:
        if model(item["run"]) in seen:
            continue
        seen.add(model(item["run"]))
        if not successor.get("pins"):
            return item
    return None


def was_live(item: Mapping[str, Any]) -> bool:
    """Whether a run is live, or was."""
    return "replaced" in item or item["status"] in (Status.LIVE, Status.RETIRED)


def _when_live(item: Mapping[str, Any]) -> str:
    """Return since when a run was live; of a release before 0.2 about when its file was dropped."""
    return str(item.get("promoted") or item.get("dropped", ""))
