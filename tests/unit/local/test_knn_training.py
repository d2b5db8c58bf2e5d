"""Training, scoring and the artefact."""

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from local.knn.artefact import ArtefactError, read_model, write_model
from local.knn.errors import ClientError
from local.knn.model import majority
from local.knn.score import ClassificationTally
from local.knn.training import Channel, train
from tests.unit.local.iris import introduction_split

K1 = {"k": "1", "sample_size": "1000", "predictor_type": "classifier"}


def channel(*objects: bytes) -> Channel:
    """A channel of objects held in memory."""

    def open_objects() -> Iterator[tuple[str, BinaryIO]]:
        for number, body in enumerate(objects):
            yield f"object {number}", io.BytesIO(body)

    return open_objects


def scores(log: list[str]) -> dict[str, float]:
    """The scores that a log tells, by name."""
    found: dict[str, float] = {}
    for line in log:
        if match := re.fullmatch(r"#test_score \(algo-1\) : \('([^']+)', ([^)]+)\)", line):
            found[match[1]] = float(match[2])
    return found


def test_the_introductions_split_of_iris_scores_as_sagemaker_printed_it() -> None:
    train_csv, test_csv = introduction_split()
    log: list[str] = []
    train(K1, {"train": channel(train_csv), "test": channel(test_csv)}, log.append)
    assert "#test_score (algo-1) : ('accuracy', 0.9736842105263158)" in log
    assert "#test_score (algo-1) : ('macro_f_1.000', 0.97170347)" in log
    assert scores(log)["macro_f_1.000"] == pytest.approx(0.97170345, abs=1e-7)


def test_feature_dim_is_taken_from_the_data_when_it_is_missing() -> None:
    model = train(K1, {"train": channel(b"0,1,2,3\n1,4,5,6\n")}, print)
    assert model.feature_dim == 3


def test_feature_dim_that_differs_from_the_data_fails() -> None:
    with pytest.raises(ClientError, match="'train' has rows of 3 features, but feature_dim is 4"):
        train({**K1, "feature_dim": "4"}, {"train": channel(b"0,1,2,3\n")}, print)


def test_a_test_channel_of_another_width_fails() -> None:
    with pytest.raises(ClientError, match="'test' has rows of 1 features"):
        train(K1, {"train": channel(b"0,1,2\n"), "test": channel(b"0,1\n")}, print)


def test_all_objects_of_a_channel_are_read() -> None:
    model = train(K1, {"train": channel(b"0,1\n", b"1,2\n2,3\n")}, print)
    assert sorted(model.labels.tolist()) == [0.0, 1.0, 2.0]


def test_the_sample_size_bounds_the_model() -> None:
    rows = b"".join(b"0,%d\n" % i for i in range(50))
    model = train({**K1, "sample_size": "20"}, {"train": channel(rows)}, print)
    assert model.index.ntotal == 20


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({}, "channel 'train' is required"),
        ({"train": channel(b"")}, "'train' has no rows"),
        ({"train": channel(b"0,1\n"), "test": channel(b"")}, "'test' has no rows"),
        ({"train": channel(b"0,1\n"), "validation": channel(b"0,1\n")}, "Unknown channel"),
    ],
)
def test_channels_that_do_not_fit_fail(channels: dict[str, Channel], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        train(K1, channels, print)


def test_fewer_rows_than_k_fail() -> None:
    with pytest.raises(ClientError, match=r"2 rows, fewer than k \(3\)"):
        train({**K1, "k": "3"}, {"train": channel(b"0,1\n1,2\n")}, print)


def test_a_regressor_predicts_the_mean_and_is_scored_by_mse() -> None:
    log: list[str] = []
    model = train(
        {"k": "2", "sample_size": "10", "predictor_type": "regressor"},
        {"train": channel(b"1,0\n3,1\n100,50\n"), "test": channel(b"4,0\n")},
        log.append,
    )
    assert model.predict(np.array([[0.5]], np.float32)).predicted.tolist() == [2.0]
    assert scores(log) == {"mse": 4.0}


def test_the_majority_wins() -> None:
    assert majority(np.array([[2, 1, 1]], np.float32)).tolist() == [1.0]


def test_between_equals_the_nearest_label_wins() -> None:
    assert majority(np.array([[2, 1, 1, 2], [1, 2, 2, 1]], np.float32)).tolist() == [2.0, 1.0]


def test_a_class_that_is_never_predicted_has_an_f1_of_zero() -> None:
    tally = ClassificationTally()
    tally.add(np.array([0, 1], np.float32), np.array([0, 0], np.float32))
    # F1 of class 0 is 2/3, of class 1 nothing.
    assert dict(tally.scores())["macro_f_1.000"] == pytest.approx(1 / 3)


def packed(folder: Path) -> io.BytesIO:
    """A folder as model.tar.gz."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    archive.seek(0)
    return archive


def test_a_model_survives_its_artefact(tmp_path: Path) -> None:
    train_csv, _ = introduction_split()
    model = train({**K1, "k": "5"}, {"train": channel(train_csv)}, print)
    write_model(model, tmp_path)
    again = read_model(packed(tmp_path))
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.2, 2.8, 4.8, 1.8]], np.float32)
    assert again.hyperparameters == model.hyperparameters
    assert again.predict(rows).distances.tolist() == model.predict(rows).distances.tolist()
    assert again.predict(rows).predicted.tolist() == model.predict(rows).predicted.tolist()


def test_an_archive_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"weights")
    with pytest.raises(ArtefactError, match="not a k-NN model"):
        read_model(packed(tmp_path))


def test_bytes_that_are_no_archive_are_refused() -> None:
    with pytest.raises(ArtefactError):
        read_model(io.BytesIO(b"hello"))
