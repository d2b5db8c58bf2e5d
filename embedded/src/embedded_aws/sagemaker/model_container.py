"""A model behind the interface that SageMaker expects of containers, in a process of its own.

Source: developer guide, "Use Your Own Inference Code with Batch Transform".
"""

import http.client
import json
import re
import tarfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import algorithm_process
from embedded_aws.sagemaker.input_data import download, list_objects
from embedded_aws.sagemaker.models import model_data

START_SECONDS = 60.0
END_SECONDS = 5.0
LISTENING = re.compile(r"Listening on http://127\.0\.0\.1:(\d+)")


class ContainerError(Exception):
    """The container doesn't start, or doesn't answer."""


class ModelContainer:
    """Serves the model in ``folder/model`` from its start to its end.

    ``log`` is called with each line that it prints.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], log: Callable[[list[str]], None]
    ) -> None:
        self.log = log
        self.port: int | None = None
        self.announced = threading.Event()
        self.process = algorithm_process.start(
            ["serve", str(folder), "--port", "0"], folder, environment
        )
        self.printer = threading.Thread(target=self.follow, daemon=True)
        self.printer.start()

    def __enter__(self) -> Self:
        """Wait until the container answers.

        Raises ContainerError: it ended instead, or took too long.
        """
        self.announced.wait(START_SECONDS)
        try:
            if self.port is None:
                raise ContainerError("The container did not start")
            self.get("/ping")
        except ContainerError:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the container."""
        self.close()

    def close(self) -> None:
        """End the container, whatever it is doing."""
        algorithm_process.end(self.process, END_SECONDS)
        self.printer.join(END_SECONDS)

    def follow(self) -> None:
        """Hand on what the container prints, and look for where it listens."""
        for raw in cast(IO[bytes], self.process.stdout):
            line = raw.decode("utf-8", "replace").rstrip()
            if match := LISTENING.search(line):
                self.port = int(match[1])
                self.announced.set()
            if line:
                self.log([line])
        # Nothing more will come: whoever waits need not wait longer.
        self.announced.set()

    def execution_parameters(self) -> dict[str, Any]:
        """How the container wants to be called."""
        status, body = self.get("/execution-parameters")
        parameters: dict[str, Any] = json.loads(body) if status == 200 else {}
        return parameters

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for something; status and body of the answer."""
        return self.request("GET", path, b"", {}, START_SECONDS)

    def invoke(
        self, body: bytes, content_type: str, accept: str, timeout: float
    ) -> tuple[int, bytes]:
        """Ask for predictions; status and body of the answer.

        Raises ContainerError: there is none within ``timeout`` seconds.
        """
        headers = {"Content-Type": content_type, "Accept": accept}
        given = {name: value for name, value in headers.items() if value}
        return self.request("POST", "/invocations", body, given, timeout)

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float
    ) -> tuple[int, bytes]:
        """Make one HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ContainerError(f"Unable to get response from algorithm: {error}") from error
        finally:
            connection.close()


def fetch_model(scope: Scope, container: Document, folder: Path) -> None:
    """Write the files of a model's artefact into ``folder/model``.

    Raises DataError: the artefact can't be read.
    """
    model = folder / "model"
    model.mkdir()
    source = model_data(container)["S3DataSource"]
    uri = source["S3Uri"]
    if source["CompressionType"] == "None":
        for item in list_objects(scope, {"S3DataType": "S3Prefix", "S3Uri": uri}):
            download(scope, item, model, lambda: None)
        return
    bucket, key = platform.split_s3_uri(uri)
    try:
        with tarfile.open(fileobj=platform.open_object(scope, bucket, key), mode="r|gz") as tar:
            # The filter refuses what would leave the folder.
            tar.extractall(model, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{uri}: not a model.tar.gz: {error}") from error
