"""The example notebook, run by ``make notebook`` on the embedded AWS."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.testing import EmbeddedAws

ROOT = Path(__file__).parents[2]
# The SDK would report its use to a bucket of AWS's.
SDK_DEFAULTS = """
SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""


@pytest.fixture(scope="module")
def cells(
    embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The cells of the notebook after they were run."""
    if not (ROOT / ".venv-sdk/stamp").exists():
        pytest.skip("no .venv-sdk: make test sets it up")
    home = tmp_path_factory.mktemp("notebook")
    defaults = home / "sdk-defaults.yaml"
    defaults.write_text(SDK_DEFAULTS)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ENDPOINT_URL": embedded_aws.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(defaults),
        "NO_PROXY": "127.0.0.1",
    }
    make = ["make", "-C", str(ROOT), "notebook", "FORMAT=notebook", f"OUTPUT={home}"]
    result = subprocess.run(make, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-4000:]
    notebook = json.loads((home / "iris_knn.ipynb").read_text())
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
