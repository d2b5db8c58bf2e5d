"""Data capture: requests and answers of an endpoint kept in S3.

Source: developer guide, "Capture data from real-time endpoint" (layout of the keys, members of a
record, base64 for content types that aren't listed). SageMaker collects several records a file;
here each has a file of its own.
"""

import base64
import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Protocol

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker.hosting import deployment

INPUT, OUTPUT = "Input", "Output"
writers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="data-capture")


class Captured(Protocol):
    """An answer of a container."""

    body: bytes
    content_type: str


def capture(
    scope: Scope,
    endpoint: Document,
    variant: Document,
    request: Document,
    body: bytes,
    result: Captured,
) -> None:
    """Keep the request and its answer, if the endpoint captures and chance picks them."""
    config = endpoint.get("Capture")
    if not config or not config.get("EnableCapture", True):
        return
    if random.uniform(0, 100) >= config["InitialSamplingPercentage"]:
        return
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    both = "InputAndOutput" in modes
    headers = config.get("CaptureContentTypeHeader", {})
    data: Document = {}
    if both or INPUT in modes:
        data["endpointInput"] = part("INPUT", body, request.get("ContentType", ""), headers)
    if both or OUTPUT in modes:
        data["endpointOutput"] = part("OUTPUT", result.body, result.content_type, headers)
    now = datetime.now(UTC)
    event_id = platform.new_id()
    metadata = {"eventId": event_id, "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if "InferenceId" in request:
        metadata["inferenceId"] = request["InferenceId"]
    record = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    place = now.strftime("%Y/%m/%d/%H/%M-%S-") + f"{now.microsecond // 1000:03}-{event_id}.jsonl"
    destination = config["DestinationS3Uri"].rstrip("/")
    uri = f"{destination}/{endpoint['EndpointName']}/{variant['VariantName']}/{place}"
    writers.submit(write, scope, endpoint, variant, uri, json.dumps(record).encode() + b"\n")


def part(mode: str, body: bytes, content_type: str, headers: Document) -> Document:
    """One side of a record: as text where its content type is listed, in base64 otherwise."""
    media_type = content_type.partition(";")[0].strip()
    if media_type in headers.get("CsvContentTypes", []):
        encoding = "CSV"
    elif media_type in headers.get("JsonContentTypes", []):
        encoding = "JSON"
    else:
        encoding = "BASE64"
    text = (
        base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8", "replace")
    )
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}


def write(scope: Scope, endpoint: Document, variant: Document, uri: str, record: bytes) -> None:
    """Write a record as the model's role; a failure goes to the endpoint's log."""
    try:
        platform.put_object(scope.acting_as(variant["RoleArn"]), uri, record)
    except DataError as error:
        deployment.variant_log(scope, endpoint, variant).write([f"data capture failed: {error}"])
