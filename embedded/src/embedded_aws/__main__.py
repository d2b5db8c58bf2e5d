"""Run the embedded AWS in the foreground: ``python -m local``.

Environment:

``GATEWAY_PORT``
    Port on 127.0.0.1, 4566 by default. Nothing is ever bound to another address.
``PERSIST_STATE=1`` and ``STATE_DIR=<folder>``
    Keep everything across restarts in that folder: each service's state as ``<service>.json``,
    written on a clean stop (SIGTERM or SIGINT), and the S3 objects in ``<folder>/s3`` as they
    come (another place: ``S3_DATA_DIR``). Without them all state ends with the process.
``LOG_LEVEL``
    ``INFO`` by default.

``AUTH=true``
    Enforce IAM: who may call what, and what functions, state machines and SageMaker may do.
``SAGEMAKER_TIME_SCALE``, ``SAGEMAKER_COLD_START_SECONDS``, ``SAGEMAKER_SERVERLESS_IDLE_SECONDS``
    How endpoints pass time: see ``docs/embedded-aws.md``.

Everything else that MiniStack reads (``SFN_WAIT_SCALE``, …) works as it documents.
The server answers ``GET /_ministack/health`` once it is up. Exit status: 0 after a clean stop,
1 when the port is taken.
"""

import asyncio
import ipaddress
import os
import socket
import sys
from typing import Any

HOST = "127.0.0.1"
DEFAULT_PORT = 4566


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
    port = configure_environment()
    if port_in_use(port):
        print(
            f"error: port {port} on {HOST} is already in use; stop what runs there "
            f"or choose another with GATEWAY_PORT",
            file=sys.stderr,
        )
        return 1
    sys.addaudithook(refuse_foreign_binds)

    # Imported late: MiniStack reads its environment while it is imported.
    from embedded_aws.ministack import server as wiring

    asyncio.run(wiring.serve(HOST, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
