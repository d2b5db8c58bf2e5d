"""The folder that an algorithm knows as ``/opt/ml``: what it finds there, and what it leaves.

Source: developer guide, "How Amazon SageMaker Provides Training Information" and "How Amazon
SageMaker Processes Training Output".
"""

import errno
import gzip
import json
import os
import shutil
import struct
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker.input_data import (
    RECORDIO_MAGIC,
    InputObject,
    download,
    list_objects,
    shuffled,
)
from embedded_aws.sagemaker.training.jobs import output_uri
from embedded_aws.sagemaker.training.request import input_mode

HOST = "algo-1"
POLL_SECONDS = 0.01

# Source: MXNet, "Create a Dataset Using RecordIO"; aws/sagemaker-python-sdk, amazon/common.py.

Pipe = tuple[Path, Document, list[InputObject]]
"""A named pipe, its channel, and what goes through it."""


def prepare(folder: Path, job: Document) -> None:
    """Lay out the folder and write the configuration files that the algorithm reads."""
    for part in ("input/config", "input/data", "model", "output/data"):
        (folder / part).mkdir(parents=True)
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": input_mode(job, channel),
            "ContentType": channel.get("ContentType", ""),
            "S3DistributionType": channel["DataSource"]["S3DataSource"]["S3DataDistributionType"],
            "RecordWrapperType": channel["RecordWrapperType"],
        }
        for channel in job["InputDataConfig"]
    }
    resources = {
        "current_host": HOST,
        "current_instance_type": job["ResourceConfig"].get("InstanceType", ""),
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST],
        "network_interface_name": "eth0",
    }
    for name, content in (
        ("hyperparameters", job["HyperParameters"]),
        ("inputdataconfig", channels),
        ("resourceconfig", resources),
    ):
        (folder / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def fetch_channels(
    scope: Scope, job: Document, folder: Path, check: Callable[[], None]
) -> list[Pipe]:
    """Fetch the channels of File and FastFile mode; make the pipes for those of Pipe mode.

    One process stands for all instances of the job, so it gets what they would get together:
    everything, whether fully replicated or sharded by key. ``check`` leaves off by raising.

    Raises DataError: the data can't be read, or written as files.
    """
    data = folder / "input" / "data"
    pipes: list[Pipe] = []
    for channel in job["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        objects = shuffled(list_objects(scope, source), channel.get("ShuffleConfig"))
        if input_mode(job, channel) == "Pipe":
            path = data / f"{channel['ChannelName']}_0"
            os.mkfifo(path)
            pipes.append((path, channel, objects))
            continue
        for item in objects:
            download(scope, item, data / channel["ChannelName"], check)
    return pipes


def feed(
    scope: Scope, process: subprocess.Popen[bytes], pipe: Pipe, errors: list[Exception]
) -> None:
    """Write a channel's objects through its pipe, one after the other."""
    path, channel, objects = pipe
    try:
        with open_when_read(path, process) as stream:
            for item in objects:
                feed_object(platform.open_object(scope, item.bucket, item.key), channel, stream)
    except (BrokenPipeError, ProcessLookupError):
        # The algorithm stopped reading, for a reason of its own that it tells by itself.
        return
    except Exception as error:
        errors.append(error)
        process.kill()


def feed_object(source: BinaryIO, channel: Document, pipe: BinaryIO) -> None:
    """Write one object, unpacked or wrapped if the channel says so."""
    if channel.get("CompressionType") == "Gzip":
        source = cast(BinaryIO, gzip.GzipFile(fileobj=source))
    if channel.get("RecordWrapperType") == "RecordIO":
        wrap_in_recordio(source, pipe)
        return
    last = b""
    for chunk in platform.chunks(source):
        pipe.write(chunk)
        last = chunk
    if last and not last.endswith(b"\n") and channel.get("ContentType", "").startswith("text/"):
        # Else the last row of one object and the first of the next would become one.
        pipe.write(b"\n")


def wrap_in_recordio(source: BinaryIO, pipe: BinaryIO) -> None:
    """Write a whole object as one RecordIO record: magic, length, payload, padding to 4 bytes."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(source, file)
        size = file.tell()
        if size >= 1 << 29:
            raise DataError(f"An object of {size} bytes is too large for a RecordIO record")
        file.seek(0)
        pipe.write(struct.pack("<II", RECORDIO_MAGIC, size))
        shutil.copyfileobj(file, pipe)
        pipe.write(b"\0" * (-size % 4))


def open_when_read(path: Path, process: subprocess.Popen[bytes]) -> BinaryIO:
    """Open a named pipe for writing as soon as the process reads it.

    Opening would block for ever if the process ended before, hence the polling.

    Raises ProcessLookupError: the process has ended.
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


def failure_reason(folder: Path) -> str:
    """What the algorithm wrote about its failure, or nothing."""
    path = folder / "output" / "failure"
    return path.read_text(errors="replace").strip() if path.is_file() else ""


def has_files(folder: Path) -> bool:
    """Whether there is a file in a folder or below it."""
    return any(path.is_file() for path in folder.rglob("*"))


def upload_model(scope: Scope, job: Document, folder: Path) -> str | None:
    """Store what is in ``model/``, as an archive unless the job asks for plain files.

    Returns where it is, or None if the algorithm left nothing.
    """
    model, output = folder / "model", job["OutputDataConfig"]
    if not has_files(model):
        return None
    if output["CompressionType"] == "GZIP":
        return upload_archive(scope, job, model, "model.tar.gz")
    for path in sorted(model.rglob("*")):
        if path.is_file():
            uri = output_uri(job, f"model/{path.relative_to(model).as_posix()}")
            put(scope, job, uri, path, "binary/octet-stream")
    return output_uri(job, "model/")


def upload_output_data(scope: Scope, job: Document, folder: Path) -> None:
    """Store what is in ``output/data``, if anything, beside the model."""
    data = folder / "output" / "data"
    if has_files(data):
        upload_archive(scope, job, data, "output.tar.gz")


def upload_archive(scope: Scope, job: Document, content: Path, name: str) -> str:
    """Store a folder's content as an archive; where it is."""
    archive = content.parent / f"{content.name}.tar.gz"
    # Floats hardly shrink, so the cheapest compression is enough.
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(content.iterdir()):
            tar.add(path, arcname=path.name)
    uri = output_uri(job, name)
    put(scope, job, uri, archive, "application/x-gzip")
    return uri


def put(scope: Scope, job: Document, uri: str, path: Path, content_type: str) -> None:
    """Store a file, with the job's KMS key."""
    with path.open("rb") as file:
        platform.put_object(
            scope, uri, file, content_type, kms_key=job["OutputDataConfig"]["KmsKeyId"]
        )
