"""Which objects a data source stands for."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.sagemaker.input_data import (
    InputObject,
    list_objects,
    parse_manifest,
    safe_relative_path,
    shuffled,
)

SCOPE = Scope("000000000000", "us-east-1")
URI = "s3://bucket/all.manifest"


def prefix(monkeypatch: pytest.MonkeyPatch, uri: str, keys: list[str]) -> list[str]:
    """The names below a prefix that has those keys."""
    monkeypatch.setattr(platform, "list_keys", lambda scope, uri: keys)
    objects = list_objects(SCOPE, {"S3DataType": "S3Prefix", "S3Uri": uri})
    assert [item.key for item in objects] == keys
    return [item.relative for item in objects]


def test_names_are_relative_to_the_last_folder_of_the_prefix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ["in/a.csv", "in/deep/b.csv"]
    assert prefix(monkeypatch, "s3://bucket/in/", keys) == ["a.csv", "deep/b.csv"]
    assert prefix(monkeypatch, "s3://bucket/in/a", ["in/a.csv"]) == ["a.csv"]
    assert prefix(monkeypatch, "s3://bucket/in", keys) == keys


def test_a_prefix_without_objects_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="S3 key: s3://bucket/in/ matched no files on s3"):
        prefix(monkeypatch, "s3://bucket/in/", [])


def test_a_manifest_lists_names_after_their_prefix() -> None:
    manifest = [{"prefix": "s3://bucket/some/prefix/"}, "a.csv", "deep/b.csv"]
    objects = parse_manifest(manifest, URI)
    assert [item.uri for item in objects] == [
        "s3://bucket/some/prefix/a.csv",
        "s3://bucket/some/prefix/deep/b.csv",
    ]
    assert [item.relative for item in objects] == ["a.csv", "deep/b.csv"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ([], "must be a JSON array that begins with"),
        ({"prefix": "s3://bucket/"}, "must be a JSON array that begins with"),
        (["a.csv"], "must be a JSON array that begins with"),
        ([{"prefix": ""}, "a.csv"], "must be a JSON array that begins with"),
        ([{"prefix": "https://bucket/"}, "a.csv"], "must be a JSON array that begins with"),
        ([{"prefix": "s3://bucket/"}], "must list the names of objects"),
        ([{"prefix": "s3://bucket/"}, 1], "must list the names of objects"),
        ([{"prefix": "s3://bucket/"}, ""], "must list the names of objects"),
    ],
)
def test_any_other_manifest_is_refused(manifest: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_manifest(manifest, URI)


def test_a_seed_gives_an_order_of_its_own_and_always_the_same() -> None:
    objects = [InputObject("bucket", str(number), str(number)) for number in range(20)]
    one, other = shuffled(objects, {"Seed": 1}), shuffled(objects, {"Seed": 2})
    assert one == shuffled(objects, {"Seed": 1})
    assert one != other != objects
    assert sorted(one, key=lambda item: int(item.key)) == objects
    assert shuffled(objects, None) == objects


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/../../b", "", "/", "a\0b", "."])
def test_a_key_never_leads_out_of_its_folder(key: str) -> None:
    with pytest.raises(DataError, match="can't be written as a file"):
        safe_relative_path(key)


def test_a_key_keeps_its_folders() -> None:
    assert safe_relative_path("/year=2026//part-0.csv") == PurePosixPath("year=2026/part-0.csv")
