"""What a dataset remembers, what its owner asks for, and objects that change under the reader."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cli.classes import forget_classes
from cli.errors import Problem
from cli.stack import Stack
from embedded_aws.testing import REGION
from pipeline.byte_ranges import RANGE, read_ranges
from pipeline.errors import Refusal
from pipeline.registry import LIVE, Status, known_classes, record_status, register_classes
from pipeline.uploaded import find_file
from tests.function_app import ROOT
from tests.integration.pipeline import Pipeline

IRIS = (ROOT / "data/iris.csv").read_text()


def prepare(pipeline: Pipeline, dataset: str, content: str, *, sequencer: str = "0A") -> str:
    """Drop a file and preprocess it; return the run."""
    created = pipeline.dropped(f"{dataset}/rows.csv", content.encode(), sequencer=sequencer)
    return pipeline.handle("preprocess", created)["run"]


def refusal(pipeline: Pipeline, run: str) -> dict[str, str]:
    return pipeline.executions()[run]["refusal"]


def rows(labels: str, of_each: int = 20) -> str:
    """Rows of a number and a label, of each label as many."""
    return "x,label\n" + "".join(
        f"{draw:.2f},{label}\n" for draw in (0.5, 1.25) for label in labels * (of_each // 2)
    )


def classes(pipeline: Pipeline, run: str) -> list[str]:
    """A run's classes, each at the place of its integer."""
    return json.loads(pipeline.read(run, "clean/schema.json"))["classes"]


def test_known_classes_keep_their_integers_from_one_run_to_the_next(pipeline):
    first = prepare(pipeline, "stable", rows("mz"))
    second = prepare(pipeline, "stable", rows("az"), sequencer="0B")
    assert classes(pipeline, first) == ["m", "z"]
    assert classes(pipeline, second) == ["m", "z", "a"]
    manifest = json.loads(pipeline.read(second, "clean/manifest.json"))
    assert [part["classes"] for part in manifest["parts"]] == [[0, 20, 20]]


def test_other_spellings_of_a_known_class_are_that_class(pipeline):
    prepare(pipeline, "spelled", rows("mz"))
    second = prepare(pipeline, "spelled", rows("MZ"), sequencer="0B")
    schema = json.loads(pipeline.read(second, "clean/schema.json"))
    assert (schema["classes"], schema["spellings"]) == (["m", "z"], {"M": "m", "Z": "z"})


def test_a_refused_file_adds_no_classes(pipeline):
    prepare(pipeline, "clean", rows("ab"))
    run = prepare(pipeline, "clean", rows("abc") + "1.5,a,too many\n" * 50, sequencer="0B")
    assert refusal(pipeline, run)["code"] == "TooManyRejects"
    assert known_classes(pipeline.registry, "clean") == ["a", "b"]


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
    run = prepare(pipeline, "wrong", rows("ab"))
    with pytest.raises(Problem, match="is still running"):
        forget_classes(stack, "wrong")
    for status in (Status.TRAINING, Status.LIVE):
        record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, status)
    pipeline.registry.put_item(Item={"dataset": "wrong", "sort": LIVE, "run": run})
    wrong = prepare(pipeline, "wrong", rows("pq"), sequencer="0B")
    record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, wrong, Status.REFUSED)
    assert forget_classes(stack, "wrong") == ["p", "q"]
    assert known_classes(pipeline.registry, "wrong") == ["a", "b"]
    assert forget_classes(stack, "wrong") == []


def test_all_classes_are_forgotten_where_no_model_is_live(pipeline, monkeypatch):
    stack = stack_of(pipeline, monkeypatch)
    run = prepare(pipeline, "unloved", rows("pq"))
    record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, Status.REFUSED)
    assert forget_classes(stack, "unloved") == ["p", "q"]
    assert register_classes(pipeline.registry, "unloved", ["z"]) == ["z"]


def ask(pipeline: Pipeline, dataset: str, schema: bytes) -> None:
    """Put a dataset's settings beside its files."""
    pipeline.s3.put_object(Bucket="inbox", Key=f"{dataset}/schema.json", Body=schema)


def test_the_owners_schema_is_followed_and_the_upload_has_the_last_word(pipeline):
    schema = {"label": "kind", "features": ["y", "x"], "decimal": ",", "k": 3, "seed": 7}
    ask(pipeline, "pinned", json.dumps(schema).encode())
    content = "x;note;kind;y\n" + "1,5;n;a;2\n3;n;b;4,5\n" * 20
    created = pipeline.dropped("pinned/rows.csv", content.encode(), k="5", weights="uniform")
    run = pipeline.handle("preprocess", created)["run"]
    assert pipeline.read(run, "clean/data.csv") == content.partition("\n")[2]
    found = json.loads(pipeline.read(run, "clean/schema.json"))
    assert (found["label"], found["features"], found["delimiter"]) == ("kind", ["y", "x"], ";")
    settings = json.loads(pipeline.read(run, "clean/settings.json"))
    assert (settings["k"], settings["seed"], settings["weights"]) == (5, 7, "uniform")
    said = json.loads(pipeline.read(run, "clean/manifest.json"))["settings"]
    assert (set(said["upload"]), said["schema"]["key"]) == ({"k", "weights"}, "pinned/schema.json")


def test_the_settings_of_a_run_repeat_it(pipeline):
    first = prepare(pipeline, "first-time", IRIS)
    settings = pipeline.read(first, "clean/settings.json")
    ask(pipeline, "repeated", settings.encode())
    second = prepare(pipeline, "repeated", IRIS)
    assert json.loads(pipeline.read(second, "clean/settings.json")) == json.loads(settings)
    for run in (first, second):
        pipeline.handle("split", pipeline.manifest_of(run))
    for name in ("train/train.pbr", "test/test.pbr", "transform.json", "choice.json"):
        assert pipeline.read_bytes(second, name) == pipeline.read_bytes(first, name)


def test_a_setting_that_is_wrong_is_refused_by_its_name(pipeline):
    ask(pipeline, "wrong", b'{"missing": "zero"}')
    found = refusal(pipeline, prepare(pipeline, "wrong", IRIS))
    assert found["code"] == "InvalidSettings"
    assert 'wrong/schema.json: "missing" must be one of' in found["message"]


def test_features_keep_the_order_of_the_live_model_and_none_may_be_lost(pipeline):
    live = prepare(pipeline, "kept", IRIS)
    pipeline.registry.put_item(Item={"dataset": "kept", "sort": LIVE, "run": live})
    lines = [line.split(",") for line in IRIS.splitlines()]
    turned = "".join(f"{','.join(reversed(line))}\n" for line in lines)
    run = prepare(pipeline, "kept", turned, sequencer="0B")
    schema = json.loads(pipeline.read(run, "clean/schema.json"))
    assert schema["features"] == lines[0][:-1]
    less = "".join(f"{','.join(line[1:])}\n" for line in lines)
    lost = prepare(pipeline, "kept", less, sequencer="0C")
    assert lines[0][0].strip('"') in refusal(pipeline, lost)["message"]


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
    started = pipeline.executions("LARGE_FILE_STATE_MACHINE_ARN")[run]
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
        version = find_file(pipeline.s3, **put(pipeline, where, content)).version
        assert b"".join(read_ranges(pipeline.s3, version)) == content
        assert b"".join(read_ranges(pipeline.s3, version, 5, RANGE + 7)) == content[5 : RANGE + 7]


def test_an_object_that_is_replaced_while_it_is_read_is_refused(pipeline, bucket):
    file = find_file(pipeline.s3, **put(pipeline, bucket, b"x" * (12 * RANGE)))
    chunks = file.chunks()
    next(chunks)
    put(pipeline, bucket, b"y" * (12 * RANGE))
    with pytest.raises(Refusal) as refused:
        list(chunks)
    assert refused.value.code == "ObjectReplaced"
    with pytest.raises(Refusal) as refused:
        find_file(pipeline.s3, **{**put(pipeline, bucket, b"z"), "etag": file.version.etag})
    assert refused.value.code == "ObjectReplaced"


def test_an_object_that_is_deleted_while_it_is_read_is_refused(pipeline):
    pin = put(pipeline, "inbox", b"x" * (12 * RANGE))
    file = find_file(pipeline.s3, **pin)
    chunks = file.chunks()
    next(chunks)
    pipeline.s3.delete_object(Bucket="inbox", Key="rows.csv", VersionId=pin["version_id"])
    with pytest.raises(Refusal) as refused:
        list(chunks)
    assert refused.value.code == "ObjectGone"


def test_a_delete_marker_hides_nothing_from_who_knows_the_version(pipeline):
    pin = put(pipeline, "inbox", b"still here")
    pipeline.s3.delete_object(Bucket="inbox", Key="rows.csv")
    file = find_file(pipeline.s3, **pin)
    assert b"".join(file.chunks()) == b"still here"
