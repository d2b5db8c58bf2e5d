"""A transform job's run: each input object through the model's container, and back to S3.

Objects are streamed, cut into records, sent in mini-batches; what is written for them waits on
disk until the job has come to its end, since a job that is stopped stores nothing.
Source: API reference, "CreateTransformJob" and "StopTransformJob"; developer guide, "Use Batch
Transform".
"""

import dataclasses
import gzip
import tempfile
import time
import uuid
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, LogStream, Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import job_metrics, roles
from embedded_aws.sagemaker.capacity import instances
from embedded_aws.sagemaker.input_data import InputObject, list_objects
from embedded_aws.sagemaker.jobs import REASON_LENGTH, TRANSFORM, now
from embedded_aws.sagemaker.model_container import ContainerError, ModelContainer, fetch_model
from embedded_aws.sagemaker.transform.data_processing import (
    DataProcessing,
    ProcessingError,
    parse_data_processing,
)
from embedded_aws.sagemaker.transform.jobs import create_transform_job
from embedded_aws.sagemaker.transform.records import (
    MEGABYTE,
    Record,
    RecordError,
    assembled,
    batches,
    body,
    split,
)

LOG_GROUP = "/aws/sagemaker/TransformJobs"
POLL_SECONDS = 0.1
DEFAULT_TIMEOUT = 600
DEFAULT_RETRIES = 3
SEE_LOGS = "See job logs for more information"


class Stopped(Exception):
    """Somebody asked the job to stop."""


class TransformFailed(Exception):
    """The job can't go on; the message is its failure reason."""


class InvocationFailed(Exception):
    """The container refused a mini-batch, or didn't answer.

    ``kind`` is how a failure reason calls that, ``title`` how the log does.
    """

    def __init__(self, kind: str, title: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.title = title


def create_and_start(scope: Scope, request: Document) -> Document:
    """CreateTransformJob, and off it goes."""
    response = create_transform_job(scope, request)
    TRANSFORM.run_in_background(scope, request["TransformJobName"], run, TRANSFORM.set_status)
    return response


def run(scope: Scope, job: Document) -> None:
    """Take a job to its end."""
    name = job["TransformJobName"]
    try:
        with (
            instances.place(waiting=lambda: None, check=lambda: check(job)),
            tempfile.TemporaryDirectory(prefix="sagemaker-transform-") as folder,
        ):
            TransformRun(scope.acting_as(job["RoleArn"]), job, Path(folder)).to_end()
        TRANSFORM.set_status(scope, name, "Completed")
    except Stopped:
        TRANSFORM.set_status(scope, name, "Stopped")
    except TransformFailed as error:
        TRANSFORM.set_status(scope, name, "Failed", FailureReason=str(error)[:REASON_LENGTH])


def check(job: Document) -> None:
    """Leave off once somebody has asked the job to stop."""
    if job["TransformJobStatus"] == "Stopping":
        raise Stopped


class TransformRun:
    """One transform job while it runs, in a folder of its own."""

    def __init__(self, scope: Scope, job: Document, folder: Path) -> None:
        self.scope = scope
        self.job = job
        self.folder = folder
        self.input: Document = job["TransformInput"]
        self.output: Document = job["TransformOutput"]
        self.content_type: str = self.input.get("ContentType", "")
        self.accept: str = self.output.get("Accept", "")
        self.processing: DataProcessing = parse_data_processing(
            job["DataProcessing"], self.content_type, self.accept
        )
        self.host = f"{job['TransformJobName']}/i-{uuid.uuid4().hex[:17]}"
        stream = f"{self.host}-{int(time.time())}"
        self.log = LogStream(scope, LOG_GROUP, stream)
        self.data_log = LogStream(scope, LOG_GROUP, f"{stream}/data-log")
        self.failures: list[str] = []

    def to_end(self) -> None:
        """Transform every object; store what came of those that went well."""
        with lock:
            self.job["TransformStartTime"] = now()
        if not roles.may_pull_image(self.scope, self.job["Container"]["Image"]):
            raise TransformFailed(f"ClientError: {roles.CANNOT_PULL_IMAGE}")
        try:
            objects = list_objects(self.scope, self.input["DataSource"]["S3DataSource"])
            fetch_model(self.scope, self.job["Container"], self.folder)
        except DataError as error:
            raise TransformFailed(f"ClientError: {error}") from error
        try:
            with ModelContainer(self.folder, self.environment(), self.log.write) as container:
                done = self.transform(container, objects)
        except ContainerError as error:
            self.say([str(error)])
            raise TransformFailed(f"AlgorithmError: {SEE_LOGS}") from error
        check(self.job)
        for item, path in done:
            self.put(item, path)
        if self.failures:
            raise TransformFailed(f"{self.failures[0]}: {SEE_LOGS}")

    def environment(self) -> dict[str, str]:
        """What the container finds in its environment.

        Source: developer guide, "Use Your Own Inference Code with Batch Transform".
        """
        return {
            **self.job["Container"].get("Environment", {}),
            **self.job.get("Environment", {}),
            "SAGEMAKER_BATCH": "true",
        }

    def transform(
        self, container: ModelContainer, objects: list[InputObject]
    ) -> list[tuple[InputObject, Path]]:
        """Send every object through the container; those that went well, and their output."""
        wishes = container.execution_parameters()
        concurrent: int = self.job.get("MaxConcurrentTransforms") or wishes.get(
            "MaxConcurrentTransforms", 1
        )
        payload: int = self.job.get("MaxPayloadInMB") or wishes.get("MaxPayloadInMB", 6)
        wish = "".join(part.title() for part in wishes.get("BatchStrategy", "").split("_"))
        strategy = self.job.get("BatchStrategy") or wish or "MultiRecord"
        shown = "SINGLE_RECORD" if strategy == "SingleRecord" else "MULTI_RECORD"
        self.say(
            [
                f"MaxConcurrentTransforms={concurrent}, MaxPayloadInMB={payload}, "
                f"BatchStrategy={shown}"
            ]
        )
        use = job_metrics.Utilisation(
            self.scope,
            job_metrics.TRANSFORM_NAMESPACE,
            self.host,
            container.process.pid,
            self.folder,
        )
        done: list[tuple[InputObject, Path]] = []
        pool = ThreadPoolExecutor(concurrent)
        call = Call(self, container, strategy, payload * MEGABYTE, use, pool, concurrent)
        try:
            for number, item in enumerate(objects):
                path = self.folder / f"{number}.out"
                if self.transform_object(call, item, path):
                    done.append((item, path))
        finally:
            # Requests that are still under way end with the container.
            pool.shutdown(wait=False, cancel_futures=True)
        use.sample()
        use.publish([value for value in use.take() if value["MetricName"] != "DiskUtilization"])
        return done

    def transform_object(self, call: "Call", item: InputObject, path: Path) -> bool:
        """Write what the container answers to an object; whether all went well."""
        try:
            with path.open("wb") as file:
                for records, answer in call.answers(self.open(item)):
                    check(self.job)
                    for part in self.to_write(records, answer):
                        file.write(assembled(part, self.output["AssembleWith"]))
        except InvocationFailed as error:
            self.report(item, error.kind, error.title, str(error))
        except (DataError, RecordError, ProcessingError, OSError, EOFError, zlib.error) as error:
            self.report(item, "ClientError", "ClientError", str(error))
        else:
            return True
        return False

    def open(self, item: InputObject) -> BinaryIO:
        """An object as a stream, unpacked if it is compressed."""
        source = platform.open_object(self.scope, item.bucket, item.key)
        if self.input["CompressionType"] == "Gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=source))
        return source

    def to_write(self, records: list[Record], answer: bytes) -> list[bytes]:
        """What is written for a mini-batch and its answer."""
        if not self.processing.changes_output:
            return [answer]
        return self.processing.to_write([record.original for record in records], answer)

    def report(self, item: InputObject, kind: str, title: str, message: str) -> None:
        """Log why an object failed; the job goes on with the others.

        Source of the form: logs in aws/amazon-sagemaker-examples issues 898 and 1620.
        """
        self.failures.append(kind)
        lines = [title, "", "Message:", *message.splitlines()]
        self.say([f"{item.bucket}/{item.key}: {line}" for line in lines])

    def say(self, lines: list[str]) -> None:
        """Log what batch transform itself has to say."""
        instant = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        self.data_log.write([f"{instant}:[sagemaker logs]: {line}" for line in lines])

    def put(self, item: InputObject, path: Path) -> None:
        """Store the output of an object beside those of the others, as the input is laid out."""
        uri = f"{self.output['S3OutputPath'].rstrip('/')}/{item.relative}.out"
        try:
            with path.open("rb") as file:
                platform.put_object(self.scope, uri, file, kms_key=self.output["KmsKeyId"])
        except DataError as error:
            raise TransformFailed(f"ClientError: {error}") from error


@dataclasses.dataclass(frozen=True)
class Call:
    """How a job calls its container."""

    job: TransformRun
    container: ModelContainer
    strategy: str
    limit: int
    use: job_metrics.Utilisation
    pool: ThreadPoolExecutor
    concurrent: int

    def answers(self, source: BinaryIO) -> Iterator[tuple[list[Record], bytes]]:
        """Each mini-batch of a stream with its answer, in order, some of them under way at a time.

        Raises InvocationFailed, RecordError, ProcessingError: the stream can't be transformed.
        """
        records = map(self.filtered, split(source, self.job.input["SplitType"], self.limit))
        under_way: deque[tuple[list[Record], Future[bytes]]] = deque()
        try:
            for batch in batches(records, self.strategy, self.limit):
                under_way.append((batch, self.pool.submit(self.answer, batch)))
                if len(under_way) > self.concurrent:
                    yield self.oldest(under_way)
                self.use.sample()
            while under_way:
                yield self.oldest(under_way)
        finally:
            for _, future in under_way:
                future.cancel()

    def oldest(
        self, under_way: deque[tuple[list[Record], Future[bytes]]]
    ) -> tuple[list[Record], bytes]:
        """The mini-batch that was sent first, once it is answered."""
        batch, future = under_way.popleft()
        while True:
            try:
                return batch, future.result(POLL_SECONDS)
            except TimeoutError:
                check(self.job.job)

    def filtered(self, record: Record) -> Record:
        """A record as it is sent."""
        processing = self.job.processing
        if not processing.filters_input:
            return record
        payload = processing.to_send(record.payload)
        end = b"\n" if self.job.input["SplitType"] == "Line" else b""
        return dataclasses.replace(record, framed=payload + end, payload=payload)

    def answer(self, batch: list[Record]) -> bytes:
        """The container's answer to a mini-batch.

        Raises InvocationFailed: it refused, or didn't answer even when asked again.
        """
        config = self.job.job.get("ModelClientConfig", {})
        timeout = config.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT)
        left = config.get("InvocationsMaxRetries", DEFAULT_RETRIES)
        request = body(batch, self.strategy)
        while True:
            check(self.job.job)
            try:
                status, answer = self.container.invoke(
                    request, self.job.content_type, self.job.accept, timeout
                )
            except ContainerError as error:
                failure = InvocationFailed("AlgorithmError", "AlgorithmError", str(error))
            else:
                if status == 200:
                    return answer
                kind = "ClientError" if status < 500 else "AlgorithmError"
                message = answer.decode("utf-8", "replace")
                failure = InvocationFailed(kind, f"{kind}: {status}", message)
                if status < 500:
                    raise failure
            if not left:
                raise failure
            left -= 1
