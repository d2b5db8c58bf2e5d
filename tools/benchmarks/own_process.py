"""Work measured in a process of its own: time, and the most memory that it ever had."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_MEASURE = """
import json, sys, time
sys.path[:0] = {path!r}
import importlib
began = time.perf_counter()
module = importlib.import_module({module!r})
work = getattr(module, {function!r})
imported = time.perf_counter()
work(*json.loads(sys.argv[1]))
ended = time.perf_counter()
# Of this process alone: getrusage remembers the one that it was forked from.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([ended - imported, imported - began, int(status["VmHWM"].split()[0]) / 1024]))
"""


@dataclass(frozen=True)
class Measured:
    """Seconds of work, seconds of imports before it, and megabytes at the most."""

    seconds: float
    import_seconds: float
    megabytes: float


def measure(module: str, function: str, *arguments: str, path: tuple[str, ...] = ()) -> Measured:
    """Return what it takes to call a function of a module with texts.

    Parameters
    ----------
    path
        Folders of the project to import from, besides its root.
    """
    folders = [str(ROOT), *(str(ROOT / each) for each in path)]
    script = _MEASURE.format(path=folders, module=module, function=function)
    answer = subprocess.run(
        [sys.executable, "-c", script, json.dumps(arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Measured(*json.loads(answer.stdout.splitlines()[-1]))
