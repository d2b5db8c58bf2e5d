"""The AWS CLI, unchanged, against the embedded AWS."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded.tests.clients.conftest import Clients, python_of
from embedded.tests.helpers.iris_jobs import IMAGE, ROLE, Workshop, wait_for

Aws = Callable[..., Any]


@pytest.fixture(scope="module")
def aws(clients: Clients) -> Aws:
    """Run a command of the CLI and return what it prints."""
    command = str(Path(python_of(".venv-sdk-v2")).parent / "aws")

    def run(*arguments: str, service: str = "sagemaker") -> Any:
        process = clients.start([command, service, *arguments])
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return json.loads(output) if output.strip() else None

    return run


@pytest.fixture(scope="module")
def name() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def trained(aws: Aws, client_bucket: Workshop, name: str) -> dict[str, Any]:
    """A job that was started and waited for from a shell."""
    request = client_bucket.job(name)
    answer = aws("create-training-job", "--cli-input-json", json.dumps(request))
    assert answer["TrainingJobArn"].endswith(f":training-job/{name}")
    described = ("describe-training-job", "--training-job-name", name)
    # The waiter asks once a minute only.
    wait_for(lambda: aws(*described)["TrainingJobStatus"] != "InProgress")
    aws("wait", "training-job-completed-or-stopped", "--training-job-name", name)
    return aws(*described)


def test_a_job_is_created_waited_for_and_described(trained):
    assert trained["TrainingJobStatus"] == "Completed"
    assert trained["FinalMetricDataList"][0]["MetricName"] == "test:accuracy"


def test_jobs_are_listed_with_filters_and_a_query(aws, trained, name):
    query = "TrainingJobSummaries[].TrainingJobName"
    listed = aws("list-training-jobs", "--name-contains", name, "--query", query)
    assert listed == [name]


def test_an_endpoint_is_deployed_invoked_and_deleted(aws, trained, name, tmp_path):
    container = {"Image": IMAGE, "ModelDataUrl": trained["ModelArtifacts"]["S3ModelArtifacts"]}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    aws(
        *("create-model", "--model-name", name, "--execution-role-arn", ROLE),
        *("--primary-container", json.dumps(container)),
    )
    aws(
        *("create-endpoint-config", "--endpoint-config-name", name),
        *("--production-variants", json.dumps([variant])),
    )
    aws("create-endpoint", "--endpoint-name", name, "--endpoint-config-name", name)
    aws("wait", "endpoint-in-service", "--endpoint-name", name)
    answer = tmp_path / "answer.json"
    aws(
        *("invoke-endpoint", "--endpoint-name", name, "--content-type", "text/csv"),
        *("--body", "5.1,3.5,1.4,0.2", str(answer)),
        service="sagemaker-runtime",
    )
    assert json.loads(answer.read_text()) == {"predictions": [{"predicted_label": 0.0}]}
    aws("delete-endpoint", "--endpoint-name", name)
    aws("wait", "endpoint-deleted", "--endpoint-name", name)
