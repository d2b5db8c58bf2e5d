"""The models that answer: which run of a dataset is live, and what its columns mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import layout
from pipeline.handling import logger
from pipeline.objects import read_json, read_json_if_there
from pipeline.registry import LIVE, LiveModel, Status, run_sort
from pipeline.schema import Schema
from pipeline.transform import Transform
from predict.errors import RETRY_AFTER, ApiError, Code, UnknownDataset
from predict.runs import advice

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client


EARLIER_CHOICE = {"k": 1000, "weights": "uniform"}
"""Stands for the ``choice.json`` that a release before 0.2 didn't write. Its k is more than any of
these models is likely to have, so that answers aren't too large."""

RECENT_RUNS = 20
"""Runs that are looked at to tell a dataset whose first model is being made."""


class Models:
    """Reads the registry and the runs' folders; what never changes is kept in memory."""

    def __init__(self, table: Table, s3: S3Client, bucket: str) -> None:
        self._table = table
        self._s3 = s3
        self._bucket = bucket
        self._schemas: dict[str, Schema] = {}
        self._transforms: dict[str, Transform] = {}
        self._choices: dict[str, dict[str, Any]] = {}
        self._profiles: dict[str, dict[str, dict[str, Any]]] = {}
        self._examples: dict[str, list[Any]] = {}

    def live(self, dataset: str) -> LiveModel:
        """Return the live model of a dataset.

        Rereads the pointer each time: a promotion takes effect with the next request.

        Raises
        ------
        ApiError
            There is none, and this says why.
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
            message = (
                f'The first model of "{dataset}" is being made; GET /datasets lists the live ones.'
            )
            raise ApiError(503, Code.NOT_LIVE_YET, message, RETRY_AFTER)
        last = runs[0]
        message = (
            f'No model of "{dataset}" is live; its last run, {last["run"]}, is {last["status"]}'
        )
        # Not the error's message, which may quote the file: whoever has a key need not know it.
        if error := last.get("error"):
            message += f" ({error['code']}). {advice(error.get('remedy', ''))}"
        raise ApiError(404, Code.NEVER_LIVE, f"{message.removesuffix('.')}. The email says why.")

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

    def profile(self, run: str) -> dict[str, dict[str, Any]]:
        """Return what is known of the values of each feature; a first release knew nothing."""
        if run not in self._profiles:
            profile = self._read_if_there(run, layout.PROFILE) or {}
            self._profiles[run] = profile.get("features", {})
        return self._profiles[run]

    def example(self, run: str) -> list[Any] | None:
        """Return a held-out row as the API takes it, None until the run is reported."""
        if run not in self._examples:
            facts = self._read_if_there(run, layout.REPORT_FACTS) or {}
            if facts.get("example") is None:
                return None
            self._examples[run] = facts["example"]
        return self._examples[run]

    def unused_columns(self, run: str) -> list[str]:
        """Return the columns of a run's file that its model doesn't use, such as the label."""
        schema = self.schema(run)
        features = frozenset(schema.features)
        return [schema.label, *(c.name for c in schema.columns if c.name not in features)]

    def _read(self, run: str, name: str) -> Any:
        return read_json(self._s3, self._bucket, layout.RunFolder(run) / name)

    def _read_if_there(self, run: str, name: str) -> Any:
        return read_json_if_there(self._s3, self._bucket, layout.RunFolder(run) / name)
