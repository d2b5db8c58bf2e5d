"""AWS Lambda: an invocation ends when its function has answered, and has its whole log then.

MiniStack reads what a function writes to stderr in a thread, and can't know whether more is to
come. So it waits after each answer: 5 ms after the last line, 50 ms if there is none. But what was
written before the answer is in the pipe when the answer has come.
"""

import os
import queue
import select
import threading
from typing import IO, Any

from ministack.core import lambda_runtime

from embedded_aws.ministack.patch import Function, patch

NEVER_WAITS = "invocations that don't wait for more of a log that is complete"
AT_ONCE = 65_536


class LogPipe:
    """What a function's process writes to stderr, read by whoever comes first."""

    def __init__(self, stream: IO[str], lines: "queue.Queue[str]") -> None:
        # It closes the pipe when it is collected.
        self._stream = stream
        self._lines = lines
        self._lock = threading.Lock()
        self._unfinished = b""
        # Two threads can't wait by the same one.
        self._awaited, self._tried = select.poll(), select.poll()
        for poll in (self._awaited, self._tried):
            poll.register(stream.fileno(), select.POLLIN)

    def follow(self) -> None:
        """Read until the process has closed the pipe: a full one would block the function."""
        is_open = True
        while is_open:
            self._awaited.poll()
            is_open = self.read()

    def read(self) -> bool:
        """Queue the lines that are there; return whether there can be more."""
        with self._lock:
            while self._tried.poll(0):
                read = os.read(self._stream.fileno(), AT_ONCE)
                *lines, self._unfinished = (self._unfinished + read).split(b"\n")
                if not read and self._unfinished:
                    lines, self._unfinished = [self._unfinished], b""
                for line in lines:
                    self._lines.put(line.decode(errors="replace"))
                if not read:
                    return False
            return True


@patch(lambda_runtime.Worker, "_read_stderr", serves=NEVER_WAITS)
def read_log(original: Function, self: Any) -> None:
    """Read a function's log in a thread of its own, through a pipe that others can empty, too."""
    self.log_pipe = LogPipe(self._proc.stderr, self._stderr_queue)
    self.log_pipe.follow()


@patch(lambda_runtime.Worker, "_drain_stderr_bounded", serves=NEVER_WAITS)
def whole_log(original: Function, self: Any, *args: Any, **kwargs: Any) -> str:
    """Return what was logged until now, once the function has answered."""
    pipe: LogPipe | None = getattr(self, "log_pipe", None)
    if pipe is None:
        # Another runtime's process.
        return str(original(self, *args, **kwargs))
    pipe.read()
    return str(self._drain_stderr())
