"""The command line: ``knn --help``, or ``python -m cli --help`` where it isn't installed."""

import signal
import sys


def main() -> int:
    """Run a command; Ctrl-C ends it quietly, even while the program is being read."""
    try:
        from cli import program

        return program.main()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
