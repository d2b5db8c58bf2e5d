"""What the command line can't do, said so that people can act on it."""

import click

NOT_DONE = 1
"""The exit code of a command that did not do what it was asked to."""


class Problem(click.ClickException):
    """Something that the user can fix; the message says how. Exit status 1."""


class Unavailable(Problem):
    """The API can't answer now; the same request may be answered in a moment. Exit status 1."""


class Interrupted(Problem):
    """The user has pressed Ctrl-C; the message says what goes on. Exit status 130."""

    exit_code = 130


EXIT_CODES = """\b
0    done
1    not done: the message, or the run's report, says why and what to do
2    the command was not understood
130  interrupted with Ctrl-C"""
