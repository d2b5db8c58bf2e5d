"""The algorithm as SageMaker runs it: ``python -m embedded_aws.knn train FOLDER``, or ``serve``.

The folder is what a container finds as ``/opt/ml``. Training reads
``input/config/hyperparameters.json``, ``input/config/inputdataconfig.json`` and the data, in
``input/data/<channel>/`` (File and FastFile mode) or in the named pipe ``input/data/<channel>_0``
(Pipe mode); it writes ``model/`` and, if it fails, ``output/failure``. Serving reads ``model/``.
Sources: SageMaker developer guide, "How Amazon SageMaker Provides Training Information", "How
Amazon SageMaker Processes Training Output" and "Use Your Own Inference Code with Hosting
Services".

Exit status of train: 0, or 1 with the reason in ``output/failure``.
"""

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from embedded_aws.knn.artefact import ArtefactError, read_folder, write_model
from embedded_aws.knn.errors import ClientError
from embedded_aws.knn.training import Channel, train

PIPE_BYTES = 1024 * 1024


def main(arguments: list[str]) -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(
        "python -m embedded_aws.knn",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train a model and score it")
    serving = commands.add_parser("serve", help="answer requests for predictions on 127.0.0.1")
    serving.add_argument("--port", type=int, default=8080, help="8080 unless given; 0: any")
    for command in (training, serving):
        command.add_argument("folder", type=Path, help="laid out as /opt/ml")
        command.add_argument(
            "--until-eof", action="store_true", help="end, too, when standard input does"
        )
    given = parser.parse_args(arguments)
    if given.until_eof:
        threading.Thread(target=end_with_input, daemon=True).start()
    if given.command == "train":
        return run_training(given.folder)
    return serve(given.folder, given.port)


def end_with_input() -> None:
    """End this process as soon as whoever holds the other end of its input is gone."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def run_training(folder: Path) -> int:
    """Train from the folder's data into its model."""
    config = folder / "input" / "config"
    try:
        hyperparameters: dict[str, str] = json.loads((config / "hyperparameters.json").read_text())
        channels: dict[str, dict[str, Any]] = json.loads(
            (config / "inputdataconfig.json").read_text()
        )
        model = train(hyperparameters, open_channels(folder / "input" / "data", channels), log)
        write_model(model, folder / "model")
    except ClientError as error:
        return fail(folder, f"ClientError: {error}")
    except Exception as error:
        # Whatever went wrong, the job must end with a reason that somebody can read.
        log(traceback.format_exc(), "ERROR")
        return fail(folder, f"AlgorithmError: {type(error).__name__}: {error}")
    return 0


def serve(folder: Path, port: int) -> int:
    """Answer requests until SIGTERM or SIGINT."""
    from embedded_aws.knn.server import ModelServer

    # What a script starts in the background inherits that SIGINT is ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)

    try:
        model = read_folder(folder / "model")
    except ArtefactError as error:
        print(f"{folder / 'model'}: {error}", file=sys.stderr)
        return 1
    with ModelServer(model, port) as server:
        log(f"Listening on http://127.0.0.1:{server.server_port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log("Stopped")
    return 0


def fail(folder: Path, reason: str) -> int:
    """Leave the reason where SageMaker looks for it."""
    log(reason, "ERROR")
    (folder / "output" / "failure").write_text(reason)
    return 1


def log(message: str, level: str = "INFO") -> None:
    """Print a line as the built-in algorithms do: time, level and process in brackets."""
    now = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime())
    print(f"[{now} {level} {os.getpid()}] {message}", flush=True)


def open_channels(data: Path, channels: Mapping[str, Mapping[str, Any]]) -> dict[str, Channel]:
    """A channel for each entry of ``inputdataconfig.json``."""
    return {
        name: Channel(
            str(channel.get("ContentType") or ""),
            partial(open_objects, data, name, channel.get("TrainingInputMode") == "Pipe"),
        )
        for name, channel in channels.items()
    }


def open_objects(data: Path, name: str, pipe: bool) -> Iterator[tuple[str, BinaryIO]]:
    """Open the pipe of a channel, or each of its files in order of their names."""
    if pipe:
        paths = [data / f"{name}_0"]
    else:
        paths = sorted(path for path in (data / name).rglob("*") if path.is_file())
    for path in paths:
        with path.open("rb") as file:
            if pipe and hasattr(fcntl, "F_SETPIPE_SZ"):
                # The more it holds, the less often writer and reader wait for each other. Linux
                # limits how much the pipes of a user may hold; then it stays as it is.
                with suppress(OSError):
                    fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            yield "pipe" if pipe else path.name, file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
