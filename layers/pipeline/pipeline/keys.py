"""64-bit keys of rows, by which Split puts them on one side or the other."""

from __future__ import annotations

import hashlib
import struct


def text_key(text: str) -> int:
    """Return a key that is the same for the same text only, for all that chance will show."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def number_key(number: float) -> int:
    """Return a key that sorts, as an unsigned integer, as the finite numbers do.

    The bits of a positive double sort as it does itself, those of a negative one the other way
    round. Source: IEEE 754-2019, 5.10, "totalOrder".
    """
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return int(bits ^ 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63)
