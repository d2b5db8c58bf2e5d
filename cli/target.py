"""Which AWS a command talks to, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import boto3
from botocore.exceptions import ProfileNotFound

from cli import embedded
from cli.errors import Problem
from cli.settings import STACK_NAME, Local, local_folder, repeat_options, this_command
from cli.stack import Stack, find_stack


@dataclass
class Target:
    """The AWS that a command talks to: the embedded one, or the user's own.

    The options of the command line fill it in before it is used. A profile or a region can only
    mean the user's own.
    """

    aws: bool = False
    profile: str | None = None
    region: str | None = None
    stack_name: str = STACK_NAME
    as_json: bool = False

    @property
    def is_aws(self) -> bool:
        """Whether it is the user's own AWS."""
        return bool(self.aws or self.profile or self.region)

    @cached_property
    def local(self) -> Local | None:
        """The embedded AWS, which this process then talks to; None on AWS."""
        if self.is_aws:
            self.configure()
            return None
        return self.embedded()

    def embedded(self, *, any_port: bool = False) -> Local:
        """Return the embedded AWS, which this process then talks to; with `any_port` on any port.

        Raises
        ------
        Problem
            The command was asked to work on AWS, or runs on another port.
        """
        if self.is_aws:
            raise Problem(
                "This command works with the embedded AWS only: leave out --aws, --profile and "
                "--region."
            )
        if self.stack_name != STACK_NAME:
            raise Problem(
                f"The embedded AWS has only the stack {STACK_NAME}: leave out --stack-name, or add "
                "--aws."
            )
        local = embedded.find(local_folder(), any_port=any_port)
        local.use()
        return local

    def configure(self) -> None:
        """Let this process talk to AWS as the options say.

        Raises
        ------
        Problem
            There is no such profile.
        """
        given = {"--profile": self.profile, "--region": self.region}
        options = [part for name, value in given.items() if value for part in (name, value)]
        if self.stack_name != STACK_NAME:
            options += ["--stack-name", self.stack_name]
        repeat_options(["--aws", *options])
        try:
            # Named here, a profile also wins over credentials in the environment.
            boto3.setup_default_session(profile_name=self.profile, region_name=self.region)
        except ProfileNotFound as error:
            raise Problem(
                f"There is no profile {self.profile}. List yours: aws configure list-profiles"
            ) from error

    def stack(self) -> Stack:
        """Return the stack, with the embedded AWS running."""
        local = self.local
        if local and embedded.running(local) is None:
            raise Problem(
                f"The embedded AWS is not running. Start it: make run, or {this_command()} "
                "up if you don't want to upload anything."
            )
        return find_stack(self.stack_name, local)

    @property
    def poll_seconds(self) -> float:
        """How often to look how far a run is."""
        return 0.1 if self.local else 2.0
