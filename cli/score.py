"""Scoring a file: the API takes it, and gives it back with what the live model predicts."""

from __future__ import annotations

import shlex
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack, get, post
from pipeline.batch import BatchStatus

ENDED = (BatchStatus.SCORED, BatchStatus.REFUSED, BatchStatus.FAILED)


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
    made = _checked(post(stack, f"/datasets/{dataset}/batches", {"name": file.name}), 201)
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
        except urllib.error.URLError as error:
            raise Problem(
                f"{file.name} could not be uploaded: {error}. Try again: {this_command()} score "
                f"{dataset} {shlex.quote(str(file))}"
            ) from error
    return str(made["batch"])


def follow(
    stack: Stack, dataset: str, batch: str, *, poll_seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield where a batch stands until it has ended."""
    while True:
        told = _checked(get(stack, f"/datasets/{dataset}/batches/{batch}"), 200)
        yield told
        if told["status"] in ENDED:
            return
        time.sleep(poll_seconds)


def fetch(told: dict[str, Any], result: Path) -> dict[str, Path]:
    """Write the result of a batch, and the rows that were set aside; return where they are."""
    files = {"result": result}
    if "rejects" in told:
        files["rejects"] = result.with_name(f"{result.stem} set aside.csv")
    for name, file in files.items():
        _download(told[name], file)
    return files


def _download(url: str, into: Path) -> None:
    """Write what a URL answers to a file, which is there only once all of it is."""
    part = into.with_name(f"{into.name}.part")
    try:
        with urllib.request.urlopen(url) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out)
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)


def _checked(answered: tuple[int, dict[str, Any]], wanted: int) -> dict[str, Any]:
    status, said = answered
    if status != wanted:
        message = said.get("error", {}).get("message", f"The API answered with status {status}.")
        raise Problem(f"{message} See {this_command()} datasets")
    return said
