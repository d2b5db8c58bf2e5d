"""The files of a model: written, read back, and refused when they are anything else."""

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedded_aws.knn.artefact import ArtefactError, assemble, read_folder, read_model, write_model
from embedded_aws.knn.errors import DataError
from embedded_aws.knn.hyperparameters import Hyperparameters
from embedded_aws.knn.model import Model, build_model

REDUCED = {"dimension_reduction_type": "fjlt", "dimension_reduction_target": 4}
KINDS: dict[str, dict[str, Any]] = {
    "flat": {},
    "cosine": {"index_metric": "COSINE"},
    "product": {"index_metric": "INNER_PRODUCT", "index_type": "faiss.IVFFlat"},
    "quantized": {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 4},
    "reduced": REDUCED,
}
ROWS = np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32)
ASKED = ROWS[:5] + np.float32(0.1)


def model_of(kind: str) -> Model:
    given: dict[str, Any] = {"k": 3, "predictor_type": "classifier", "sample_size": 1000}
    labels = np.arange(300, dtype=np.float32)
    return build_model(Hyperparameters(**given, **KINDS[kind]), ROWS, labels)


def files_of(kind: str, folder: Path) -> dict[str, bytes]:
    """The contents of a written model."""
    write_model(model_of(kind), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def packed(files: dict[str, bytes], prefix: str = "") -> io.BytesIO:
    """Files as model.tar.gz."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    archive.seek(0)
    return archive


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_survives_its_artefact(tmp_path: Path, kind: str, prefix: str) -> None:
    again = read_model(packed(files_of(kind, tmp_path), prefix)).predict(ASKED)
    before = model_of(kind).predict(ASKED)
    assert again.labels.tolist() == before.labels.tolist()
    assert again.distances.tolist() == before.distances.tolist()


def test_the_files_are_the_built_in_algorithms(tmp_path: Path) -> None:
    files = files_of("reduced", tmp_path)
    assert sorted(files) == ["model_algo-1", "model_algo-1.json", "model_algo-1.labels"]
    assert files["model_algo-1.labels"] == np.arange(300, dtype="<f4").tobytes()
    assert json.loads(files["model_algo-1.json"]) == {
        "k": 3,
        "predictor_type": "classifier",
        "dimension_reduction": {"type": "fjlt", "seed": 3, "target_dim": 4, "input_dim": 6},
        "normalize": False,
        "feature_dim": 6,
        "version": "1.0",
    }


def test_k_and_the_predictor_type_can_be_edited(tmp_path: Path) -> None:
    write_model(model_of("flat"), tmp_path)
    metadata = json.loads((tmp_path / "model_algo-1.json").read_text())
    metadata.update(k=2, predictor_type="regressor")
    (tmp_path / "model_algo-1.json").write_text(json.dumps(metadata))
    found = read_folder(tmp_path).predict(ASKED)
    assert found.labels.shape == (5, 2)
    assert found.predicted.tolist() == found.labels.mean(axis=1).tolist()


def test_metadata_as_the_developer_guide_shows_it_is_enough(tmp_path: Path) -> None:
    files = files_of("reduced", tmp_path)
    metadata = {
        "k": 5,
        "predictor_type": "classifier",
        "dimension_reduction": {"type": "sign", "seed": 3, "target_dim": 4, "input_dim": 20},
        "normalize": False,
        "version": "1.0",
    }
    model = assemble({**files, "model_algo-1.json": json.dumps(metadata).encode()})
    assert (model.k, model.feature_dim) == (5, 20)
    assert model.predict(np.ones((1, 20), np.float32)).labels.shape == (1, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 301}, "k is 301, but there are 300 rows"),
        ({"k": True}, "k is True"),
        ({"k": "3"}, "k is '3'"),
        ({"predictor_type": "oracle"}, "predictor_type is 'oracle'"),
        ({"feature_dim": 7}, "feature_dim is 7, but 6 indexed"),
        ({"feature_dim": 0}, "feature_dim is 0"),
        ({"dimension_reduction": []}, "is not known"),
        ({"dimension_reduction": {"type": "sign"}}, "is not known"),
        (
            {
                "dimension_reduction": {
                    "type": "sign",
                    "seed": 1,
                    "input_dim": 10**9,
                    "target_dim": 6,
                }
            },
            "is not known",
        ),
        (
            {"dimension_reduction": {"type": "sign", "seed": 1, "input_dim": 9, "target_dim": 8}},
            "reduced to 8 dimensions, but 6 indexed",
        ),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    files = files_of("flat", tmp_path)
    metadata = {**json.loads(files["model_algo-1.json"]), **change}
    with pytest.raises(ArtefactError, match=message):
        assemble({**files, "model_algo-1.json": json.dumps(metadata).encode()})


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_metadata_that_is_no_json_object_is_refused(tmp_path: Path, text: bytes) -> None:
    files = files_of("flat", tmp_path)
    with pytest.raises(ArtefactError, match=r"model_algo-1\.json is"):
        assemble({**files, "model_algo-1.json": text})


@pytest.mark.parametrize("name", ["model_algo-1", "model_algo-1.json", "model_algo-1.labels"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = files_of("flat", tmp_path)
    del files[name]
    with pytest.raises(ArtefactError, match=f"not a k-NN model: there is no {name}"):
        read_model(packed(files))


def test_labels_that_are_not_one_a_row_are_refused(tmp_path: Path) -> None:
    files = files_of("flat", tmp_path)
    for labels in (b"", files["model_algo-1.labels"][:-4], files["model_algo-1.labels"] + b"x"):
        with pytest.raises(ArtefactError, match="300 indexed rows but"):
            assemble({**files, "model_algo-1.labels": labels})


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b" + bytes(30)])
def test_bytes_that_are_no_archive_are_refused(content: bytes) -> None:
    with pytest.raises(ArtefactError, match=r"not a k-NN model\.tar\.gz"):
        read_model(io.BytesIO(content))


def test_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    files = files_of("flat", tmp_path)
    bomb = pickle.dumps(Bomb())
    for name in files:
        with pytest.raises(ArtefactError):
            read_model(packed({**files, name: bomb}))
    assert not (tmp_path / "exploded").exists()


def test_a_link_in_the_archive_is_not_followed(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("model_algo-1", "model_algo-1.json", "model_algo-1.labels"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    archive.seek(0)
    with pytest.raises(ArtefactError, match="there is no"):
        read_model(archive)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_was_cut_is_refused(tmp_path: Path, kind: str) -> None:
    content = packed(files_of(kind, tmp_path)).getvalue()
    for end in range(0, len(content) - 8, len(content) // 50):
        with pytest.raises(ArtefactError):
            read_model(io.BytesIO(content[:end]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_that_was_changed_is_refused_or_answers(tmp_path: Path, kind: str) -> None:
    files = files_of(kind, tmp_path)
    index = files["model_algo-1"]
    random = np.random.default_rng(1)
    for attempt in range(400):
        changed = bytearray(index)
        # Headers decide what faiss believes, so most changes go there.
        reach = 200 if attempt % 2 else len(changed)
        for _ in range(random.integers(1, 4)):
            changed[random.integers(0, min(reach, len(changed)))] = random.integers(0, 256)
        if attempt % 5 == 0:
            changed = changed[: random.integers(0, len(changed))]
        try:
            model = assemble({**files, "model_algo-1": bytes(changed)})
            found = model.predict(np.ones((2, model.feature_dim), np.float32))
        except (ArtefactError, DataError):
            # DataError: a number became one that no distance can be computed from.
            continue
        assert found.labels.shape == (2, 3)
