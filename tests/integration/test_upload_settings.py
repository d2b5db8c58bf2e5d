"""Settings that go with an upload: what is written here is what Preprocess reads there."""

import csv
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.dataset_settings import metadata_of
from cli.drop_again import drop_again
from cli.follow import Dropped, drop
from cli.settings import Local
from cli.stack import Stack
from tests.integration.pipeline import Pipeline, event
from tests.local_environment import local_environment

STACK = Stack("inbox", "runs-of-functions", "arn", "registry", "url", "url", "key")


@pytest.fixture
def command_line(pipeline: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """The embedded AWS, to which this process points as the command line does."""
    port = int(pipeline.aws.endpoint_url.rpartition(":")[2])
    with local_environment(Local(tmp_path, port)):
        yield pipeline


def table(*header: str) -> bytes:
    """Ninety rows: two columns of three words each, and two numbers."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in range(90):
        words = ("red", "green", "blue")[row % 3], ("up", "down", "left")[row // 3 % 3]
        writer.writerow([*words, row % 3 + row / 100, row % 7])
    return text.getvalue().encode()


def prepared(pipeline: Pipeline, dropped: Dropped) -> str:
    """The run of a file that was uploaded, once Preprocess is through with it."""
    created = event("preprocess-iris.json")
    created["detail"]["bucket"]["name"] = "inbox"
    created["detail"]["object"] |= {"key": dropped.key, "version-id": dropped.version}
    run: str = pipeline.handle("preprocess", created)["run"]
    return run


def upload(folder: Path, dataset: str, content: bytes, metadata: dict[str, str]) -> Dropped:
    file = folder / "rows.csv"
    file.write_bytes(content)
    return drop(STACK, file, dataset, None, metadata)


def read(pipeline: Pipeline, run: str, name: str) -> Any:
    return json.loads(pipeline.read(run, name))


@pytest.mark.parametrize(
    ("label", "ignored"),
    [
        ("Customer segment", "first; second"),
        ("a, b", "k=v"),
        ("100 %", "50%20"),
        ("größe", "顧客区分"),
        ("категория", "d'or \"et\" d'argent"),
        ("a+b & c", "x  y"),
    ],
)
def test_preprocess_reads_the_names_that_were_given(command_line, tmp_path, label, ignored):
    metadata = metadata_of(
        label, [ignored, "not there; %"], ["k=3"], allow_changes=True, promote=True
    )
    content = table(ignored, label, "x", "y")
    run = prepared(command_line, upload(tmp_path, "named", content, metadata))
    schema = read(command_line, run, "clean/schema.json")
    assert schema["label"] == label
    assert schema["features"] == ["x", "y"]
    assert {c["name"]: c["role"] for c in schema["columns"]}[ignored] == "ignored"
    settings = read(command_line, run, "clean/settings.json")
    assert (settings["label"], settings["k"], settings["allow_changes"]) == (label, 3, True)
    given = read(command_line, run, "clean/profile.json")["settings"]["upload"]
    assert set(given) == {"label", "ignore", "k", "allow_changes"}


@pytest.mark.parametrize("name", ["hue, or tint", "größe (cm)", "50%20; k=v", "it's"])
def test_the_commands_of_an_ambiguous_label_settle_it(command_line, tmp_path, name):
    content = table("kind of thing", name, "x", "y")
    run = prepared(command_line, upload(tmp_path, "ambiguous", content, {}))
    remedy = command_line.executions()[run]["refusal"]["remedy"]
    by_us, by_aws = (line.strip() for line in remedy.splitlines() if line.startswith("    "))
    program, command, file, *options = shlex.split(by_us)
    assert (program, command, file, options) == (
        "knn",
        "drop",
        "rows.csv",
        ["--dataset", "ambiguous", "--label", name],
    )
    *_, source, target, flag, given = shlex.split(by_aws)
    assert (source, target, flag) == ("rows.csv", "s3://inbox/ambiguous/rows.csv", "--metadata")
    # The AWS CLI's shorthand: KEY=VALUE, a comma before the next.
    assert given.count("=") == 1
    assert "," not in given
    key, _, value = given.partition("=")
    again = prepared(command_line, upload(tmp_path, "ambiguous", content, {key: value}))
    assert read(command_line, again, "clean/schema.json")["label"] == name


@pytest.mark.parametrize("megabytes", [0, 9])
def test_what_is_uploaded_again_keeps_its_settings(command_line, tmp_path, megabytes):
    content = table("kind", "tint", "x", "y") + b"\n" * (megabytes << 20)
    metadata = metadata_of("tint", [], ["k=3"], allow_changes=False, promote=True)
    first = upload(tmp_path, "again", content, metadata)
    source = {"bucket": "inbox", "key": first.key, "version": first.version}
    item = {"run": "again-20261130T120000Z-00000000", "source": source}
    again = drop_again(STACK, item, {"allow-changes": "true"})
    assert again.version != first.version
    head = command_line.s3.head_object(Bucket="inbox", Key=again.key, VersionId=again.version)
    assert head["Metadata"] == {"label": "tint", "k": "3", "allow-changes": "true"}
    assert head["ContentLength"] == len(content)
