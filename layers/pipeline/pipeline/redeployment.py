"""Deploying the model of an earlier run again as it was, without training."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
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

    def redeploy(self, item: Mapping[str, Any], *, pins: bool) -> str:
        """Start a run that deploys the model of another as it was; return its name.

        Parameters
        ----------
        item
            That of the run whose model is deployed again.
        pins
            Whether the dataset is pinned with the promotion.

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
        for name in (_model(old.run), *NEEDED):
            if name not in found:
                raise FileGone(name)
        # By the clock of S3, as that of files: this one may be wrong.
        now = parsedate_to_datetime(pages[-1]["ResponseMetadata"]["HTTPHeaders"]["date"])
        dataset = item["dataset"]
        new = layout.RunFolder(f"{dataset}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")
        copies = {name: name for name in found if name.startswith(COPIED)}
        copies[_model(old.run)] = _model(new.run)
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
        # The stack's kind of endpoint serves what was made before datasets had their own.
        if kind := read_json(self.s3, self.bucket, old / layout.SETTINGS).get("endpoint_kind"):
            asked["endpoint_kind"] = kind
        about = {"source": item["source"], "dropped": dropped, "restores": old.run, "pins": pins}
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


def _model(run: str) -> str:
    return f"model/{run}/output/model.tar.gz"
