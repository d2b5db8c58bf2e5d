"""Where things are: the project, the local state, the embedded AWS."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.errors import Problem

ROOT = Path(__file__).parent.parent
STACK_NAME = "knn-pipeline"
DEFAULT_PORT = 4566


@dataclass(frozen=True)
class Local:
    """The embedded AWS of this project.

    `folder` holds its state, process id, log and builds: ``.local``, or ``KNN_LOCAL_DIR``. `port`
    is ``PORT``, else the one that it was started on last, else 4566.
    """

    folder: Path
    port: int

    @property
    def endpoint_url(self) -> str:
        """Where the embedded AWS answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """What survives a restart."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """The log of the embedded AWS."""
        return self.folder / "server.log"

    @property
    def temporary(self) -> Path:
        """Where its functions and jobs unpack what they need while it runs."""
        return self.folder / "tmp"

    @property
    def process_file(self) -> Path:
        """The process that answers, and its port; locked as long as the process lives."""
        return self.folder / "server.json"

    def use(self) -> None:
        """Point this process, and those that it starts, to the embedded AWS and nowhere else."""
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            os.environ.pop(name, None)
        os.environ.update(
            AWS_ENDPOINT_URL=self.endpoint_url,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            AWS_EC2_METADATA_DISABLED="true",
        )
        # A proxy has no business between two processes of this machine.
        for name in ("NO_PROXY", "no_proxy"):
            others = os.environ.get(name)
            os.environ[name] = f"127.0.0.1,{others}" if others else "127.0.0.1"


def local_folder() -> Path:
    """Return the folder of the embedded AWS that the environment names."""
    return Path(os.environ.get("KNN_LOCAL_DIR") or ROOT / ".local").resolve()


def chosen_port() -> int | None:
    """Return the port that the environment asks for, if any.

    Raises
    ------
    Problem
        ``PORT`` is not the number of a port.
    """
    text = os.environ.get("PORT")
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Problem(f"PORT={text} is not a port. Use a number from 1 to 65535.")
    return int(text)


def this_command() -> str:
    """Return how to call this command line from here, as messages name it."""
    python = Path(sys.executable)
    here = Path.cwd()
    return f"{python.relative_to(here) if python.is_relative_to(here) else python} -m cli"
