"""Connections handed on, so that containers reach the embedded AWS though it is on 127.0.0.1.

On Linux a container has no way to the loopback of its host, and SAM CLI none to put it there
(aws-sam-cli, issue 4236). So this runs twice. In a container it listens in the network of
containers, and hands each connection to a socket file; on the host it takes connections from the
file to 127.0.0.1. Nothing listens on an address of the host.

A script of its own, since a container has no more than Python:

``relay.py to-file FILE PORT``
    Hand on what comes to a port of this container.
``relay.py from-file FILE PORT``
    Hand on what comes through the file, to a port of 127.0.0.1.

It prints the address that it listens on once it does, and ends with its standard input.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable

CHUNK_BYTES = 64 * 1024

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy all that is read, and the end of it."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side has gone; what it was sent has no use, and the other direction ends by itself.
        writer.close()


def handing_on_to(
    connect: Callable[[], Awaitable[Connection]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what hands a connection on, both ways, to one that `connect` makes."""

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await connect()
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))
        other_writer.close()
        writer.close()

    return hand_on


async def relay(direction: str, file: str, port: int) -> None:
    """Hand connections on until standard input ends."""
    if direction == "to-file":
        # The container's own name stands for its address in the network of containers.
        address = socket.gethostbyname(socket.gethostname())
        to_file = handing_on_to(lambda: asyncio.open_unix_connection(file))
        server = await asyncio.start_server(to_file, address, port)
    else:
        address = file
        to_port = handing_on_to(lambda: asyncio.open_connection("127.0.0.1", port))
        server = await asyncio.start_unix_server(to_port, file)
    print(address, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(relay(sys.argv[1], sys.argv[2], int(sys.argv[3])))
