"""Where things are: the project, the local state, the embedded AWS."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click

from cli.errors import Problem

NAME = "knn"
"""What the command is called once it is installed."""

ROOT = Path(__file__).parent.parent
STACK_NAME = "knn-pipeline"
DEFAULT_PORT = 4566

_target_options: list[str] = []
"""Options that this command was given, and that the next one needs to work on the same stack."""


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
        # An endpoint of one service would go before the one of all.
        for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")]:
            del os.environ[name]
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


def in_checkout() -> bool:
    """Whether this runs in a checkout of the project, not as an installed package."""
    return (ROOT / "template.yaml").is_file()


def checkout() -> Path:
    """Return the folder of the project, which commands that build or deploy need.

    Raises
    ------
    Problem
        Only the command line is installed.
    """
    if not in_checkout():
        raise Problem(
            "This command builds or runs the application, so it needs a checkout of the project; "
            "what you installed is the command line alone. In a checkout: make run"
        )
    return ROOT


def local_folder() -> Path:
    """Return the folder of the embedded AWS and of what is downloaded.

    It is ``KNN_LOCAL_DIR``, else ``.local`` in a checkout, else the user's folder for applications.
    """
    default = ROOT / ".local" if in_checkout() else Path(click.get_app_dir(STACK_NAME))
    return Path(os.environ.get("KNN_LOCAL_DIR") or default).resolve()


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


def repeat_options(options: Sequence[str]) -> None:
    """Let the commands that messages name have these options."""
    _target_options[:] = options


def this_command() -> str:
    """Return how to call this command line from here, on the same stack, as messages name it."""
    return shlex.join([*_called(), *_target_options])


def program_name() -> str:
    """Return the name of this program, as its help has it."""
    return NAME if Path(sys.argv[0]).name == NAME else "python -m cli"


def program_version() -> str:
    """Return the version of the project."""
    if in_checkout():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        return str(project["version"])
    return version("knn-pipeline")


def _called() -> list[str]:
    called = Path(sys.argv[0])
    if called.name != NAME:
        return [_from_here(Path(sys.executable)), "-m", "cli"]
    found = shutil.which(NAME)
    if found and Path(found).resolve() == called.resolve():
        return [NAME]
    return [_from_here(Path.cwd() / called)]


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
