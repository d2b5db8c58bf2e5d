"""Scoring a file: the API takes it, and gives it back with what the live model predicts."""

from __future__ import annotations

import http.client
import shlex
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from cli.errors import Problem, Unavailable
from cli.settings import this_command
from cli.stack import NO_ANSWER, Stack, get, post, reason
from pipeline.batch import BatchStatus

ENDED = (BatchStatus.SCORED, BatchStatus.REFUSED, BatchStatus.FAILED)

TRIES = 10
"""How often in a row the API may fail to say where a batch stands; the pauses grow."""


class _Counted:
    """A file that tells how much of it is read."""

    def __init__(self, file: BufferedReader, sent: Callable[[int], None]) -> None:
        self._file = file
        self._sent = sent

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        piece = self._file.read(size)
        self._sent(len(piece))
        return piece


def upload(stack: Stack, dataset: str, file: Path, sent: Callable[[int], None]) -> str:
    """Hand in a file to be scored; return its batch.

    Raises
    ------
    Problem
        There is no such file, or the API doesn't take it.
    """
    if not file.is_file():
        raise Problem(f"There is no file {file}. Name one that there is.")
    path = ("datasets", dataset, "batches")
    made = _checked(post(stack, stack.access(), path, {"name": file.name}), 201)
    where = made["upload"]
    with file.open("rb") as opened:
        request = urllib.request.Request(
            where["url"],
            data=_Counted(opened, sent),
            method=where["method"],
            headers={"Content-Length": str(file.stat().st_size)} | where["headers"],
        )
        try:
            urllib.request.urlopen(request).close()
        except NO_ANSWER as error:
            raise Problem(
                f"{file.name} could not be uploaded: {reason(error)}. Try again: {this_command()} "
                f"score {shlex.quote(dataset)} {shlex.quote(str(file))}"
            ) from error
    return str(made["batch"])


def follow(
    stack: Stack, dataset: str, batch: str, *, poll_seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield where a batch stands until it has ended.

    Raises
    ------
    Problem
        There is no such batch, or the API doesn't say for a while where it stands.
    """
    access, failures = stack.access(), 0
    path = ("datasets", dataset, "batches", batch)
    while True:
        try:
            told = _checked(get(stack, access, path), 200)
        except Unavailable:
            failures += 1
            if failures == TRIES:
                raise
        else:
            failures = 0
            yield told
            if told["status"] in ENDED:
                return
        time.sleep(poll_seconds * (failures + 1))


def command_to_fetch(dataset: str, batch: str) -> str:
    """Return the command that fetches the result of a batch."""
    return f"{this_command()} score {shlex.quote(dataset)} --batch {shlex.quote(batch)}"


def files_of(result: Path) -> dict[str, Path]:
    """Return where the result of a batch goes, and where the rows that were set aside."""
    return {"result": result, "rejects": result.with_name(f"{result.stem} set aside.csv")}


def fetch(told: dict[str, Any], result: Path) -> dict[str, Path]:
    """Write the result of a batch, and the rows that were set aside; return where they are.

    Raises
    ------
    Problem
        They can't be downloaded.
    """
    files = {name: file for name, file in files_of(result).items() if name in told}
    for name, file in files.items():
        _download(told[name], file)
    return files


def _download(url: str, into: Path) -> None:
    """Write what a URL answers to a file, which is there only once all of it is."""
    part = into.with_name(f"{into.name}.part")
    try:
        with urllib.request.urlopen(url) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out)
            if answer.length:
                # What ends too early is no error to those who read it piece by piece.
                raise http.client.IncompleteRead(b"", answer.length)
        part.replace(into)
    except NO_ANSWER as error:
        raise Unavailable(f"{into.name} could not be downloaded: {reason(error)}.") from error
    finally:
        part.unlink(missing_ok=True)


def _checked(answered: tuple[int, dict[str, Any]], wanted: int) -> dict[str, Any]:
    status, said = answered
    if status == wanted:
        return said
    message = said.get("error", {}).get("message", f"The API answered with status {status}.")
    if status == 429 or status >= 500:
        raise Unavailable(message)
    raise Problem(f"{message} See {this_command()} datasets")
