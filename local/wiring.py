"""Every touch of MiniStack's internals: how SageMaker becomes one more of its services.

MiniStack has no plug-in interface, so this uses tables and functions of the one version that
the project pins. ``tests/unit/local/test_wiring.py`` fails, naming the table, when an upgrade
moves one of them.
"""

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app as ministack_app

MINISTACK_VERSION = "1.5.33"


async def serve(host: str, port: int) -> None:
    """Serve MiniStack until SIGTERM or SIGINT; state is saved while stopping."""
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    await hypercorn_serve(ministack_app.app, config)  # type: ignore[arg-type]
