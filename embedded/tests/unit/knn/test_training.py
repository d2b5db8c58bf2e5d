"""Training and scoring."""

import gzip
import io
import json
import os
import re
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from embedded.tests.helpers.iris import introduction_split
from embedded.tests.unit.knn.test_recordio import dense_records
from embedded_aws.knn import recordio, rows, training
from embedded_aws.knn.__main__ import main
from embedded_aws.knn.artefact import read_folder
from embedded_aws.knn.errors import ClientError
from embedded_aws.knn.model import majority
from embedded_aws.knn.score import ClassificationTally
from embedded_aws.knn.training import Channel, train

K1 = {"k": "1", "sample_size": "1000", "predictor_type": "classifier"}


def channel(*objects: bytes, content_type: str = "text/csv") -> Channel:
    """A channel of objects held in memory."""

    def open_objects() -> Iterator[tuple[str, BinaryIO]]:
        for number, body in enumerate(objects):
            yield f"object {number}", io.BytesIO(body)

    return Channel(content_type, open_objects)


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


def test_records_of_another_width_than_feature_dim_fail_as_rows_do() -> None:
    data = dense_records(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    records = channel(data, content_type="application/x-recordio-protobuf")
    with pytest.raises(ClientError, match="'train' has rows of 3 features, but feature_dim is 4"):
        train({**K1, "feature_dim": "4"}, {"train": records}, print)


def test_records_are_what_a_channel_without_content_type_holds() -> None:
    rows = np.array([[1, 2], [3, 4]], np.float32)
    model = train(K1, {"train": channel(dense_records(rows, rows[:, 0]), content_type="")}, print)
    assert model.labels.tolist() == [1, 3]
    assert model.index.reconstruct_n(0, 2).tolist() == rows.tolist()


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
        (
            {"train": channel(b"0,1\n"), "validation": channel(b"0,1\n")},
            r"Additional channels are not allowed \('validation' was unexpected\)",
        ),
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


def test_a_class_neither_met_nor_predicted_makes_macro_f1_nan_as_in_sagemakers_log() -> None:
    tally = ClassificationTally()
    tally.add(np.array([1, 2], np.float32), np.array([1, 2], np.float32))
    assert np.isnan(tally.macro_f1())


def test_labels_that_are_no_class_numbers_are_classes_as_they_are() -> None:
    tally = ClassificationTally()
    tally.add(np.array([-1, 0.5], np.float32), np.array([-1, 0.5], np.float32))
    assert tally.macro_f1() == 1


def test_a_class_that_is_never_predicted_has_an_f1_of_zero() -> None:
    tally = ClassificationTally()
    tally.add(np.array([0, 1], np.float32), np.array([0, 0], np.float32))
    # F1 of class 0 is 2/3, of class 1 nothing.
    assert dict(tally.scores())["macro_f_1.000"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("rows", "content_type", "message"),
    [
        (b"0,1\n0,x\n", "text/csv", "Requested content-type is 'text/csv'. Please verify"),
        (b"0,1\n0,\n", "text/csv", r"Found missing \(NaN\) values"),
        (b"0,1\n0,nan\n", "text/csv", r"Found missing \(NaN\) values"),
        (b"0,1\n0,1e40\n", "text/csv", "Found infinite floating point values"),
        (b"0,1\n", "", "Requested content-type is 'application/x-recordio-protobuf'"),
        (b"0,1\n", "text/csv;label_size=0", "learns from one label a row, but label_size=0"),
        (b"0,1\n", "text/csv;label_size=2", "learns from one label a row, but label_size=2"),
        (b"0,1\n", "text/csv;label_size=x", "label_size must be a whole number"),
        (b"0,1\n", "text/csv; charset=klingon", "the encoding 'klingon' is not known"),
        (b"0,1\n", "text/csv; charset=zlib", "the encoding 'zlib' is not known"),
    ],
)
def test_data_that_cannot_be_read_fails_in_the_words_of_the_built_in_algorithms(
    rows: bytes, content_type: str, message: str
) -> None:
    with pytest.raises(ClientError, match=message) as failed:
        train(K1, {"train": channel(rows, content_type=content_type)}, print)
    assert str(failed.value).startswith("Unable to read data channel 'train'. ")
    assert "\n\nCaused by: " in str(failed.value)


def test_the_cause_names_object_line_and_column() -> None:
    with pytest.raises(ClientError, match="object 1: line 2, column 3: 'x' is not a finite"):
        train(K1, {"train": channel(b"0,1,2\n", b"0,1,2\n0,1,x\n")}, print)


def test_an_unknown_content_type_fails() -> None:
    with pytest.raises(ClientError, match="No iterator has been registered for ContentType"):
        train(K1, {"train": channel(b"0,1\n", content_type="csv")}, print)


def test_a_compressed_object_in_file_mode_fails_with_what_to_do() -> None:
    with pytest.raises(ClientError, match="File mode does not unpack; use Pipe mode"):
        train(K1, {"train": channel(gzip.compress(b"0,1\n"))}, print)


@pytest.mark.parametrize("content_type", ["text/csv;label_size=1", "text/csv; encoding=utf-16"])
def test_content_type_parameters_are_heeded(content_type: str) -> None:
    text = "0,1\n1,5\n".encode("utf-16" if "utf-16" in content_type else "utf-8")
    model = train(K1, {"train": channel(text, content_type=content_type)}, print)
    assert model.labels.tolist() == [0, 1]


def test_a_test_channel_beyond_single_precision_fails() -> None:
    channels = {"train": channel(b"0,1\n1,2\n"), "test": channel(b"0,3e38\n")}
    with pytest.raises(ClientError, match="'test' can't be scored: a distance does not fit"):
        train(K1, channels, print)


def test_the_log_has_the_lines_of_sagemakers_own() -> None:
    log: list[str] = []
    train(K1, {"train": channel(b"0,1,2\n1,2,3\n"), "test": channel(b"0,1,2\n")}, log.append)
    text = "\n".join(log)
    for line in (
        "Using per-worker sample size = 1000 ",
        "...Got reservoir sample from algo-1: data=(2, 2), labels=(2,), NaNs=0",
        "Training index...\n...Finished training index in 0 second(s)",
        "Searching index...\n...Done searching index in 0 second(s)",
        "#test_score (algo-1) : ('accuracy', 1.0)",
        "#quality_metric: host=algo-1, test accuracy <score>=1.0",
    ):
        assert line in text


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-recordio-protobuf"])
def test_memory_is_that_of_the_sample_and_the_blocks_under_way(
    content_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rows, recordio):
        monkeypatch.setattr(module, "BLOCK_BYTES", 16 * 1024)
    one = np.ones((1, 4), np.float32)
    row = b"1,2,3,4,5\n" if content_type == "text/csv" else dense_records(one, one[0, :1])
    data = channel(row * (2_000_000 // len(row)), content_type=content_type)
    train({**K1, "sample_size": "100"}, {"train": data}, print)
    tracemalloc.start()
    try:
        train({**K1, "sample_size": "100"}, {"train": data}, print)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The data has 2 MB.
    assert peak < 1_000_000


def test_progress_is_told_while_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROGRESS_SECONDS", -1)
    log: list[str] = []
    train(K1, {"train": channel(b"0,1\n1,2\n", b"1,2\n")}, log.append)
    assert "3 rows of channel 'train' so far" in log


def test_a_reduction_target_that_the_data_cannot_take_fails() -> None:
    given = {**K1, "dimension_reduction_type": "sign", "dimension_reduction_target": "2"}
    with pytest.raises(ClientError, match=r"less than feature_dim \(2\)"):
        train(given, {"train": channel(b"0,1,2\n1,2,3\n")}, print)


def laid_out(folder: Path, channels: dict[str, dict[str, str]], **hyperparameters: str) -> Path:
    """A folder as /opt/ml with its configuration."""
    for part in ("input/config", "input/data", "model", "output"):
        (folder / part).mkdir(parents=True)
    config = folder / "input/config"
    (config / "hyperparameters.json").write_text(json.dumps({**K1, **hyperparameters}))
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    return folder


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_folder_of_files_is_trained_in_order_of_their_names(tmp_path: Path, mode: str) -> None:
    configuration = {"train": {"ContentType": "text/csv", "TrainingInputMode": mode}}
    data = laid_out(tmp_path, configuration) / "input/data/train"
    (data / "b").mkdir(parents=True)
    (data / "b/1.csv").write_bytes(b"2,5\n")
    (data / "a.csv").write_bytes(b"1,4")
    (data / "empty").touch()
    assert main(["train", str(tmp_path)]) == 0
    assert read_folder(tmp_path / "model").labels.tolist() == [1, 2]


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    configuration = {"train": {"ContentType": "text/csv", "TrainingInputMode": "Pipe"}}
    pipe = laid_out(tmp_path, configuration) / "input/data/train_0"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"0,1\n" * 50_000 + b"1,2\n",))
    writer.start()
    assert main(["train", str(tmp_path)]) == 0
    writer.join(10)
    assert len(read_folder(tmp_path / "model").labels) == 1000


def test_a_failure_leaves_its_reason(tmp_path: Path) -> None:
    laid_out(tmp_path, {}, k="0")
    assert main(["train", str(tmp_path)]) == 1
    reason = (tmp_path / "output/failure").read_text()
    assert reason.startswith("ClientError: The value '0' is not valid for the 'k' hyperparameter")
