"""Requests for predictions and their answers."""

import json
import resource
import struct
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded.tests.unit.knn.test_training import channel
from embedded_aws.knn.errors import RequestError
from embedded_aws.knn.inference import answer, execution_parameters, parse_accept
from embedded_aws.knn.model import Model
from embedded_aws.knn.recordio import MAGIC, Record, split_records
from embedded_aws.knn.training import train

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
RECORDIO = "application/x-recordio-protobuf"
HYPERPARAMETERS = {"k": "2", "sample_size": "10", "predictor_type": "classifier"}


@pytest.fixture(scope="module")
def model() -> Model:
    """Two features; label 0 around (0, 0), 1 around (10, 10)."""
    rows = b"0,0,0\n0,1,0\n1,10,10\n1,11,10\n"
    return train(HYPERPARAMETERS, {"train": channel(rows)}, print)


def records(*rows: tuple[float, ...]) -> bytes:
    """Rows as the SageMaker SDK's RecordSerializer sends them."""
    parts: list[bytes] = []
    for row in rows:
        record = Record()
        record.features["values"].float32_tensor.values.extend(row)
        body = record.SerializeToString()
        parts += [struct.pack("<II", MAGIC, len(body)), body, bytes(-len(body) % 4)]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"0,0\n10,10", CSV),
        (b"0,0\r\n10,10\r\n", "text/csv; charset=utf-8"),
        (b"0,0\n10,10", "text/csv; label_size=0"),
        (b"7,0,0\n7,10,10", "text/csv;label_size=1"),
        (b"0,0\n10,10", "Text/CSV"),
        ("0,0\n10,10".encode("utf-16"), "text/csv; encoding=utf-16"),
        (b'{"instances": [{"features": [0, 0]}, {"features": [10, 10.0]}]}', JSON),
        (b'{"instances": [{"features": [0, 0]}, {"features": [10, 10]}]}', JSON + ";charset=utf-8"),
        (
            b'{"instances": [{"data": {"features": {"values": [0, 0]}}},'
            b' {"data": {"features": {"values": [10, 10]}}}]}',
            JSON,
        ),
        (
            b'{"instances": [{"data": {"features": {"keys": [1], "shape": [2], "values": [1]}}},'
            b' {"configuration": {}, "data": {"features": [10, 10]}}]}',
            JSON,
        ),
        (
            b'{"features": {"keys": [], "shape": [2], "values": []}}\n'
            b'{"features": {"keys": [], "shape": [2], "values": [10, 10]}}',
            LINES,
        ),
        (b'{"features": [0, 0]}\n{"data": {"features": {"values": [10, 10]}}}\n', LINES),
        (b'{"features": [0, 0]}\r\n\r\n{"features": [10, 10]}', LINES),
        (records((0, 0), (10, 10)), RECORDIO),
    ],
)
def test_every_documented_request_is_answered(model: Model, body: bytes, content_type: str) -> None:
    result, result_type = answer(model, body, content_type, JSON)
    assert result_type == JSON
    assert json.loads(result) == {
        "predictions": [{"predicted_label": 0.0}, {"predicted_label": 1.0}]
    }


def test_json_lines_answer_one_object_a_line(model: Model) -> None:
    result, result_type = answer(model, b"0,0\n10,10", CSV, LINES)
    assert result_type == LINES
    assert result == b'{"predicted_label": 0.0}\n{"predicted_label": 1.0}'


def test_verbose_adds_squared_distances_in_ascending_order_and_labels(model: Model) -> None:
    expected = {"predicted_label": 0.0, "distances": [4.0, 9.0], "labels": [0.0, 0.0]}
    result, _ = answer(model, b"3,0", CSV, "application/json; verbose=true")
    assert json.loads(result) == {"predictions": [expected]}
    result, _ = answer(model, b"3,0", CSV, "application/jsonlines;verbose=true")
    assert json.loads(result) == expected


def labels(record: Any) -> dict[str, list[float]]:
    """What a record of an answer says."""
    assert not record.features
    return {name: list(value.float32_tensor.values) for name, value in record.label.items()}


def test_recordio_answers_a_record_a_row_with_its_values_as_labels(model: Model) -> None:
    result, result_type = answer(model, b"0,0\n10,10", CSV, RECORDIO)
    assert result_type == RECORDIO
    found = [labels(record) for record in split_records(result, "answer")]
    assert found == [{"predicted_label": [0.0]}, {"predicted_label": [1.0]}]


def test_verbose_recordio_adds_distances_and_labels(model: Model) -> None:
    result, _ = answer(model, records((3, 0)), RECORDIO, RECORDIO + "; verbose=true")
    assert [labels(record) for record in split_records(result, "answer")] == [
        {"predicted_label": [0.0], "distances": [4.0, 9.0], "labels": [0.0, 0.0]}
    ]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", (JSON, False)),
        ("*/*", (JSON, False)),
        ("application/json", (JSON, False)),
        ("application/json; verbose=false", (JSON, False)),
        ("APPLICATION/JSON; Verbose=True", (JSON, True)),
        ("text/html, application/jsonlines", (LINES, False)),
        # As aws/sagemaker-python-sdk issue 993 has it of another built-in algorithm.
        ("text/csv", (JSON, False)),
    ],
)
def test_json_is_what_one_gets_unless_one_asks_for_something_known(
    accept: str, expected: tuple[str, bool]
) -> None:
    assert parse_accept(accept) == expected


BAD_REQUESTS = [
    (b"1,2,3", CSV, "rows of 3 features, but the model was trained on 2"),
    (b"1,nan", CSV, "line 1, column 2: 'nan' is not a finite number"),
    (b"1,x", CSV, "line 1, column 2"),
    (b"1,", CSV, "line 1, column 2"),
    (b"3e38,-3e38", CSV, "a distance does not fit into a 32-bit float"),
    (b"", CSV, "no rows"),
    (b"\n\n", CSV, "no rows"),
    (b"1,2\n3", CSV, "line 2 has 1 columns"),
    (b"1,2", "text/csv; label_size=2", "rows of 0 features"),
    (b"1,2", "text/csv; label_size=-1", "label_size must be a whole number"),
    (b"1,2", "text/csv; charset=klingon", "the encoding 'klingon' is not known"),
    (b"{", JSON, "not valid JSON"),
    (b"[[1, 2]]", JSON, "the body must be"),
    (b'{"instances": [[1, 2]]}', JSON, "instance 0 must be"),
    (b'{"instances": []}', JSON, "no rows"),
    (b'{"instances": [{"features": []}]}', JSON, "no rows"),
    (b'{"instances": [{"features": [1, NaN]}]}', JSON, "not valid JSON"),
    (b'{"instances": [{"features": [1, 1e999]}]}', JSON, "number is infinity"),
    (b'{"instances": [{"features": [1, 1e39]}]}', JSON, "instance 0, feature 1"),
    (b'{"instances": [{"features": [1, "2"]}]}', JSON, "instance 0 must be"),
    (b'{"instances": [{"features": [1, true]}]}', JSON, "instance 0 must be"),
    (b'{"instances": [{"features": [1, 2]}, {"features": [1]}]}', JSON, "instance 1 has 1"),
    (
        b'{"instances": [{"features": {"keys": [2], "shape": [2], "values": [1]}}]}',
        JSON,
        "keys must be places below 2",
    ),
    (
        b'{"instances": [{"features": {"keys": [0], "shape": [9], "values": [1]}}]}',
        JSON,
        r"shape \[9\], but the model takes \[2\]",
    ),
    (b'{"features": [1, 2]}\nnope', LINES, "not valid JSON"),
    (b"1,2", RECORDIO, "body is not RecordIO"),
    (records((1, 2, 3)), RECORDIO, "rows of 3 features, but the model was trained on 2"),
    (records((1, float("nan"))), RECORDIO, "record 0: place 1 is NaN"),
    (b"", RECORDIO, "no rows"),
]


@pytest.mark.parametrize(("body", "content_type", "message"), BAD_REQUESTS)
def test_a_bad_body_is_refused_with_what_is_wrong(
    model: Model, body: bytes, content_type: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        answer(model, body, content_type, JSON)
    assert refused.value.status == 400
    assert str(refused.value).startswith("unable to evaluate payload provided: ")


@pytest.mark.parametrize("content_type", ["image/png", "", "application/octet-stream", "csv"])
def test_an_unknown_content_type_is_refused(model: Model, content_type: str) -> None:
    with pytest.raises(
        RequestError, match=f"Content-Type header value '{content_type}' is not"
    ) as (refused):
        answer(model, b"1,2", content_type, JSON)
    assert refused.value.status == 415


bodies = (
    st.binary(max_size=80)
    | st.text('{}[]":,0123456789.eE-+ \n\tfeaturesinstancesdatavaluekyh', max_size=80).map(
        str.encode
    )
    | st.binary(max_size=40).map(lambda data: records((1, 2)) + data)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["features", "data", "values", "keys", "shape"]), inner, max_size=4
            )
        ),
    ).map(lambda instance: json.dumps({"instances": [instance]}).encode())
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=bodies,
    content_type=st.sampled_from(
        [JSON, LINES, CSV, RECORDIO, "text/csv;label_size=1", "text/csv;encoding=utf-16"]
    ),
    accept=st.sampled_from([JSON, LINES, RECORDIO, JSON + ";verbose=true", "nonsense"]),
)
def test_any_body_is_either_answered_or_refused(
    model: Model, body: bytes, content_type: str, accept: str
) -> None:
    try:
        result, _ = answer(model, body, content_type, accept)
    except RequestError as refused:
        assert refused.status == 400
    else:
        assert result


@given(content_type=st.text(max_size=40), accept=st.text(max_size=40))
def test_any_headers_are_either_answered_or_refused(
    model: Model, content_type: str, accept: str
) -> None:
    for header in (content_type, "text/csv;" + content_type, "text/csv; encoding=" + content_type):
        try:
            answer(model, b"1,2", header, accept)
        except RequestError as refused:
            assert refused.status in (400, 415)


def test_huge_numbers_and_deep_nesting_are_refused(model: Model) -> None:
    for body in (b'{"instances": [{"features": [1, ' + b"9" * 500 + b"]}]}", b"[" * 100_000):
        with pytest.raises(RequestError):
            answer(model, body, JSON, JSON)


def test_execution_parameters_are_those_of_the_container_interface() -> None:
    parameters = execution_parameters()
    assert sorted(parameters) == ["BatchStrategy", "MaxConcurrentTransforms", "MaxPayloadInMB"]
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert int(parameters["MaxConcurrentTransforms"]) >= 1


def test_predictions_leak_no_memory(model: Model) -> None:
    def predict(times: int) -> None:
        for number in range(times):
            row = f"{number % 12},{number % 7}".encode()
            answer(model, row, CSV, "application/json; verbose=true")
            answer(model, records((number % 12, 1)), RECORDIO, RECORDIO)

    predict(500)
    before = resident_bytes()
    predict(5000)
    # 10,000 answers: a leak of two hundred bytes each would show.
    assert resident_bytes() - before < 2_000_000


def resident_bytes() -> int:
    """Memory that the process occupies."""
    # /proc is Linux's own; elsewhere the greatest size so far must do, which grows just as well.
    if sys.platform != "linux":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_one_row_and_a_batch_are_answered_alike(model: Model) -> None:
    rows = np.random.default_rng(0).uniform(0, 11, (100, 2)).round(3).tolist()
    batch = b"\n".join(f"{x},{y}".encode() for x, y in rows)
    together = json.loads(answer(model, batch, CSV, JSON)[0])["predictions"]
    alone = [
        json.loads(answer(model, f"{x},{y}".encode(), CSV, JSON)[0])["predictions"][0]
        for x, y in rows
    ]
    assert together == alone
