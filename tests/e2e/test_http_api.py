"""The API is what its document says: held against it, and called by a client that it makes."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deployed import ROOT, Deployed, wait_for

pytestmark = pytest.mark.e2e
DOCUMENT = json.loads((ROOT / "functions/predict/openapi.json").read_text())
FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]]
EXPECTED = ["setosa", "virginica"]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def asked(deployed: Deployed, async_run: str) -> str:
    """The id of a prediction that an asynchronous endpoint has made."""
    accepted = deployed.call(
        "POST", "/datasets/async/predictions", json.dumps({"instances": FLOWERS})
    )
    path = f"/datasets/async/predictions/{accepted.body['id']}"
    wait_for(lambda: deployed.call("GET", path).status == 200)
    return str(accepted.body["id"])


def test_the_api_does_what_its_document_says(deployed, realtime_run, asked, tmp_path):
    batch = deployed.call("POST", "/datasets/realtime/batches").body["batch"]
    filled_in = {
        "API_KEY": deployed.api_key,
        "DATASET": "realtime",
        "RUN": realtime_run,
        "BATCH": batch,
        "PREDICTION": asked,
    }
    result = subprocess.run(
        [
            *(BIN / "schemathesis", "--no-color"),
            *("--config-file", ROOT / "tests/e2e/schemathesis.toml"),
            *("run", ROOT / "functions/predict/openapi.json", "--url", deployed.api_url),
        ],
        cwd=tmp_path,
        env=os.environ | filled_in,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Tested: {sum(map(len, DOCUMENT['paths'].values()))}" in result.stdout


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_a_method_that_is_not_documented_is_403_as_api_gateway_gives_it(deployed, path):
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
    for method in methods - {method.upper() for method in DOCUMENT["paths"][path]}:
        answer = deployed.call(method, path.replace("{", "").replace("}", ""))
        assert answer.status == 403
        assert method == "HEAD" or answer.body["error"]["code"] == "MISSING_AUTHENTICATION_TOKEN"


def test_a_query_parameter_that_is_not_documented_is_ignored(deployed, realtime_run):
    path = "/datasets/realtime"
    assert deployed.call("GET", f"{path}?unknown=1").body == deployed.call("GET", path).body


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client that openapi-python-client makes of the document."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.json"
    config.write_text(json.dumps({"post_hooks": []}))
    made = subprocess.run(
        [
            *(BIN / "openapi-python-client", "generate", "--meta", "none"),
            *("--path", ROOT / "functions/predict/openapi.json"),
            *("--output-path", folder / "knn_client", "--config", config),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    # It makes no functions that send text.
    assert made.stdout.count("WARNING") == made.stdout.count("Unsupported content type text/csv")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("knn_client")
    finally:
        sys.path.remove(str(folder))


class Client:
    """The generated client: its operations by name, called with the deployed API's address."""

    def __init__(self, package: ModuleType, deployed: Deployed, key: str) -> None:
        self.models = importlib.import_module(f"{package.__name__}.models")
        self.http = package.AuthenticatedClient(
            base_url=deployed.api_url,
            token=key,
            prefix="",
            auth_header_name="x-api-key",
            raise_on_unexpected_status=True,
        )
        self._package = package.__name__

    def __call__(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Call an operation, such as ``predictions.make_predictions``; return a typed answer."""
        module = importlib.import_module(f"{self._package}.api.{operation}")
        return module.sync(*arguments, client=self.http, **options)

    def refusal(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Call an operation that is refused; return the code of the error, an enumerated one."""
        answer = self(operation, *arguments, **options)
        assert isinstance(answer, self.models.Error), answer
        assert answer.error.message
        return answer.error.code


@pytest.fixture
def client(package: ModuleType, deployed: Deployed) -> Client:
    return Client(package, deployed, deployed.api_key)


def predicted(answer: Any) -> list[str]:
    return [each.label for each in answer.predictions]


def test_a_client_made_of_the_document_finds_and_reads_a_model(client, realtime_run):
    assert client("service.tell_health").status == "ok"
    live = {each.dataset: each for each in client("datasets.list_datasets").datasets}
    assert live["realtime"].run == realtime_run
    told = client("datasets.describe_dataset", "realtime")
    assert told.live.endpoint_kind == client.models.EndpointKind.REALTIME
    assert {each.role for each in told.features} == {client.models.Role.NUMBER}
    assert told.live.metrics.accuracy > 0.8
    assert told.classes == told.schema.classes


def test_a_client_made_of_the_document_predicts(client, realtime_run):
    told = client("datasets.describe_dataset", "realtime")
    names = [each.name for each in told.features]
    rows = client.models.Instances(instances=FLOWERS)
    answer = client("predictions.make_predictions", "realtime", body=rows, neighbors=2)
    assert (predicted(answer), answer.run) == (EXPECTED, realtime_run)
    assert [len(each.neighbors) for each in answer.predictions] == [2, 2]
    first = answer.predictions[0]
    assert first.probabilities[first.label] == pytest.approx(1)
    objects = client.models.Instances(
        instances=[dict(zip(names, row, strict=True)) for row in FLOWERS]
    )
    assert predicted(client("predictions.make_predictions", "realtime", body=objects)) == EXPECTED


def test_a_client_made_of_the_document_sends_csv_by_its_http_client(client, realtime_run):
    text = "\n".join(",".join(map(str, row)) for row in FLOWERS)
    answer = client.http.get_httpx_client().post(
        "/datasets/realtime/predictions", content=text, headers={"content-type": "text/csv"}
    )
    assert predicted(client.models.Predictions.from_dict(answer.json())) == EXPECTED


def test_a_client_made_of_the_document_waits_for_an_asynchronous_endpoint(client, async_run):
    rows = client.models.Instances(instances=FLOWERS)
    pending = client("predictions.make_predictions", "async", body=rows)
    assert isinstance(pending, client.models.Pending)

    def made() -> Any:
        answer = client("predictions.read_predictions", "async", pending.id)
        return isinstance(answer, client.models.Predictions) and answer

    assert predicted(wait_for(made)) == EXPECTED


def test_a_client_made_of_the_document_follows_runs(client, realtime_run):
    listed = client("runs.list_runs", "realtime").runs
    assert [(each.run, each.status) for each in listed] == [
        (realtime_run, client.models.RunStatus.LIVE)
    ]
    run = client("runs.describe_run", "realtime", realtime_run)
    assert run.stages.report
    assert (run.rows.read, run.choice.k) == (150, client("datasets.describe_dataset", "realtime").k)
    assert "<html" in client("runs.read_report", "realtime", realtime_run)


def test_a_client_made_of_the_document_reads_rows_of_a_run(client, realtime_run):
    told = client("datasets.describe_dataset", "realtime")
    held_out = client("runs.list_held_out_rows", "realtime", realtime_run, true_="setosa").rows
    assert {each.true_ for each in held_out} == {"setosa"}
    rows = client.models.Instances(instances=[each.instance for each in held_out])
    answer = client("predictions.make_predictions", "realtime", body=rows)
    assert predicted(answer) == [each.predicted for each in held_out]
    sample = client("runs.sample_training_rows", "realtime", realtime_run)
    assert len(sample.rows) == len(sample.mapped) == len(sample.classes) > 100
    assert (set(sample.classes), sample.metric) == (set(told.classes), told.metric)


def test_a_client_made_of_the_document_presigns_an_upload(client):
    wanted = client.models.Upload(name="more.csv", label="Species", promote=False)
    given = client("uploads.presign_upload", "realtime", body=wanted)
    assert given.key == "realtime/more.csv"
    assert given.upload.headers["x-amz-meta-label"] == "Species"
    other = client.models.Upload(name="more.txt")
    refused = client.refusal("uploads.presign_upload", "realtime", body=other)
    assert refused == client.models.ErrorCode.INVALIDUPLOAD


def test_a_client_made_of_the_document_creates_a_batch(client, realtime_run):
    created = client(
        "batches.create_batch", "realtime", body=client.models.NewBatch(name="rows.csv")
    )
    assert created.upload.method == "PUT"
    batch = client("batches.get_batch", "realtime", created.batch)
    assert (batch.status, batch.file) == (client.models.BatchStatus.WAITING, "rows.csv")


def test_a_client_made_of_the_document_is_told_what_was_wrong(
    client, package, deployed, realtime_run
):
    code = client.models.ErrorCode
    short = client.models.Instances(instances=[[1]])
    refused = client.refusal("predictions.make_predictions", "realtime", body=short)
    assert refused == code.INVALIDINSTANCE
    assert client.refusal("datasets.describe_dataset", "nothing") == code.UNKNOWNDATASET
    assert client.refusal("runs.list_runs", "realtime", next_="now") == code.INVALIDNEXT
    unknown = client.refusal("runs.describe_run", "realtime", realtime_run[:-1] + "z")
    assert unknown == code.UNKNOWNRUN
    stranger = Client(package, deployed, "not-a-key")
    assert stranger.refusal("datasets.list_datasets") == stranger.models.ErrorCode.INVALID_API_KEY
