"""The algorithm's container interface for serving: an HTTP server around ``inference``.

Source: developer guide, "Use Your Own Inference Code with Hosting Services" and "… with Batch
Transform": ``GET /ping``, ``GET /execution-parameters``, ``POST /invocations``.
"""

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from embedded_aws.knn.errors import RequestError
from embedded_aws.knn.inference import answer, execution_parameters
from embedded_aws.knn.model import Model

# The largest payload of a batch transform job. Source: API reference, CreateTransformJob.
MOST_BYTES = 100 * 1024 * 1024


class ModelServer(ThreadingHTTPServer):
    """Serves one model on 127.0.0.1; port 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, model: Model, port: int) -> None:
        super().__init__(("127.0.0.1", port), ModelRequestHandler)
        self.model = model


class ModelRequestHandler(BaseHTTPRequestHandler):
    """Turns a request into a call, and its result into a response."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    # A client that stops in the middle of its request doesn't keep a thread for ever.
    timeout = 60

    def do_GET(self) -> None:
        """Health, and how to be called by a batch transform job."""
        match self.path:
            case "/ping":
                self.respond(HTTPStatus.OK, b"", "text/plain")
            case "/execution-parameters":
                body = json.dumps(execution_parameters()).encode()
                self.respond(HTTPStatus.OK, body, "application/json")
            case _:
                self.refuse(HTTPStatus.NOT_FOUND, f"There is no {self.path}")

    def do_POST(self) -> None:
        """Predictions."""
        if self.path != "/invocations":
            return self.refuse(HTTPStatus.NOT_FOUND, f"There is no {self.path}")
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return self.refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is required")
        if len(length) > 12 or int(length) > MOST_BYTES:
            message = f"The body is larger than {MOST_BYTES} bytes"
            return self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        body = self.rfile.read(int(length))
        try:
            result, content_type = answer(
                self.server.model,
                body,
                self.headers.get("content-type", ""),
                self.headers.get("accept", ""),
            )
        except RequestError as error:
            return self.respond(error.status, str(error).encode(), "text/plain; charset=utf-8")
        return self.respond(HTTPStatus.OK, result, content_type)

    def refuse(self, status: int, message: str) -> None:
        """Answer without having read the body: the connection can't be used again."""
        self.close_connection = True
        self.respond(status, message.encode(), "text/plain; charset=utf-8")

    def respond(self, status: int, body: bytes, content_type: str) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log to standard output, where SageMaker looks."""
        print(f"{self.address_string()} - {format % arguments}", flush=True)
