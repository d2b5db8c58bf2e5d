"""All commands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys

import click
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from cli.command import Commands
from cli.commands import api_keys, containers, files, local, models, operations, predictions
from cli.errors import Problem
from cli.output import to_json
from cli.settings import NAME, program_name, program_version, this_command
from cli.target import Target

EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId")
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")

SECTIONS = {
    "Upload files": (files.drop_command, files.runs, files.show, files.report, files.files),
    "Predict": (
        predictions.predict_command,
        predictions.score,
        predictions.datasets,
        predictions.schema,
        predictions.open_command,
    ),
    "Choose what is live": (
        models.rollback,
        models.promote,
        models.pin_command,
        models.unpin_command,
        files.retrain,
        models.settings_command,
        models.forget,
        models.delete,
    ),
    "Operate": (
        operations.status,
        operations.doctor_command,
        operations.logs,
        operations.key,
        api_keys.keys,
        operations.redrive,
        operations.sweep_command,
        operations.restore,
        operations.teardown,
    ),
    "The embedded AWS": (
        local.up,
        local.down,
        local.run,
        local.stop,
        local.clean,
        local.endpoint,
        local.mail,
        containers.events_command,
        containers.invoke,
        containers.api,
    ),
    "Your shell": (local.completion,),
}


@click.group(
    cls=Commands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="KNN_LOCAL_DIR and PORT say where the embedded AWS keeps its state and which port it "
    "uses. NO_COLOR takes the colours away.",
)
@click.version_option(program_version(), prog_name=NAME)
def cli() -> None:
    r"""Upload labelled CSV files, follow their runs, and predict with the models they become.

    Without --aws, commands use the embedded AWS on this machine; --profile and --region mean AWS
    too. These options may stand before the command or after it.

    \b
      knn drop titanic.csv --label survived
      knn predict titanic 22.5 male yes
      knn runs titanic --aws --json
    """


def main() -> int:
    """Run a command; what its user can't mend is the only traceback."""
    target = Target()
    try:
        code: int | None = cli.main(
            prog_name=program_name(),
            standalone_mode=False,
            obj=target,
            complete_var=f"_{NAME.upper()}_COMPLETE",
        )
    except click.Abort:
        click.echo(
            "\nInterrupted. You can run the same command again. What has begun goes on: "
            f"{this_command()} status",
            err=True,
        )
        return 130
    except click.ClickException as error:
        return failed(target, error)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain of it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except S3UploadFailedError as error:
        return failed(target, Problem(f"{error}. Try again, or see who you are: "
                                      f"{this_command()} doctor"))  # fmt: skip
    except OSError as error:
        if error.filename is None:
            raise
        what = f"We can't use {error.filename}: {error.strerror}. Choose another file or folder."
        return failed(target, Problem(what))
    except (ClientError, *_CONFIGURATION, HTTPClientError, NoConnectionError) as error:
        problem = problem_of(target, error)
        if problem is None:
            raise
        return failed(target, problem)
    else:
        return code or 0
    return 0


_CONFIGURATION = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    NoRegionError,
    SSOError,
    TokenRetrievalError,
)


def failed(target: Target, error: click.ClickException) -> int:
    """Print an error where errors go, as JSON for programs; return the exit code."""
    if target.as_json:
        message = error.format_message()
        told = {"error": {"message": message, "exit_code": error.exit_code}}
        click.echo(to_json(told), err=True)
    else:
        error.show()
    return error.exit_code


def problem_of(target: Target, error: Exception) -> Problem | None:
    """Return what the user can do about an error of AWS; None if nobody knows."""
    profile = f" --profile {target.profile}" if target.profile else ""
    if isinstance(error, _CONFIGURATION):
        said = str(error).rstrip(".")
        if isinstance(error, NoRegionError):
            return Problem(f"{said}. Name it: --region REGION")
        if isinstance(error, SSOError | TokenRetrievalError):
            return Problem(f"{said}. Log in again: aws sso login{profile}")
        return Problem(f"{said}. Configure your credentials first: aws configure{profile}")
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code")
        if code in EXPIRED:
            return Problem(f"{error}. Log in again: aws sso login{profile}, or aws configure")
        if code in DENIED:
            return Problem(
                f"{error}. Ask whoever runs your account for this permission; docs/operations.md, "
                f'"Who may do what", lists them. See who you are: {this_command()} doctor'
            )
        return None
    if "//127.0.0.1:" in str(getattr(error, "kwargs", {}).get("endpoint_url")):
        return Problem(
            "The embedded AWS has stopped. Start it again: make run. It then reports interrupted "
            f"runs as failed: {this_command()} runs"
        )
    return Problem(f"AWS does not answer: {error}. See what is wrong: {this_command()} doctor")
