"""The models that answer: which run of a dataset is live, and what its columns mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import layout
from pipeline.handling import logger
from pipeline.objects import read_json, read_json_if_there
from pipeline.registry import LIVE, LiveModel, Status, run_sort
from pipeline.schema import Schema
from pipeline.transform import Transform

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client


EARLIER_CHOICE = {"k": 1000, "weights": "uniform"}
"""Stands for the ``choice.json`` that a release before 0.2 didn't write. Its k is more than any of
these models is likely to have, so that answers aren't too large."""

RECENT_RUNS = 20
"""Runs that are looked at to tell a dataset whose first model is being made."""


class UnknownDataset(Exception):
    """No file of this name was ever uploaded."""


class NotLiveYet(Exception):
    """The first model of the dataset is being made."""


class NeverLive(Exception):
    """Files of the dataset were uploaded, but none became a live model; the message says why."""


class Models:
    """Reads the registry and the runs' folders; what never changes is kept in memory."""

    def __init__(self, table: Table, s3: S3Client, bucket: str) -> None:
        self._table = table
        self._s3 = s3
        self._bucket = bucket
        self._schemas: dict[str, Schema] = {}
        self._transforms: dict[str, Transform] = {}
        self._choices: dict[str, dict[str, Any]] = {}

    def live(self, dataset: str) -> LiveModel:
        """Return the live model of a dataset.

        Rereads the pointer each time: a promotion takes effect with the next request.

        Raises
        ------
        UnknownDataset, NotLiveYet, NeverLive
            There is none.
        """
        # API Gateway looks whether a parameter is there, not what it is like. Source: API Gateway
        # developer guide, "Request validation for REST APIs".
        if not layout.is_dataset(dataset):
            raise UnknownDataset(dataset)
        answer = self._table.get_item(Key={"dataset": dataset, "sort": LIVE})
        if item := answer.get("Item"):
            return LiveModel.of(item)
        runs: list[Any] = self._table.query(
            KeyConditionExpression="#dataset = :dataset AND begins_with(#sort, :runs)",
            ExpressionAttributeNames={"#dataset": "dataset", "#sort": "sort"},
            ExpressionAttributeValues={":dataset": dataset, ":runs": run_sort("")},
            ScanIndexForward=False,
            Limit=RECENT_RUNS,
        )["Items"]
        if not runs:
            raise UnknownDataset(dataset)
        if not all(Status(run["status"]).has_ended for run in runs):
            raise NotLiveYet(dataset)
        last = runs[0]
        ended = f"its last run, {last['run']}, is {last['status']}"
        # Its message may quote the file, which whoever has a key need not know.
        code = f" ({last['error']['code']})" if last.get("error") else ""
        raise NeverLive(f'No model of "{dataset}" is live; {ended}{code}. The email says why.')

    def all_live(self) -> list[LiveModel]:
        """Return the live models of all datasets, by name."""
        query: dict[str, Any] = {
            "IndexName": "BySort",
            "KeyConditionExpression": "#sort = :live",
            "ExpressionAttributeNames": {"#sort": "sort"},
            "ExpressionAttributeValues": {":live": LIVE},
        }
        found: list[LiveModel] = []
        while True:
            page = self._table.query(**query)
            for item in page["Items"]:
                try:
                    found.append(LiveModel.of(item))
                except KeyError:
                    # Nobody is to miss the others because of it.
                    logger.exception("unreadable item", extra={"dataset": item["dataset"]})
            if "LastEvaluatedKey" not in page:
                return found
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def schema(self, run: str) -> Schema:
        """Return the schema that a run's model was trained with."""
        if run not in self._schemas:
            self._schemas[run] = Schema.from_dict(self._read(run, layout.SCHEMA))
        return self._schemas[run]

    def transform(self, run: str) -> Transform:
        """Return what is done to features before a run's model sees them.

        A release before 0.2 wrote none where they are taken as they are.
        """
        if run not in self._transforms:
            fields = self._read_if_there(run, layout.TRANSFORM)
            self._transforms[run] = (
                Transform.from_dict(fields)
                if fields
                else Transform.of_numbers(self.schema(run).features)
            )
        return self._transforms[run]

    def choice(self, run: str) -> dict[str, Any]:
        """Return how many neighbours vote, and what their votes weigh."""
        if run not in self._choices:
            self._choices[run] = self._read_if_there(run, layout.CHOICE) or EARLIER_CHOICE
        return self._choices[run]

    def metrics(self, run: str) -> dict[str, Any]:
        """Return the metrics of a run's validation."""
        metrics: dict[str, Any] = self._read(run, layout.METRICS)
        return metrics

    def _read(self, run: str, name: str) -> Any:
        return read_json(self._s3, self._bucket, layout.RunFolder(run) / name)

    def _read_if_there(self, run: str, name: str) -> Any:
        return read_json_if_there(self._s3, self._bucket, layout.RunFolder(run) / name)
