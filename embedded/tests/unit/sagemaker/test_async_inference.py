"""Queues of asynchronous endpoints: whose they are, how fast they go, and that nothing is lost."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.sagemaker import persistence, store
from embedded_aws.sagemaker.hosting import async_inference, deployment, runtime, serving
from embedded_aws.sagemaker.hosting.runtime import Answer

SCOPE = Scope("000000000000", "us-east-1")
REQUEST = {"EndpointName": "iris"}


class Stage:
    """Endpoints whose model answers when it is let, and what came of each request."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.objects: dict[str, bytes] = {}
        self.metrics: list[str] = []
        self.begun = 0

    def infer(self, *_: Any) -> Answer:
        """Stands in for ``runtime.infer``."""
        self.begun += 1
        assert self.let.wait(20)
        return Answer(b"answer", "text/plain", 0.0)

    def put_object(self, scope: Scope, uri: str, body: bytes, *_: Any) -> None:
        """Stands in for ``platform.put_object``."""
        if uri.startswith("s3://forbidden/"):
            raise DataError("Access Denied")
        self.objects[uri] = body

    def endpoint(self, name: str = "iris", each: int = 1, **output: str) -> dict[str, Any]:
        """An endpoint in service on one instance."""
        document = {
            "EndpointName": name,
            "EndpointArn": SCOPE.arn("endpoint", name),
            "EndpointStatus": "InService",
            "CreationTime": time.time(),
            "Hosted": [{"VariantName": "a", "CurrentWeight": 1.0, "RoleArn": None}],
            "AsyncInferenceConfig": {
                "OutputConfig": {
                    "S3OutputPath": "s3://b/answers",
                    "S3FailurePath": "s3://b/failures",
                    **output,
                },
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": each},
            },
        }
        document["Hosted"][0]["CurrentInstanceCount"] = 1
        store.endpoints.put(SCOPE, name, document)
        return document

    def remove(self, endpoint: dict[str, Any]) -> None:
        """Delete an endpoint."""
        endpoint["EndpointStatus"] = "Deleting"
        deployment.remove(SCOPE, endpoint)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage with nothing on it."""
    stage = Stage()
    for table in store.TABLES.values():
        monkeypatch.setattr(table, "rows", {})
    async_inference.restore_queues()
    monkeypatch.setattr(runtime, "infer", stage.infer)
    monkeypatch.setattr(serving, "loaded", {})
    monkeypatch.setattr(platform, "put_object", stage.put_object)
    monkeypatch.setattr(platform.LogStream, "write", lambda *_: None)
    monkeypatch.setattr(
        platform, "publish_metric", lambda _, __, name, *___: stage.metrics.append(name)
    )
    yield stage
    stage.let.set()
    wait_for(lambda: not async_inference.under_way)


def wait_for(what: Callable[[], Any]) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ask(name: str = "iris", body: bytes = b"1", **changes: Any) -> str:
    """Send a request; where its answer will be."""
    request = {"EndpointName": name, **changes}
    headers, _ = async_inference.invoke_endpoint_async(SCOPE, request, body)
    return headers["x-amzn-sagemaker-outputlocation"]


def failure_of(location: str) -> str:
    """Where the failure of a request goes."""
    return location.replace("/answers/", "/failures/").replace(".out", "-error.out")


def test_an_endpoint_made_anew_answers_all_that_it_has_accepted(stage: Stage) -> None:
    old = stage.endpoint()
    stage.let.clear()
    ask()
    wait_for(lambda: stage.begun == 1)
    stage.remove(old)
    stage.endpoint()
    asked = [ask() for _ in range(5)]
    stage.let.set()
    wait_for(lambda: set(asked) <= set(stage.objects))


def test_requests_that_wait_go_with_their_endpoint(stage: Stage) -> None:
    endpoint = stage.endpoint()
    stage.let.clear()
    waiting = [ask() for _ in range(3)]
    wait_for(lambda: stage.begun == 1)
    stage.remove(endpoint)
    stage.let.set()
    wait_for(lambda: not store.async_requests.rows)
    assert [location in stage.objects for location in waiting] == [True, False, False]
    assert not async_inference.queues
    assert not async_inference.under_way


def test_a_request_to_an_endpoint_that_has_gone_meanwhile_is_not_accepted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = stage.endpoint()
    check_input = async_inference.check_input

    def remove_and_check(*arguments: Any) -> None:
        stage.remove(endpoint)
        check_input(*arguments)

    monkeypatch.setattr(async_inference, "check_input", remove_and_check)
    with pytest.raises(runtime.ServiceError, match="not found"):
        ask()
    assert not store.async_requests.rows


def test_slow_requests_of_one_endpoint_do_not_hold_up_those_of_another(stage: Stage) -> None:
    stage.endpoint("slow", each=40)
    stage.endpoint("other")
    stage.let.clear()
    for _ in range(40):
        ask("slow")
    wait_for(lambda: stage.begun == 40)
    ask("other")
    wait_for(lambda: stage.begun == 41)


def test_no_more_are_answered_at_once_than_the_instances_take(stage: Stage) -> None:
    stage.endpoint(each=2)
    stage.let.clear()
    asked = [ask() for _ in range(6)]
    wait_for(lambda: stage.begun == 2)
    (queue,) = async_inference.queues.values()
    assert len(queue) == 4
    stage.let.set()
    wait_for(lambda: set(asked) <= set(stage.objects))


@pytest.mark.parametrize("location", ["s3://bucket", "s3://bucket/", "s3://Bad Bucket/x"])
def test_a_payload_that_can_be_nowhere_is_a_failure_that_is_told(
    stage: Stage, location: str
) -> None:
    stage.endpoint()
    asked = ask(body=b"", InputLocation=location)
    wait_for(lambda: failure_of(asked) in stage.objects)
    reason = stage.objects[failure_of(asked)].decode()
    assert reason.startswith(f"ClientError: Failed to download {location}: ")
    wait_for(lambda: "TotalProcessingTime" in stage.metrics)
    assert "RequestDownloadFailures" in stage.metrics
    assert "InvocationFailures" in stage.metrics


def test_an_answer_that_can_not_be_written_is_a_failure_that_is_told(stage: Stage) -> None:
    stage.endpoint(S3OutputPath="s3://forbidden/answers")
    headers, _ = async_inference.invoke_endpoint_async(SCOPE, REQUEST, b"1")
    failure = headers["x-amzn-sagemaker-failurelocation"]
    wait_for(lambda: failure in stage.objects)
    assert stage.objects[failure] == b"ClientError: Access Denied"
    assert "ResponseUploadFailures" in stage.metrics


def test_whatever_else_goes_wrong_is_a_failure_that_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: Any) -> Answer:
        raise RuntimeError("no memory")

    monkeypatch.setattr(runtime, "infer", break_down)
    published: list[dict[str, Any]] = []

    class Sns:
        """A topic."""

        def publish(self, TopicArn: str, Message: str) -> None:  # noqa: N803
            published.append(json.loads(Message))

    monkeypatch.setattr(platform, "client", lambda *_: Sns())
    endpoint = stage.endpoint()
    topic = {"ErrorTopic": "arn:aws:sns:us-east-1:000000000000:errors"}
    endpoint["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"] = topic
    asked = ask()
    wait_for(lambda: published)
    reason = "InternalServerError: RuntimeError: no memory"
    assert stage.objects[failure_of(asked)].decode() == reason
    assert published[0]["failureReason"] == reason
    assert "InvocationFailures" in stage.metrics


def test_a_round_over_the_queues_that_goes_wrong_is_not_the_last(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.endpoint()
    rounds: list[int] = []

    def fail_once(*_: Any) -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("something moved")
        stopped.set()

    stopped = threading.Event()
    monkeypatch.setattr(async_inference, "measure_backlog", fail_once)
    monkeypatch.setattr(async_inference, "METRICS_PERIOD_SECONDS", 0.0)
    async_inference.run_forever(stopped)
    assert len(rounds) == 2


# --- restarts --------------------------------------------------------------------------------


def restart(stage: Stage) -> None:
    """Keep the state as JSON, forget everything, and put it back."""
    state = json.loads(json.dumps(persistence.get_state()))
    for table in store.TABLES.values():
        table.rows.clear()
    persistence.load_persisted_state(state)


def test_requests_wait_for_their_own_endpoint_after_a_restart(stage: Stage) -> None:
    endpoint = stage.endpoint()
    endpoint["Hosted"][0]["CurrentInstanceCount"] = 0
    asked = [ask() for _ in range(2)]
    restart(stage)
    restored = store.endpoints.get(SCOPE, "iris")
    assert restored is not None
    restored["Hosted"][0]["CurrentInstanceCount"] = 1
    async_inference.dispatch(SCOPE, restored)
    wait_for(lambda: set(asked) <= set(stage.objects))


def test_an_endpoint_that_was_being_deleted_is_deleted_with_all_that_hung_on_it(
    stage: Stage,
) -> None:
    endpoint = stage.endpoint()
    endpoint["Hosted"][0]["CurrentInstanceCount"] = 0
    ask()
    store.tags.put(SCOPE, endpoint["EndpointArn"], {"team": "iris"})
    endpoint["EndpointStatus"] = "Deleting"
    restart(stage)
    persistence.end_interrupted()
    assert not store.endpoints.rows
    assert not store.tags.rows
    assert not store.async_requests.rows
    assert not async_inference.queues
