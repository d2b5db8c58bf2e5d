"""The algorithm as SageMaker runs it: ``python -m local.knn train <folder>``.

The folder is what a container finds as ``/opt/ml``: ``input/config/hyperparameters.json`` and
``inputdataconfig.json``, data in ``input/data/<channel>/`` (File mode) or in the named pipe
``input/data/<channel>_0`` (Pipe mode), and ``model/`` and ``output/failure`` to write.
Source: SageMaker developer guide, "How Amazon SageMaker Provides Training Information" and
"How Amazon SageMaker Processes Training Output".

Exit status: 0, or 1 with the reason in ``output/failure``.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from local.knn.artefact import write_model
from local.knn.errors import ClientError
from local.knn.training import Channel, train

CONTENT_TYPES = ("text/csv",)


def main(arguments: list[str]) -> int:
    """Run one command; only ``train`` is known."""
    if len(arguments) != 2 or arguments[0] != "train":
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[1])
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
    """A channel for each entry of ``inputdataconfig.json``.

    Raises
    ------
        ClientError: the content type of a channel isn't one that k-NN reads here.
    """
    opened: dict[str, Channel] = {}
    for name, channel in channels.items():
        content_type = str(channel.get("ContentType", "")).split(";")[0].strip().lower()
        if content_type not in CONTENT_TYPES:
            raise ClientError(
                f"Content type {channel.get('ContentType')!r} of channel {name!r} is not "
                f"supported here, only {', '.join(CONTENT_TYPES)}"
            )
        opened[name] = partial(open_objects, data, name, channel)
    return opened


def open_objects(
    data: Path, name: str, channel: Mapping[str, Any]
) -> Iterator[tuple[str, BinaryIO]]:
    """Open the pipe of a channel, or each of its files in order of their names."""
    if channel.get("TrainingInputMode") == "Pipe":
        paths = [data / f"{name}_0"]
    else:
        paths = sorted(path for path in (data / name).rglob("*") if path.is_file())
    for path in paths:
        with path.open("rb") as file:
            label = f"channel {name!r}" if path.is_fifo() else f"channel {name!r}, {path.name}"
            yield label, file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
