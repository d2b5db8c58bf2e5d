"""The runs of a dataset, as clients may see them: what became of each file, and no cell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline import layout
from pipeline.objects import read_json_if_there
from pipeline.registry import Status, run_sort
from predict.errors import ApiError, Code, UnknownDataset

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

MAX_RUNS = 100
"""Of an answer."""

MAX_REPORT_BYTES = 5_000_000
"""Of a report: as JSON, with what has to be escaped, a function's answer has 6 MB at the most."""


class Runs:
    """Reads the registry and the runs' folders."""

    def __init__(self, table: Table, s3: S3Client, bucket: str) -> None:
        self._table = table
        self._s3 = s3
        self._bucket = bucket

    def page(self, dataset: str, token: str | None) -> dict[str, Any]:
        """Return runs of a dataset, the newest first, or those that go on after others.

        ``next`` is there if there are more: the token that asks for them. It is the id of the last
        run, but for the dataset.
        """
        if not layout.is_dataset(dataset):
            raise UnknownDataset(dataset)
        query: dict[str, Any] = {
            "KeyConditionExpression": "#dataset = :dataset AND begins_with(#sort, :runs)",
            "ExpressionAttributeNames": {"#dataset": "dataset", "#sort": "sort"},
            "ExpressionAttributeValues": {":dataset": dataset, ":runs": run_sort("")},
            "ScanIndexForward": False,
            "Limit": MAX_RUNS,
        }
        if token is not None:
            last = f"{dataset}-{token}"
            if not layout.is_run_of(dataset, last):
                message = '"next" is not what an answer had as "next".'
                raise ApiError(400, Code.INVALID_NEXT, message)
            query["ExclusiveStartKey"] = {"dataset": dataset, "sort": run_sort(last)}
        found = self._table.query(**query)
        items: list[Any] = found["Items"]
        if not items and token is None:
            raise UnknownDataset(dataset)
        answer: dict[str, Any] = {"runs": [summary(item) for item in items]}
        if "LastEvaluatedKey" in found:
            answer["next"] = items[-1]["run"].removeprefix(f"{dataset}-")
        return answer

    def one(self, dataset: str, run: str) -> dict[str, Any]:
        """Return a run: its summary, how far it is, and what its report tells without cells."""
        check_run(dataset, run)
        item = self._table.get_item(Key={"dataset": dataset, "sort": run_sort(run)}).get("Item")
        if item is None:
            raise unknown_run(dataset, run)
        key = layout.RunFolder(run) / layout.REPORT_FACTS
        reported = read_json_if_there(self._s3, self._bucket, key)
        stages = self._stages(run, item, is_reported=reported is not None)
        # A report tells of a run more than the registry does, also of one of an earlier release.
        return summary(item) | {"stages": stages} | (without_cells(reported) if reported else {})

    def report(self, dataset: str, run: str) -> str:
        """Return the page that the email tells of."""
        check_run(dataset, run)
        key = layout.RunFolder(run) / layout.REPORT
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            message = f'There is no report of a run "{run}".'
            raise ApiError(404, Code.NO_REPORT, message) from None
        if found["ContentLength"] > MAX_REPORT_BYTES:
            raise ApiError(
                413,
                Code.REPORT_TOO_LARGE,
                f"The report has {found['ContentLength']:,} bytes, more than the "
                f"{MAX_REPORT_BYTES:,} that are answered. It is {layout.REPORT} in the run's "
                "folder.",
            )
        return found["Body"].read().decode()

    def _stages(self, run: str, item: Mapping[str, Any], *, is_reported: bool) -> dict[str, bool]:
        """Return which stages are done: by what each leaves, so a later one tells of all before.

        An endpoint leaves nothing in the folder. That it is deployed shows when it is asked.
        """
        # A release before 0.2 didn't note it.
        promoted = "promoted" in item or item["status"] in (Status.LIVE, Status.RETIRED)
        validated = promoted or self._has(layout.RunFolder(run) / layout.METRICS)
        folder = layout.RunFolder(run)
        deployed = validated or self._has(layout.AsyncFolder(run) / "input/validation")
        trained = deployed or self._has(folder / "model/", "/output/model.tar.gz")
        split = trained or self._has(folder / layout.SPLIT)
        prepared = split or self._has(folder / layout.MANIFEST) or self._has(folder / layout.PARTS)
        return {
            "preprocess": prepared,
            "split": split,
            "train": trained,
            "deploy": deployed,
            "validate": validated,
            "promote": promoted,
            "report": is_reported,
        }

    def _has(self, prefix: str, ending: str = "") -> bool:
        """Whether there is a file whose key begins and ends so."""
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=10)
        return any(found["Key"].endswith(ending) for found in listed.get("Contents", ()))


def summary(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the registry tells of a run."""
    told: dict[str, Any] = {"run": item["run"], "status": item["status"]}
    if source := item.get("source"):
        told |= {"file": source["key"].rpartition("/")[2], "version": source["version"]}
    if dropped := item.get("dropped"):
        told["dropped"] = dropped.partition("#")[0]
    if "accuracy" in item:
        told["accuracy"] = float(item["accuracy"])
    for name in ("promoted", "replaced", "restores"):
        if item.get(name):
            told[name] = item[name]
    if error := item.get("error"):
        told["error"] = {"code": error["code"], "remedy": advice(error.get("remedy", ""))}
    return told


def advice(remedy: str) -> str:
    """Return a remedy without what it takes from the file.

    Only commands to paste do, and the sentence before them: a name of a column, which in a file
    without a header is a cell.
    """
    sentence, _, _ = remedy.partition(". ")
    return f"{sentence}." if "\n" in remedy else remedy


def without_cells(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report's facts tell of a run, but for what stands in its rows."""
    told: dict[str, Any] = {}
    if metrics := facts.get("metrics"):
        told |= {"accuracy": metrics["accuracy"], "metrics": metrics}
    if profile := facts.get("profile"):
        told |= {"rows": profile["rows"], "set_aside": profile["rejects"]}
    if choice := facts.get("choice"):
        told["choice"] = {n: choice[n] for n in ("map", "metric", "k", "weights") if n in choice}
    for name, given in (("seconds", "stages"), ("costs", "costs")):
        if facts.get(given):
            told[name] = facts[given]
    return told


def check_run(dataset: str, run: str) -> None:
    """Raise an `ApiError` for what can't be a run of the dataset."""
    if not layout.is_run_of(dataset, run):
        raise unknown_run(dataset, run)


def unknown_run(dataset: str, run: str) -> ApiError:
    """Return the error of a run that there is not."""
    return ApiError(404, Code.UNKNOWN_RUN, f'"{dataset}" has no run "{run}".')
