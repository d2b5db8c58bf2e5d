"""The registry: where each run stands, which run of a dataset is live, and its classes.

Four kinds of item, keyed by ``dataset`` and ``sort``: ``run#<run id>`` is a run's status, ``live``
is the pointer that predictions follow, ``pin`` keeps it as it is, and ``classes`` lists the classes
that the dataset has had, in the order of their integers. Only the state machines write the pointer.
A model that is tried on some of the requests before it goes live stands in it as ``canary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pipeline.layout import SCHEMA, STATUS, RunFolder, dataset_of_run
from pipeline.objects import read_json, write_json
from pipeline.schema import Schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

LIVE = "live"
PIN = "pin"
CLASSES = "classes"


class Status(StrEnum):
    """Where a run stands."""

    PREPARING = "Preparing"
    TRAINING = "Training"
    LIVE = "Live"
    SUPERSEDED = "Superseded"
    HELD = "Held"
    REFUSED = "Refused"
    FAILED = "Failed"
    RETIRED = "Retired"

    @property
    def has_ended(self) -> bool:
        """Whether a run that stands here goes no further, but to be retired."""
        return _RANK[self] >= _RANK[Status.LIVE]


# A status is only ever replaced by itself or by one of a higher rank: an event that comes twice, or
# late, can't take a finished run back to its beginning, nor end it in another way.
_RANK = dict.fromkeys(Status, 2) | {Status.PREPARING: 0, Status.TRAINING: 1, Status.RETIRED: 3}


def run_sort(run: str) -> str:
    """Return the sort key of a run's item."""
    return f"run#{run}"


def record_status(
    table: Table, s3: S3Client, bucket: str, run: str, status: Status, **fields: Any
) -> bool:
    """Write where a run stands to the registry and to its ``status.json``.

    `fields` are merged into what stands there already; a value of None is passed over. Returns
    False, and writes nothing, if the run has got further than `status` or has ended otherwise.
    """
    changes: dict[str, Any] = {
        "run": run,
        "status": str(status),
        "rank": _RANK[status],
        "updated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        **{name: value for name, value in fields.items() if value is not None},
    }
    try:
        answer = table.update_item(
            Key={"dataset": dataset_of_run(run), "sort": run_sort(run)},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            ConditionExpression="attribute_not_exists(#rank) OR #rank < :rank OR #status = :status",
            ExpressionAttributeNames={f"#{name}": name for name in changes},
            ExpressionAttributeValues={f":{name}": value for name, value in changes.items()},
            ReturnValues="ALL_NEW",
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return False
    item = {k: v for k, v in answer["Attributes"].items() if k not in ("sort", "rank")}
    write_json(s3, bucket, RunFolder(run) / STATUS, item)
    return True


@dataclass(frozen=True)
class Canary:
    """The run whose endpoint answers some percent of the requests, to go live if it does well."""

    run: str
    endpoint_name: str
    percent: float


@dataclass(frozen=True)
class LiveModel:
    """The run whose endpoint answers for a dataset."""

    dataset: str
    run: str
    endpoint_name: str
    endpoint_kind: str
    promoted: str
    canary: Canary | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Return what the pointer says."""
        names = ("dataset", "run", "endpoint_name", "endpoint_kind", "promoted")
        tried = item.get("canary")
        canary = tried and Canary(tried["run"], tried["endpoint_name"], float(tried["percent"]))
        return cls(**{name: item[name] for name in names}, canary=canary)


def live_model(table: Table, dataset: str) -> LiveModel | None:
    """Return the live model of a dataset, None if it has none."""
    item = _live_item(table, dataset)
    return LiveModel.of(item) if item else None


def live_run(table: Table, dataset: str) -> str | None:
    """Return the run whose model is live, None if the dataset has none."""
    item = _live_item(table, dataset)
    return str(item["run"]) if item else None


def _live_item(table: Table, dataset: str) -> Mapping[str, Any] | None:
    key = {"dataset": dataset, "sort": LIVE}
    return table.get_item(Key=key, ConsistentRead=True).get("Item")


def live_schema(table: Table, s3: S3Client, bucket: str, dataset: str) -> Schema | None:
    """Return the schema of a dataset's live model, None if it has none."""
    run = live_run(table, dataset)
    if run is None:
        return None
    return Schema.from_dict(read_json(s3, bucket, RunFolder(run) / SCHEMA))


def end_canary(table: Table, dataset: str, run: str) -> None:
    """Send no more requests to a run's model, if it is one that is tried."""
    try:
        table.update_item(
            Key={"dataset": dataset, "sort": LIVE},
            UpdateExpression="REMOVE canary",
            ConditionExpression="canary.#run = :run",
            ExpressionAttributeNames={"#run": "run"},
            ExpressionAttributeValues={":run": run},
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return


def known_classes(table: Table, dataset: str) -> list[str]:
    """Return the classes that a dataset has had, each at the place of its integer."""
    item = table.get_item(Key={"dataset": dataset, "sort": CLASSES}, ConsistentRead=True)
    names: Any = item.get("Item", {}).get("classes", [])
    return list(names)


def register_classes(table: Table, dataset: str, names: Sequence[str]) -> list[str]:
    """Add the classes that a dataset has not had yet, in the order given, and return all.

    The list only grows, so its length tells whether another run has added to it meanwhile.
    """
    while True:
        known = known_classes(table, dataset)
        every = list(dict.fromkeys([*known, *names]))
        if every == known:
            return known
        try:
            table.update_item(
                Key={"dataset": dataset, "sort": CLASSES},
                UpdateExpression="SET classes = :every",
                ConditionExpression="attribute_not_exists(classes) OR size(classes) = :known",
                ExpressionAttributeValues={":every": every, ":known": len(known)},
            )
        except table.meta.client.exceptions.ConditionalCheckFailedException:
            continue
        return every
