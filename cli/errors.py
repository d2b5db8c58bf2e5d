"""What the command line can't do, said so that people can act on it."""

import click


class Problem(click.ClickException):
    """Something that the user can fix; the message says how. Exit status 1."""
