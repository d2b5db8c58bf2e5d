"""What a dataset remembers, what its owner asks for, and objects that change under the reader."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cli.classes import forget_classes
from cli.errors import Problem
from cli.stack import Stack
from dropped_file import DroppedFile, find_version
from pipeline.byte_ranges import RANGE, read_ranges
from pipeline.errors import Refusal
from pipeline.registry import LIVE, Status, known_classes, record_status, register_classes
from tests.embedded_aws import REGION
from tests.function_app import ROOT
from tests.integration.pipeline import Pipeline

IRIS = (ROOT / "data/iris.csv").read_text()


def prepare(pipeline: Pipeline, dataset: str, content: str, *, sequencer: str = "0A") -> str:
    """Drop a file and preprocess it; return the run."""
    created = pipeline.dropped(f"{dataset}/rows.csv", content.encode(), sequencer=sequencer)
    return pipeline.handle("preprocess", created)["run"]


def refusal(pipeline: Pipeline, run: str) -> dict[str, str]:
    return pipeline.executions()[run]["refusal"]


def test_known_classes_keep_their_integers_from_one_run_to_the_next(pipeline):
    rows = "x,label\n1,{0}\n2,{0}\n3,{1}\n4,{1}\n"
    first = prepare(pipeline, "stable", rows.format("m", "z"))
    second = prepare(pipeline, "stable", rows.format("a", "z"), sequencer="0B")
    assert pipeline.read(first, "clean/data.csv") == "0,1\n0,2\n1,3\n1,4\n"
    assert json.loads(pipeline.read(second, "clean/schema.json"))["classes"] == ["m", "z", "a"]
    assert pipeline.read(second, "clean/data.csv") == "2,1\n2,2\n1,3\n1,4\n"


def test_a_refused_file_adds_no_classes(pipeline):
    prepare(pipeline, "clean", "x,label\n1,a\n2,a\n3,b\n4,b\n")
    prepare(pipeline, "clean", "x,label\n1,a\n2,a\n3,typo\n", sequencer="0B")
    table = pipeline.registry
    assert known_classes(table, "clean") == ["a", "b"]


def test_runs_that_add_classes_at_once_lose_none(pipeline):
    def add(name: str) -> list[str]:
        return register_classes(pipeline.registry, "crowd", [name, "all"])

    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(add, [f"class {n}" for n in range(24)]))
    final = known_classes(pipeline.registry, "crowd")
    assert sorted(final) == sorted({"all", *(f"class {n}" for n in range(24))})
    # Whoever was answered earlier was told a beginning of what there is now.
    assert all(final[: len(names)] == names for names in lists)


def stack_of(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """What the commands talk to."""
    settings = {"AWS_ENDPOINT_URL": pipeline.aws.endpoint_url, "AWS_DEFAULT_REGION": REGION}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Stack(
        inbox="inbox",
        runs=pipeline.runs_bucket,
        state_machine_arn="",
        registry=pipeline.registry.name,
        api_url="",
        named_api_url="",
        api_key_id="",
    )


def test_the_classes_of_a_wrong_file_are_forgotten_but_not_those_of_the_live_model(
    pipeline, monkeypatch
):
    stack = stack_of(pipeline, monkeypatch)
    run = prepare(pipeline, "wrong", "x,label\n1,a\n2,a\n3,b\n4,b\n")
    with pytest.raises(Problem, match="is under way"):
        forget_classes(stack, "wrong")
    for status in (Status.TRAINING, Status.LIVE):
        record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, status)
    pipeline.registry.put_item(Item={"dataset": "wrong", "sort": LIVE, "run": run})
    wrong = prepare(pipeline, "wrong", "x,label\n1,p\n2,p\n3,q\n4,q\n", sequencer="0B")
    record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, wrong, Status.REFUSED)
    assert forget_classes(stack, "wrong") == ["p", "q"]
    assert known_classes(pipeline.registry, "wrong") == ["a", "b"]
    assert forget_classes(stack, "wrong") == []


def test_all_classes_are_forgotten_where_no_model_is_live(pipeline, monkeypatch):
    stack = stack_of(pipeline, monkeypatch)
    run = prepare(pipeline, "unloved", "x,label\n1,p\n2,p\n3,q\n4,q\n")
    record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, Status.REFUSED)
    assert forget_classes(stack, "unloved") == ["p", "q"]
    assert register_classes(pipeline.registry, "unloved", ["z"]) == ["z"]


def test_the_owners_schema_is_followed(pipeline):
    schema = {"label": "kind", "features": ["y", "x"], "classes": ["b", "a"], "decimal": ","}
    pipeline.s3.put_object(
        Bucket="inbox", Key="pinned/schema.json", Body=json.dumps(schema).encode()
    )
    run = prepare(pipeline, "pinned", "x;note;kind;y\n1,5;n;a;2\n1;n;a;2,5\n3;n;b;4\n5;n;b;6\n")
    assert pipeline.read(run, "clean/data.csv") == "1,2,1.5\n1,2.5,1\n0,4,3\n0,6,5\n"
    assert json.loads(pipeline.read(run, "clean/schema.json"))["ignored"] == ["note"]


def test_a_schema_that_is_wrong_is_refused_by_its_field(pipeline):
    pipeline.s3.put_object(Bucket="inbox", Key="wrong/schema.json", Body=b'{"missing": "zero"}')
    run = prepare(pipeline, "wrong", IRIS)
    found = refusal(pipeline, run)
    assert found["code"] == "InvalidSchema"
    assert 'wrong/schema.json: the field "missing" must be one of' in found["message"]


def test_the_profile_tells_rows_rejects_classes_features_and_the_file(pipeline):
    run = prepare(pipeline, "profiled", IRIS + "oops,1,1,1,setosa\n")
    profile = json.loads(pipeline.read(run, "clean/profile.json"))
    assert profile["rows"] == {"read": 151, "kept": 150, "rejected": 1}
    assert profile["rejects"] == {"not a number": 1}
    assert profile["classes"] == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert profile["file"] == {"encoding": "ascii", "delimiter": ","}
    assert profile["features"]["Sepal.Length"].keys() >= {"mean", "std", "min", "median", "max"}


def test_a_large_file_starts_its_own_state_machine_and_nothing_else(pipeline):
    large = Pipeline(pipeline.aws, pipeline.environment | {"LARGE_FILE_MEGABYTES": "0.001"})
    run = prepare(large, "huge", IRIS)
    started = pipeline.executions()[run]
    assert started["source"]["key"] == "huge/rows.csv"
    assert started["source"]["version_id"]
    assert set(pipeline.files(run)) == {"status.json"}


# --- objects that change ---------------------------------------------------------------------


@pytest.fixture
def bucket(pipeline: Pipeline) -> str:
    """A bucket without versions."""
    pipeline.s3.create_bucket(Bucket="without-versions")
    return "without-versions"


def put(pipeline: Pipeline, bucket: str, content: bytes) -> dict[str, Any]:
    answer = pipeline.s3.put_object(Bucket=bucket, Key="rows.csv", Body=content)
    return {
        "bucket": bucket,
        "key": "rows.csv",
        "version_id": answer.get("VersionId"),
        "etag": answer["ETag"].strip('"'),
    }


def test_an_object_is_read_in_ranges_to_its_last_byte(pipeline, bucket):
    content = bytes(range(256)) * (RANGE // 100)
    for where in (bucket, "inbox"):
        version = find_version(pipeline.s3, **put(pipeline, where, content))
        assert b"".join(read_ranges(pipeline.s3, version)) == content
        assert b"".join(read_ranges(pipeline.s3, version, 5, RANGE + 7)) == content[5 : RANGE + 7]


def test_an_object_that_is_replaced_while_it_is_read_is_refused(pipeline, bucket):
    version = find_version(pipeline.s3, **put(pipeline, bucket, b"x" * (12 * RANGE)))
    chunks = DroppedFile(pipeline.s3, version).chunks()
    next(chunks)
    put(pipeline, bucket, b"y" * (12 * RANGE))
    with pytest.raises(Refusal) as refused:
        list(chunks)
    assert refused.value.code == "ObjectReplaced"
    with pytest.raises(Refusal) as refused:
        find_version(pipeline.s3, **{**put(pipeline, bucket, b"z"), "etag": version.etag})
    assert refused.value.code == "ObjectReplaced"


def test_an_object_that_is_deleted_while_it_is_read_is_refused(pipeline):
    pin = put(pipeline, "inbox", b"x" * (12 * RANGE))
    version = find_version(pipeline.s3, **pin)
    chunks = DroppedFile(pipeline.s3, version).chunks()
    next(chunks)
    pipeline.s3.delete_object(Bucket="inbox", Key="rows.csv", VersionId=pin["version_id"])
    with pytest.raises(Refusal) as refused:
        list(chunks)
    assert refused.value.code == "ObjectGone"


def test_a_delete_marker_hides_nothing_from_who_knows_the_version(pipeline):
    pin = put(pipeline, "inbox", b"still here")
    pipeline.s3.delete_object(Bucket="inbox", Key="rows.csv")
    version = find_version(pipeline.s3, **pin)
    assert b"".join(DroppedFile(pipeline.s3, version).chunks()) == b"still here"
