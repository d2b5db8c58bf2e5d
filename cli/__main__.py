"""The command line: ``knn --help``, or ``python -m cli --help`` where it isn't installed."""

import io
import signal
import sys


def main() -> int:
    """Run a command; Ctrl-C ends it quietly, even while the program is being read."""
    # Not every terminal can write a check mark; standard error writes its code by itself.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from cli import program

        return program.main()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
