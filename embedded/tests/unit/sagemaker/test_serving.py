"""Models in memory: read once, and freed with their endpoint."""

import io
import tarfile
from pathlib import Path

import pytest

from embedded.tests.unit.knn.test_training import K1, channel
from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.knn.artefact import write_model
from embedded_aws.knn.training import train
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import serving

SCOPE = Scope("000000000000", "us-east-1")
VARIANT = {
    "FleetId": "1",
    "RoleArn": None,
    "ModelData": {"S3Uri": "s3://bucket/model.tar.gz", "CompressionType": "Gzip"},
}


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys read from S3, which answers every one with a model; an endpoint "iris"."""
    write_model(train(K1, {"train": channel(b"0,1\n1,2\n")}, print), tmp_path)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in tmp_path.iterdir():
            tar.add(path, arcname=path.name)
    keys: list[str] = []

    def open_object(scope: Scope, bucket: str, key: str) -> io.BytesIO:
        keys.append(key)
        return io.BytesIO(archive.getvalue())

    monkeypatch.setattr(platform, "open_object", open_object)
    monkeypatch.setattr(serving, "loaded", {})
    monkeypatch.setattr(store.endpoints, "rows", {})
    store.endpoints.put(SCOPE, "iris", {"EndpointName": "iris"})
    return keys


def test_a_model_is_read_once(reads: list[str]) -> None:
    first = serving.load(SCOPE, "iris", VARIANT)
    assert serving.load(SCOPE, "iris", VARIANT) is first
    assert reads == ["model.tar.gz"]


def test_a_new_fleet_reads_what_is_at_its_uri_by_then(reads: list[str]) -> None:
    first = serving.load(SCOPE, "iris", VARIANT)
    assert serving.load(SCOPE, "iris", {**VARIANT, "FleetId": "2"}) is not first
    assert reads == ["model.tar.gz", "model.tar.gz"]


def test_a_models_memory_is_freed_with_its_endpoint(reads: list[str]) -> None:
    serving.load(SCOPE, "iris", VARIANT)
    serving.forget(SCOPE, "iris")
    assert not serving.loaded


def test_a_request_that_outlives_its_endpoint_leaves_no_model_behind(reads: list[str]) -> None:
    store.endpoints.delete(SCOPE, "iris")
    assert serving.load(SCOPE, "iris", VARIANT).feature_dim == 1
    assert not serving.loaded
