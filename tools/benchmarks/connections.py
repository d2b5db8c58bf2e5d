"""Requests to the API on the embedded AWS, each thread's over a connection of its own."""

from __future__ import annotations

import http.client
import threading
from urllib.parse import urlsplit


class Connections:
    """The API's address and key, and the connections that are kept open."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._headers = {"x-api-key": key, "content-type": "application/json"}
        self._kept = threading.local()

    def send(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Return the status and the answer to a request; the next one connects anew if it fails."""
        kept = getattr(self._kept, "connection", None)
        connection = kept or http.client.HTTPConnection(self._url.netloc, timeout=60)
        self._kept.connection = connection
        try:
            connection.request(method, self._url.path.rstrip("/") + path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
