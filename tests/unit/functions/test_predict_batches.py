"""Batches: how one is created, and what clients are told of it."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.batch import BatchStatus, write_status
from pipeline.layout import RUN, Source, batch_id, dataset_to_score, is_dataset
from predict.batches import Batches
from predict.errors import ApiError
from tests.unit.functions.test_score import SCORED

SCORED_BATCH = SCORED["batch"]


class Bucket:
    """Keeps objects, and signs what it is asked to sign."""

    class exceptions:  # noqa: N801 - as boto3 calls it
        NoSuchKey = ClientError

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, **_: str) -> None:  # noqa: N803
        self.objects[Key] = Body

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def generate_presigned_url(self, _: str, where: dict[str, str], ExpiresIn: int) -> str:  # noqa: N803
        return f"{where['Key']}?{where['ResponseContentDisposition']}&{ExpiresIn}"


class Inbox:
    """Presigns as Predict's does."""

    def presigned_put(self, key: str, metadata: dict[str, str], *, once: bool) -> dict[str, Any]:
        assert once
        return {"upload": {"url": key, "headers": metadata}, "key": key, "expires": "soon"}


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def batches(bucket: Bucket) -> Any:
    s3: Any = bucket
    return Batches(s3, "runs")


def test_a_batch_waits_for_its_file_under_a_name_that_leads_back_to_it(batches):
    created = batches.create("iris", Inbox(), '{"name": "new ones.csv"}')
    batch = created["batch"]
    assert created["key"] == f"score/iris/{batch}.csv"
    assert batches.one("iris", batch) == {
        "batch": batch,
        "status": "Waiting",
        "file": "new ones.csv",
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [("{", "InvalidJson"), ("[]", "InvalidJson"), ('{"name": "a/b.csv"}', "InvalidUpload")],
)
def test_a_request_that_makes_no_sense_creates_nothing(batches, bucket, body, code):
    with pytest.raises(ApiError) as refused:
        batches.create("iris", Inbox(), body)
    assert refused.value.code == code
    assert not bucket.objects


def test_a_request_need_not_name_the_file(batches):
    batch = batches.create("iris", Inbox(), "")["batch"]
    assert batches.one("iris", batch)["file"] == f"{batch}.csv"


def test_who_asks_for_a_scored_batch_gets_its_counts_and_where_its_files_are(batches, bucket):
    told = {name: SCORED[name] for name in ("run", "rows", "scored", "set_aside", "predicted")}
    s3: Any = bucket
    write_status(s3, "runs", SCORED_BATCH, BatchStatus.SCORED, file='ö "1".csv', **told)
    found = batches.one("iris", SCORED_BATCH)
    assert {name: found[name] for name in told} == told
    folder = f"batches/iris/{SCORED_BATCH}"
    name = 'attachment; filename="_ _1_ scored.csv"'
    assert found["result"] == f"{folder}/result.csv?{name}&900"
    assert found["rejects"].startswith(f"{folder}/rejects.csv?")


def test_what_is_told_of_a_refused_batch_quotes_no_cell(batches, bucket):
    error = {"code": "MissingColumns", "message": 'The file has "secret".', "remedy": "Name them."}
    s3: Any = bucket
    write_status(s3, "runs", SCORED_BATCH, BatchStatus.REFUSED, file="a.csv", error=error)
    found = batches.one("iris", SCORED_BATCH)
    assert found["error"] == {"code": "MissingColumns", "remedy": "Name them."}
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize("batch", ["nonsense", SCORED_BATCH, "wine-20261124T043410Z-2821de5e"])
def test_a_batch_that_there_is_not_is_unknown(batches, batch):
    with pytest.raises(ApiError) as refused:
        batches.one("iris", batch)
    assert (refused.value.status, refused.value.code) == (404, "UnknownBatch")


def source(key: str) -> Source:
    return Source("inbox", key, "v1", "01", datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("key", "dataset"),
    [
        ("score/iris/new.csv", "iris"),
        ("score/iris/december/new.csv.gz", "iris"),
        ("score/new.csv", ""),
    ],
)
def test_a_file_below_score_names_the_dataset_whose_model_it_is_for(key, dataset):
    assert dataset_to_score(key) == dataset
    assert RUN.fullmatch(batch_id(source(key)))


def test_the_same_event_gives_the_same_batch_and_the_api_s_file_its_own():
    assert batch_id(source("score/iris/a.csv")) == batch_id(source("score/iris/a.csv"))
    assert batch_id(source("score/iris/a.csv")) != batch_id(source("score/iris/b.csv"))
    assert batch_id(source(f"score/iris/{SCORED_BATCH}.csv")) == SCORED_BATCH
    assert batch_id(source(f"score/wine/{SCORED_BATCH}.csv")) != SCORED_BATCH


def test_a_dataset_cannot_be_called_as_the_folder_is():
    assert not is_dataset("score")
    assert is_dataset("scores")
