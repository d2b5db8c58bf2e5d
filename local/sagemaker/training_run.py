"""A training job's run: fetch the data, run the algorithm in a process of its own, keep its model.

The process sees a folder laid out like ``/opt/ml`` and nothing of AWS, as a container would.
Source: SageMaker developer guide, "How Amazon SageMaker Provides Training Information".
"""

import atexit
import errno
import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from local.sagemaker import platform, store
from local.sagemaker.platform import LogStream, Scope
from local.sagemaker.store import Document
from local.sagemaker.training_jobs import artefact_uri, enter

PROJECT = Path(__file__).resolve().parents[2]
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 0.01
GRACE_SECONDS = 5.0
REASON_LENGTH = 1024

# The metrics that the built-in k-NN emits, taken from its log as SageMaker does.
# Source: developer guide, "Metrics Computed by the k-NN Algorithm".
METRIC = re.compile(r"#test_score \(algo-1\) : \('(accuracy|mse)', ([^)]+)\)")

processes: set[subprocess.Popen[bytes]] = set()


class Stopped(Exception):
    """Somebody asked the job to stop."""


class MaxRuntimeExceeded(Exception):
    """The job ran longer than its stopping condition allows."""


class TrainingFailed(Exception):
    """The algorithm gave up; the message is the job's failure reason."""


def start(scope: Scope, name: str) -> None:
    """Run a job in the background."""
    threading.Thread(target=run, args=(scope, name), name=f"training-{name}", daemon=True).start()


@atexit.register
def kill_all() -> None:
    """No trainer outlives the server."""
    for process in list(processes):
        process.kill()


def run(scope: Scope, name: str) -> None:
    """Take a job from Starting to its end, whatever happens."""
    job = store.training_jobs.get(scope, name)
    if job is None:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="sagemaker-training-") as folder:
            metrics = run_in(scope.acting_as(job["RoleArn"]), job, Path(folder))
        enter(scope, name, "Completed", FinalMetricDataList=metrics)
    except Stopped:
        enter(scope, name, "Stopped")
    except MaxRuntimeExceeded:
        enter(scope, name, "MaxRuntimeExceeded")
    except TrainingFailed as error:
        enter(scope, name, "Failed", FailureReason=str(error)[:REASON_LENGTH])
    except platform.DataError as error:
        reason = f"ClientError: Data download or upload failed: {error}"
        enter(scope, name, "Failed", FailureReason=reason[:REASON_LENGTH])
    except Exception as error:
        # Nobody else would see it: without an end the job, and who waits for it, would hang.
        reason = f"InternalServerError: {type(error).__name__}: {error}"
        enter(scope, name, "Failed", FailureReason=reason[:REASON_LENGTH])
        raise


def run_in(scope: Scope, job: Document, folder: Path) -> list[Document]:
    """Do the work in a folder that stands for ``/opt/ml``; return the metrics."""
    name = job["TrainingJobName"]
    if not platform.may_pull_image(scope, job["AlgorithmSpecification"]["TrainingImage"]):
        raise TrainingFailed(
            "ClientError: Cannot pull algorithm container. Either the image does not exist or its "
            "permissions are incorrect."
        )
    enter(scope, name, "Downloading")
    prepare(folder, job)
    pipes = download(scope, job, folder / "input" / "data")
    check_stop(job)

    enter(scope, name, "Training", TrainingStartTime=time.time())
    log = LogStream(scope, LOG_GROUP, f"{name}/algo-1-{int(time.time())}")
    metrics = run_algorithm(scope, job, folder, pipes, log)

    enter(scope, name, "Uploading")
    upload(scope, job, folder)
    check_stop(job)
    return metrics


def check_stop(job: Document) -> None:
    """Leave off once somebody has asked the job to stop."""
    if job["TrainingJobStatus"] == "Stopping":
        raise Stopped


def input_mode(job: Document, channel: Document) -> str:
    """A channel's own input mode, or the job's."""
    return str(channel.get("InputMode") or job["AlgorithmSpecification"]["TrainingInputMode"])


def prepare(folder: Path, job: Document) -> None:
    """Lay out the folder and write the two configuration files that the algorithm reads."""
    for part in ("input/config", "input/data", "model", "output"):
        (folder / part).mkdir(parents=True)
    config = folder / "input" / "config"
    (config / "hyperparameters.json").write_text(json.dumps(job["HyperParameters"]))
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": input_mode(job, channel),
            "ContentType": channel.get("ContentType", ""),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in job.get("InputDataConfig", [])
    }
    (config / "inputdataconfig.json").write_text(json.dumps(channels))


Pipe = tuple[Path, Document, list[tuple[str, str]]]
"""A named pipe, its channel, and the (bucket, key) of what goes through it."""


def download(scope: Scope, job: Document, data: Path) -> list[Pipe]:
    """Fetch the channels of File mode; make the pipes for those of Pipe mode."""
    pipes: list[Pipe] = []
    for channel in job.get("InputDataConfig", []):
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, _ = platform.split_s3_uri(uri)
        objects = [(bucket, key) for key in platform.list_keys(scope, uri)]
        if not objects:
            raise platform.DataError(f'No S3 objects found under S3 URL "{uri}"')
        if input_mode(job, channel) == "Pipe":
            path = data / f"{channel['ChannelName']}_0"
            os.mkfifo(path)
            pipes.append((path, channel, objects))
            continue
        for number, (bucket, key) in enumerate(objects):
            # Objects of the same name in different folders must not meet.
            path = data / channel["ChannelName"] / f"{number:06}" / PurePosixPath(key).name
            path.parent.mkdir(parents=True)
            with path.open("wb") as file:
                for chunk in platform.chunks(platform.open_object(scope, bucket, key)):
                    file.write(chunk)
            check_stop(job)
    return pipes


def run_algorithm(
    scope: Scope, job: Document, folder: Path, pipes: list[Pipe], log: LogStream
) -> list[Document]:
    """Run the process to its end, feeding its pipes and keeping its log."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.knn", "train", str(folder)],
        cwd=PROJECT,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C in a terminal is for the server, which ends its trainers itself.
        start_new_session=True,
    )
    processes.add(process)
    metrics: list[Document] = []
    feed_errors: list[Exception] = []
    threads = [threading.Thread(target=keep_log, args=(process, log, metrics), daemon=True)]
    threads += [
        threading.Thread(target=feed, args=(scope, process, *pipe, feed_errors), daemon=True)
        for pipe in pipes
    ]
    try:
        for thread in threads:
            thread.start()
        wait(process, job)
    finally:
        end(process)
        processes.discard(process)
        for thread in threads:
            thread.join(GRACE_SECONDS)
    for error in feed_errors:
        raise error
    if process.returncode:
        failure = folder / "output" / "failure"
        raise TrainingFailed(
            failure.read_text()
            if failure.exists()
            else f"AlgorithmError: the algorithm ended without a reason, exit code: "
            f"{exit_code(process.returncode)}"
        )
    return metrics


def exit_code(returncode: int) -> int:
    """The exit code that a shell would show: 137 for a process killed by signal 9."""
    return 128 - returncode if returncode < 0 else returncode


def wait(process: subprocess.Popen[bytes], job: Document) -> None:
    """Wait for the process, unless the job is to stop or its time is up."""
    deadline = time.monotonic() + job["StoppingCondition"]["MaxRuntimeInSeconds"]
    while process.poll() is None:
        check_stop(job)
        if time.monotonic() > deadline:
            raise MaxRuntimeExceeded
        time.sleep(POLL_SECONDS)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process, if need be by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def keep_log(process: subprocess.Popen[bytes], log: LogStream, metrics: list[Document]) -> None:
    """Send the process's output to CloudWatch Logs, and pick the metrics out of it."""
    output = cast(IO[bytes], process.stdout)
    rest = b""
    while block := os.read(output.fileno(), 65536):
        *lines, rest = (rest + block).split(b"\n")
        record(lines, log, metrics)
    record([rest] if rest else [], log, metrics)
    output.close()


def record(lines: list[bytes], log: LogStream, metrics: list[Document]) -> None:
    """Keep complete lines."""
    texts = [line.decode("utf-8", "replace") for line in lines if line.strip()]
    for text in texts:
        if match := METRIC.search(text):
            metrics.append(
                {
                    "MetricName": f"test:{match[1]}",
                    "Value": float(match[2]),
                    "Timestamp": float(int(time.time())),
                }
            )
    log.write(texts)


def feed(
    scope: Scope,
    process: subprocess.Popen[bytes],
    path: Path,
    channel: Document,
    objects: list[tuple[str, str]],
    errors: list[Exception],
) -> None:
    """Write a channel's objects through its pipe, one after the other."""
    try:
        with open_when_read(path, process) as pipe:
            for bucket, key in objects:
                feed_object(platform.open_object(scope, bucket, key), channel, pipe)
    except (BrokenPipeError, ProcessLookupError):
        # The algorithm stopped reading, for a reason of its own that it tells by itself.
        return
    except Exception as error:
        errors.append(error)
        process.kill()


def feed_object(source: BinaryIO, channel: Document, pipe: BinaryIO) -> None:
    """Write one object, unpacked if the channel says that it is compressed."""
    if channel.get("CompressionType") == "Gzip":
        source = cast(BinaryIO, gzip.GzipFile(fileobj=source))
    last = b""
    for chunk in platform.chunks(source):
        pipe.write(chunk)
        last = chunk
    if last and not last.endswith(b"\n") and channel.get("ContentType", "").startswith("text/"):
        # Else the last row of one object and the first of the next would become one.
        pipe.write(b"\n")


def open_when_read(path: Path, process: subprocess.Popen[bytes]) -> BinaryIO:
    """Open a named pipe for writing as soon as the process reads it.

    Opening would block for ever if the process ended before, hence the polling.

    Raises
    ------
        ProcessLookupError: the process has ended.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if process.poll() is not None:
                raise ProcessLookupError from error
            time.sleep(POLL_SECONDS)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb")


def upload(scope: Scope, job: Document, folder: Path) -> None:
    """Pack what the algorithm left in ``model/`` and store it where the job says."""
    archive = folder / "model.tar.gz"
    # Floats hardly shrink, so the cheapest compression is enough.
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted((folder / "model").iterdir()):
            tar.add(path, arcname=path.name)
    with archive.open("rb") as file:
        platform.put_object(scope, artefact_uri(job), file, "application/x-gzip")
