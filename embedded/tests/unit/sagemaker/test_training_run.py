"""How a training job's run ends, whatever its process does."""

import gzip
import io
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.sagemaker import algorithm_process, capacity, job_metrics, roles, store
from embedded_aws.sagemaker.jobs import TRAINING, changed
from embedded_aws.sagemaker.training import jobs as training_jobs
from embedded_aws.sagemaker.training import run as training_run
from embedded_aws.sagemaker.training.folder import feed_object
from embedded_aws.sagemaker.training.request import with_defaults
from embedded_aws.sagemaker.training.run import OUT_OF_MEMORY, TrainingFailed, raise_failure

SCOPE = Scope("000000000000", "us-east-1")
REQUEST = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "knn", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "RoleArn": "role",
}
# An algorithm that says when it has begun, and saves what it has when it is told to stop.
SAVES_WHEN_STOPPED = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path(sys.argv[1], "model", "so-far").write_text("half a model")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("begun", flush=True)
time.sleep(30)
"""
PRINTS_A_SCORE = """
import pathlib, sys
print("#test_score (algo-1) : ('accuracy', 0.5)", flush=True)
print("#test_score (algo-1) : ('accuracy', 0.75)", flush=True)
pathlib.Path(sys.argv[1], "model", "model").write_text("a model")
"""


class Stage:
    """Jobs with a script in place of the algorithm, and what they put into S3 and the logs."""

    def __init__(self) -> None:
        self.script = PRINTS_A_SCORE
        self.objects: dict[str, bytes] = {}
        self.lines: list[str] = []

    def start(self, arguments: list[str], folder: Path, environment: Any) -> Any:
        """Stands in for ``algorithm_process.start``."""
        return subprocess.Popen(
            [sys.executable, "-c", self.script, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def put_object(self, scope: Scope, uri: str, body: Any, *_: Any, **__: Any) -> None:
        """Stands in for ``platform.put_object``."""
        self.objects[uri] = body.read()

    def start_job(self, **changes: Any) -> None:
        """Run a job in the background."""
        training_jobs.keep_training_job(SCOPE, with_defaults({**REQUEST, **changes}))
        training_run.start(SCOPE, "job")

    def ended(self) -> dict[str, Any]:
        """The job once it has ended."""
        assert TRAINING.wait_until_ended(self.job, 20)
        return self.job

    def run(self, **changes: Any) -> dict[str, Any]:
        """Run a job to its end."""
        self.start_job(**changes)
        return self.ended()

    @property
    def job(self) -> dict[str, Any]:
        """The job's record."""
        job = store.training_jobs.get(SCOPE, "job")
        assert job is not None
        return job

    @property
    def statuses(self) -> list[str]:
        """The secondary statuses that the job has been in."""
        return [entry["Status"] for entry in self.job["SecondaryStatusTransitions"]]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage with no job on it."""
    stage = Stage()
    monkeypatch.setattr(store.training_jobs, "rows", {})
    monkeypatch.setattr(algorithm_process, "start", stage.start)
    monkeypatch.setattr(platform, "put_object", stage.put_object)
    monkeypatch.setattr(platform.LogStream, "write", lambda log, lines: stage.lines.extend(lines))
    monkeypatch.setattr(job_metrics, "publish", lambda *_: None)
    yield stage
    for process in list(algorithm_process.running):
        process.kill()


def wait_for(what: Callable[[], Any]) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_that_ends_well_keeps_its_model_and_the_last_value_of_each_metric(
    stage: Stage,
) -> None:
    job = stage.run()
    assert job["TrainingJobStatus"] == "Completed"
    uri = "s3://bucket/output/job/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": uri}
    assert list(stage.objects) == [uri]
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("test:accuracy", 0.75)


def test_what_an_algorithm_saves_when_it_is_told_to_stop_is_kept(stage: Stage) -> None:
    stage.script = SAVES_WHEN_STOPPED
    stage.start_job()
    wait_for(lambda: stage.lines)
    training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
    stage.ended()
    assert stage.statuses[2:] == ["Training", "Stopping", "Uploading", "Stopped"]
    assert stage.job["TrainingJobStatus"] == "Stopped"
    assert stage.job["ModelArtifacts"]["S3ModelArtifacts"] in stage.objects


def test_a_job_whose_time_is_up_keeps_what_it_has_too(stage: Stage) -> None:
    stage.script = SAVES_WHEN_STOPPED
    stage.start_job()
    wait_for(lambda: stage.lines)
    stage.job["StoppingCondition"] = {"MaxRuntimeInSeconds": 0}
    job = stage.ended()
    assert job["TrainingJobStatus"] == "Stopped"
    assert stage.statuses[2:] == ["Training", "Stopping", "Uploading", "MaxRuntimeExceeded"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] in stage.objects


def test_a_stopped_algorithm_that_saves_nothing_leaves_no_artefact(stage: Stage) -> None:
    stage.script = "import time; print('begun', flush=True); time.sleep(30)"
    stage.start_job()
    wait_for(lambda: stage.lines)
    training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
    stage.ended()
    assert stage.statuses[-2:] == ["Stopping", "Stopped"]
    assert "ModelArtifacts" not in stage.job
    assert not stage.objects


def test_a_name_that_differs_by_case_only_is_in_use(stage: Stage) -> None:
    stage.run()
    with pytest.raises(ServiceError) as refused:
        training_jobs.keep_training_job(SCOPE, with_defaults({**REQUEST, "TrainingJobName": "Job"}))
    assert refused.value.code == "ResourceInUse"


def test_a_job_that_is_stopped_while_it_starts_downloads_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_meanwhile(*_: Any) -> bool:
        training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
        return True

    monkeypatch.setattr(roles, "may_pull_image", stop_meanwhile)
    assert stage.run()["TrainingJobStatus"] == "Stopped"
    assert stage.statuses == ["Starting", "Stopping", "Stopped"]


def test_a_job_that_downloads_stops_without_having_trained(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless_download(*arguments: Any) -> None:
        check = arguments[-1]
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr(training_run, "fetch_channels", endless_download)
    stage.start_job()
    wait_for(lambda: stage.statuses[-1] == "Downloading")
    training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
    stage.ended()
    assert stage.statuses == ["Starting", "Downloading", "Stopping", "Stopped"]
    assert not stage.objects


def test_a_job_that_is_stopped_while_it_uploads_keeps_its_model(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_model = training_run.upload_model

    def stop_and_upload(*arguments: Any) -> str | None:
        training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
        return upload_model(*arguments)

    monkeypatch.setattr(training_run, "upload_model", stop_and_upload)
    job = stage.run()
    assert stage.statuses[-3:] == ["Uploading", "Stopping", "Stopped"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] in stage.objects


def test_a_job_that_waits_for_its_turn_is_pending_and_stops_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "instances", capacity.Capacity(0, changed))
    stage.start_job()
    wait_for(lambda: stage.statuses[-1] == "Pending")
    training_jobs.stop_training_job(SCOPE, {"TrainingJobName": "job"})
    stage.ended()
    assert stage.statuses == ["Starting", "Pending", "Stopping", "Stopped"]
    assert "TrainingStartTime" not in stage.job


def test_a_spot_job_that_waits_too_long_for_its_turn_ends(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "instances", capacity.Capacity(0, changed))
    monkeypatch.setattr(capacity, "RECHECK_SECONDS", 0.05)
    limit = {"MaxRuntimeInSeconds": 0.1, "MaxWaitTimeInSeconds": 0.2}
    job = stage.run(EnableManagedSpotTraining=True, StoppingCondition=limit)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_an_internal_error_is_tried_again_as_often_as_the_retry_strategy_says(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([RuntimeError("one"), RuntimeError("two")])
    run_in = training_run.run_in

    def fail_twice(*arguments: Any) -> None:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        run_in(*arguments)

    monkeypatch.setattr(training_run, "run_in", fail_twice)
    job = stage.run(RetryStrategy={"MaximumRetryAttempts": 2})
    assert job["TrainingJobStatus"] == "Completed"
    assert stage.statuses[:4] == ["Starting", "Starting", "Starting", "Downloading"]


def test_without_a_retry_strategy_an_internal_error_fails_the_job(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no disk")

    monkeypatch.setattr(training_run, "run_in", fail)
    job = stage.run()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: RuntimeError: no disk"


@pytest.mark.parametrize(
    ("returncode", "written", "reason"),
    [
        (1, "ClientError: no rows", "ClientError: no rows"),
        (-signal.SIGKILL, "", OUT_OF_MEMORY),
        (-signal.SIGSEGV, "", "AlgorithmError: , exit code: 139"),
        (2, "", "AlgorithmError: , exit code: 2"),
    ],
)
def test_a_process_that_fails_gives_its_reason_or_its_exit_code(
    tmp_path: Path, returncode: int, written: str, reason: str
) -> None:
    (tmp_path / "output").mkdir()
    if written:
        (tmp_path / "output" / "failure").write_text(written)
    with pytest.raises(TrainingFailed) as failed:
        raise_failure(returncode, tmp_path, [])
    assert str(failed.value) == reason


def test_data_that_can_not_be_read_any_more_is_the_reason_not_the_process(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="ClientError: Data download failed:gone"):
        raise_failure(-signal.SIGKILL, tmp_path, [DataError("gone")])


def test_a_process_that_ignores_being_told_to_stop_is_killed() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('begun', flush=True); time.sleep(30)",
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    algorithm_process.end(process, 0.1)
    assert process.returncode == -signal.SIGKILL


def fed(content: bytes, **channel: str) -> bytes:
    """What goes through the pipe for an object of a channel."""
    pipe = io.BytesIO()
    feed_object(io.BytesIO(content), channel, pipe)
    return pipe.getvalue()


def test_objects_go_through_a_pipe_as_they_are() -> None:
    assert fed(b"\x00\x01", ContentType="application/x-recordio-protobuf") == b"\x00\x01"
    assert fed(b"0,1\n0,2", ContentType="text/csv") == b"0,1\n0,2\n"


def test_compressed_objects_are_unpacked_on_their_way() -> None:
    assert fed(gzip.compress(b"0,1\n"), CompressionType="Gzip") == b"0,1\n"


def test_each_object_is_wrapped_in_a_record_if_the_channel_asks_for_it() -> None:
    wrapped = fed(b"0,1\n0", RecordWrapperType="RecordIO", ContentType="text/csv")
    assert wrapped == struct.pack("<II", 0xCED7230A, 5) + b"0,1\n0" + b"\0\0\0"
    both = fed(gzip.compress(b"abcd"), RecordWrapperType="RecordIO", CompressionType="Gzip")
    assert both == struct.pack("<II", 0xCED7230A, 4) + b"abcd"
