"""Batches: files of rows that clients upload, and fetch again with what the model predicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline import layout
from pipeline.batch import BatchStatus, read_status, write_status
from predict.errors import ApiError, Code
from predict.runs import advice
from predict.uploads import check_name

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from predict.uploads import Inbox

URL_SECONDS = 900
"""How long a URL to download from is valid; each request gives a new one."""

_TOLD = ("batch", "status", "file", "run", "rows", "scored", "set_aside", "predicted")


class Batches:
    """Reads and writes where batches stand."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def create(self, dataset: str, inbox: Inbox, body: str) -> dict[str, Any]:
        """Return the id of a new batch of a dataset, and how to put its file into the inbox."""
        batch = layout.new_batch_id(dataset)
        presigned = inbox.presigned_put(f"{layout.SCORE}{dataset}/{batch}.csv", {}, once=True)
        file = _name(body) or f"{batch}.csv"
        write_status(self._s3, self._bucket, batch, BatchStatus.WAITING, file=file)
        return {"batch": batch, **presigned}

    def one(self, dataset: str, batch: str) -> dict[str, Any]:
        """Return where a batch stands, with URLs of its result; no cell of its file."""
        if not layout.is_run_of(dataset, batch):
            raise _unknown(dataset, batch)
        folder = layout.BatchFolder(batch)
        found = read_status(self._s3, self._bucket, batch)
        if found is None:
            raise _unknown(dataset, batch)
        told = {name: found[name] for name in _TOLD if name in found}
        if error := found.get("error"):
            told["error"] = {"code": error["code"], "remedy": advice(error["remedy"])}
        if found["status"] == BatchStatus.SCORED:
            stem = layout.stem(found["file"])
            told["result"] = self._url(folder / layout.RESULT, f"{stem} scored.csv")
            if found["set_aside"]:
                rejects = self._url(folder / layout.BATCH_REJECTS, f"{stem} set aside.csv")
                told["rejects"] = rejects
        return told

    def _url(self, key: str, name: str) -> str:
        """Return a URL by which anybody can download an object for a while."""
        plain = "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name
        )
        where = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{plain}"',
        }
        return self._s3.generate_presigned_url("get_object", where, ExpiresIn=URL_SECONDS)


def _name(body: str) -> str | None:
    """Return the name that a request gives its file, if it gives one."""
    try:
        fields = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise ApiError(400, Code.INVALID_JSON, f"The body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ApiError(400, Code.INVALID_JSON, 'The body must be an object, or {"name": …}.')
    if "name" not in fields:
        return None
    return check_name(fields["name"])


def _unknown(dataset: str, batch: str) -> ApiError:
    return ApiError(404, Code.UNKNOWN_BATCH, f'"{dataset}" has no batch "{batch}".')
