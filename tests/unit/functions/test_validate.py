import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from batches import batches
from confusion import ConfusionMatrix

labels = st.integers(0, 3)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_the_metrics_are_those_of_scikit_learn(pairs):
    true, predicted = map(np.array, zip(*pairs, strict=True))
    matrix = ConfusionMatrix(["a", "b", "c", "d"])
    for pair in pairs:
        matrix.add(*pair)
    metrics = matrix.metrics()
    seen = sorted({*true.tolist(), *predicted.tolist()})
    expected = precision_recall_fscore_support(true, predicted, labels=seen, zero_division=0)
    assert metrics["classes"] == ["abcd"[label] for label in seen]
    assert metrics["confusion_matrix"] == confusion_matrix(true, predicted, labels=seen).tolist()
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    macro = f1_score(true, predicted, average="macro", zero_division=0)
    assert metrics["macro_f1"] == pytest.approx(macro)
    for index, of_class in enumerate(metrics["per_class"].values()):
        assert list(of_class.values()) == pytest.approx([column[index] for column in expected])


def test_classes_that_a_file_has_not_do_not_count_and_those_that_it_has_are_noted():
    matrix = ConfusionMatrix(["a", "gone", "b", "unlucky"])
    matrix.add(0, 0)
    matrix.add(2, 2)
    metrics = matrix.metrics(of_file={"a", "b", "unlucky"})
    assert (metrics["macro_f1"], metrics["classes"]) == (1.0, ["a", "b"])
    assert metrics["notes"] == [
        '"unlucky" has no row in the test and was never predicted: it is left out.'
    ]


def test_a_class_that_is_never_predicted_has_precision_0_and_a_note():
    matrix = ConfusionMatrix(["negative", "positive"])
    for _ in range(99):
        matrix.add(0, 0)
    matrix.add(1, 0)
    metrics = matrix.metrics()
    assert metrics["accuracy"] == 0.99
    assert metrics["per_class"]["positive"]["f_score"] == 0
    assert metrics["notes"] == ['"positive" was never predicted: its precision is given as 0.']


def test_there_are_no_metrics_of_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        ConfusionMatrix(["a", "b"]).metrics()


@given(
    st.lists(st.tuples(labels, st.lists(st.floats(0, 9), min_size=1, max_size=4)), max_size=40),
    st.integers(1, 60),
    st.integers(1, 7),
)
def test_batches_keep_every_row_in_order_and_within_the_limits(rows, max_bytes, max_rows):
    lines = [f"{label},{','.join(map(str, features))}\n" for label, features in rows]
    made = list(batches(lines, max_bytes=max_bytes, max_rows=max_rows))
    assert [label for batch in made for label in batch.labels] == [label for label, _ in rows]
    features = b"".join(batch.body for batch in made).decode()
    assert features == "".join(line.partition(",")[2] for line in lines)
    for batch in made:
        assert 1 <= len(batch.lines) <= max_rows
        assert len(batch.body) <= max_bytes or len(batch.lines) == 1
