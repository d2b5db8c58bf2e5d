"""Run the embedded AWS in the foreground: ``python -m embedded_aws --help`` says how."""

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
MANUAL = f"""\
An AWS in one process, with SageMaker and its built-in k-NN, until SIGTERM or SIGINT.

It listens on {HOST} only, and answers GET /_ministack/health once it is up. Clients find it by
AWS_ENDPOINT_URL=http://{HOST}:PORT and any credentials. Exit status: 0 after a clean stop, 1 when
the port is taken."""
ENVIRONMENT = """\
Each option stands for variables of the environment: GATEWAY_PORT, PERSIST_STATE=1 with STATE_DIR,
AUTH=true, SAGEMAKER_TIME_SCALE. There are more: LOG_LEVEL (INFO); S3_DATA_DIR, another place for
S3 objects than the state's folder; SAGEMAKER_COLD_START_SECONDS and
SAGEMAKER_SERVERLESS_IDLE_SECONDS, how serverless endpoints pass time; SAGEMAKER_TRAINING_FAULTS,
what training jobs fail of; LAMBDA_WAIT_SCALE, how much
of the wait before a retry of Lambda's passes; and what MiniStack reads."""


def read_options(arguments: Sequence[str] | None = None) -> None:
    """Put the command line's options into the environment, where settings are looked for."""
    parser = argparse.ArgumentParser(
        prog="python -m embedded_aws",
        description=MANUAL,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, help=f"{DEFAULT_PORT} by default")
    parser.add_argument(
        "--state-dir",
        metavar="FOLDER",
        help="keep all state there across restarts; without, it ends with the process. Deleting "
        "the folder ends the process",
    )
    parser.add_argument(
        "--auth",
        action="store_true",
        help="enforce IAM, for who calls and for the roles that services act in",
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        metavar="FACTOR",
        help="how much of each wait that AWS documents passes here; 1 by default",
    )
    options = parser.parse_args(arguments)
    chosen = {
        "GATEWAY_PORT": options.port,
        "STATE_DIR": options.state_dir,
        "PERSIST_STATE": options.state_dir and "1",
        "AUTH": "true" if options.auth else None,
        "SAGEMAKER_TIME_SCALE": options.time_scale,
    }
    os.environ.update({name: str(value) for name, value in chosen.items() if value is not None})


def configure_environment() -> int:
    """Set what MiniStack reads from the environment at import, and return the port."""
    port = int(os.environ.get("GATEWAY_PORT") or DEFAULT_PORT)
    os.environ["GATEWAY_PORT"] = str(port)
    os.environ["BIND_HOST"] = HOST
    # Lambda functions and the S3 reader of training jobs call back to this very process.
    os.environ["AWS_ENDPOINT_URL"] = f"http://{HOST}:{port}"
    # Listeners on ports of their own, for protocols that nothing here uses.
    os.environ["IOT_MTLS_ENABLED"] = "0"
    os.environ["SFTP_ENABLED"] = "0"
    # Never reach for a Docker daemon, even where one runs.
    os.environ["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"
    os.environ["LAMBDA_EXECUTOR"] = "local"
    if os.environ.get("PERSIST_STATE") == "1" and os.environ.get("STATE_DIR"):
        state_dir = os.path.abspath(os.environ["STATE_DIR"])
        os.environ["STATE_DIR"] = state_dir
        os.environ.setdefault("S3_PERSIST", "1")
        os.environ.setdefault("S3_DATA_DIR", os.path.join(state_dir, "s3"))
    return port


def refuse_foreign_binds(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: no socket of this process may listen beyond this machine."""
    if event != "socket.bind":
        return
    sock, address = args
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = address[0]
    if host == "localhost" or (host and ipaddress.ip_address(host).is_loopback):
        return
    raise PermissionError(f"the embedded AWS listens on {HOST} only, not on {host or '*'!r}")


def port_in_use(port: int) -> bool:
    """Whether something already answers on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    read_options()
    port = configure_environment()
    if port_in_use(port):
        print(
            f"error: port {port} on {HOST} is already in use; stop what runs there "
            f"or choose another with --port",
            file=sys.stderr,
        )
        return 1
    sys.addaudithook(refuse_foreign_binds)

    # Imported late: MiniStack reads its environment while it is imported.
    from embedded_aws.ministack import server

    asyncio.run(server.serve(HOST, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
