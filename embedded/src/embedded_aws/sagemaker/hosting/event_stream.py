"""The wire format of streamed answers, ``application/vnd.amazon.eventstream``.

Source: smithy.io, "Amazon Event Stream Specification": a prelude of two lengths and their CRC,
headers, payload, and the CRC of it all.
"""

import struct
import zlib

STRING = 7
"""The type byte of a header whose value is a string."""


def payload_part(payload: bytes) -> bytes:
    """One event ``PayloadPart`` of InvokeEndpointWithResponseStream."""
    headers = b"".join(
        header(name, value)
        for name, value in (
            (":event-type", "PayloadPart"),
            (":content-type", "application/octet-stream"),
            (":message-type", "event"),
        )
    )
    # Two lengths, three CRCs' worth of bytes around headers and payload: 16 in all.
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


def header(name: str, value: str) -> bytes:
    """One header with a string value."""
    return struct.pack(
        f"!B{len(name)}sBH{len(value)}s",
        len(name),
        name.encode(),
        STRING,
        len(value),
        value.encode(),
    )
