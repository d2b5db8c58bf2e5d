"""Where things are: the project, the local state, the embedded AWS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
STACK_NAME = "knn-pipeline"


@dataclass(frozen=True)
class Local:
    """The embedded AWS of this project.

    `folder` holds its state, process id, log and builds: ``.local``, or ``KNN_LOCAL_DIR``. `port`
    is 4566, or ``PORT``.
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
    def pid_file(self) -> Path:
        """The process that answers."""
        return self.folder / "server.pid"

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


def local() -> Local:
    """Return the embedded AWS that the environment names."""
    folder = Path(os.environ.get("KNN_LOCAL_DIR") or ROOT / ".local").resolve()
    return Local(folder, int(os.environ.get("PORT") or 4566))
