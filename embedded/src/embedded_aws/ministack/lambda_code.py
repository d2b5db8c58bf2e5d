"""AWS Lambda: code and layers are unpacked once, and linked wherever a function starts."""

import hashlib
import os
import shutil
import tempfile
import threading
import types
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime

MAX_ARCHIVES = 64
"""How many stay unpacked: those that were unpacked last."""

_lock = threading.Lock()
_folders: dict[str, tempfile.TemporaryDirectory[str]] = {}


class LinkedZipFile(zipfile.ZipFile):
    """An archive that is unpacked once, whichever file of that content is opened."""

    def extractall(self, path: Any = None, *args: Any, **kwargs: Any) -> None:
        """Link the files of the archive into a folder.

        A layer of scientific packages takes a second to unpack, and each execution environment of
        each function has a folder of its own. On Lambda no function can write to these files.
        """
        with open(str(self.filename), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with _lock:
            if digest not in _folders:
                while len(_folders) >= MAX_ARCHIVES:
                    _folders.pop(next(iter(_folders))).cleanup()
                folder = tempfile.TemporaryDirectory(prefix="ministack-lambda-unpacked-")
                super().extractall(folder.name, *args, **kwargs)
                _folders[digest] = folder
            source = Path(_folders[digest].name)
            shutil.copytree(source, path, copy_function=os.link, symlinks=True, dirs_exist_ok=True)


def connect() -> None:
    """Let MiniStack unpack what functions are made of this way."""
    linking = types.SimpleNamespace(**vars(zipfile) | {"ZipFile": LinkedZipFile})
    vars(lambda_runtime)["zipfile"] = linking
