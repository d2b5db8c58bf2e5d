"""The mails that the embedded AWS has sent: it keeps them instead."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from cli.settings import Local


def sent_mails(local: Local) -> list[dict[str, Any]]:
    """Return the mails, the oldest first.

    Each has ``Source``, ``To``, ``Subject``, ``BodyText``, ``BodyHtml`` and ``Attachments``, which
    have ``FileName``, ``ContentType``, ``ContentDisposition`` and ``RawContent`` in base64.
    """
    with urllib.request.urlopen(f"{local.endpoint_url}/_ministack/ses/messages") as answer:
        by_account: dict[str, list[dict[str, Any]]] = json.load(answer)["messages"]
    return [mail for mails in by_account.values() for mail in mails]
