"""The SageMaker SDK, version 3: its resource classes, and the example notebook."""

from typing import Any

import pytest

from embedded.tests.clients.conftest import NOTEBOOK


@pytest.fixture(scope="module")
def found(results_of) -> dict[str, Any]:
    return results_of("sdk_v3.json")


def test_a_training_job_is_created_waited_for_and_listed(found):
    assert found["status"] == "Completed"
    assert found["metrics"]["test:accuracy"] == pytest.approx(0.9736842, abs=1e-6)
    assert len(found["listed"]) == 1


def test_an_endpoint_is_created_and_invoked(found):
    assert found["answer"] == {"predictions": [{"predicted_label": 0.0}]}


def test_a_transform_job_completes(found):
    assert found["transform"] == "Completed"


def test_what_is_deleted_is_gone(found):
    assert found["left"] == []


@pytest.fixture(scope="module")
def cells(results_of) -> list[dict[str, Any]]:
    """The cells of the example notebook after they were run."""
    notebook = results_of(NOTEBOOK.name)
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def output_of(cells: list[dict[str, Any]], source: str) -> str:
    """What the cell printed, and gave in the end, whose source holds a text."""
    (cell,) = (cell for cell in cells if source in "".join(cell["source"]))
    texts = [o.get("text") or o.get("data", {}).get("text/plain", []) for o in cell["outputs"]]
    return "".join("".join(text) for text in texts)


def test_the_notebook_draws_the_scatter_matrix(cells):
    (cell,) = (cell for cell in cells if "scatter_matrix" in "".join(cell["source"]))
    assert any("image/png" in output.get("data", {}) for output in cell["outputs"])


def test_the_notebook_trains_to_the_accuracy_of_the_introduction(cells):
    output = output_of(cells, "final_metric_data_list")
    assert "('macro_f_1.000', 0.97170347)" in output
    assert "0.97368" in output


def test_the_notebook_predicts_with_each_kind_of_endpoint(cells):
    assert output_of(cells, "BytesDeserializer()").count("'predicted_label': 0.0") == 2
    assert "'predicted_label': 0.0" in output_of(cells, "invoke_async")
    assert "415" in output_of(cells, "NumpySerializer()")


def test_the_notebook_validates_row_by_row(cells):
    assert "Prediction" in output_of(cells, 'validated["Result"] =')
    assert "0.9737" in output_of(cells, "classification_report")
