"""What events say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent

from pipeline.layout import Source


def source_of(event: S3EventBridgeNotificationEvent) -> Source:
    """Return the object that an "Object Created" event is about."""
    uploaded = event.detail.object
    # Powertools' `key` would decode it, but it isn't URL-encoded, as in S3's own notifications.
    # Source: Amazon S3 user guide, "EventBridge event message structure".
    return Source(
        bucket=event.detail.bucket.name,
        key=uploaded["key"],
        version=uploaded.get("version-id") or uploaded.etag,
        sequencer=uploaded.sequencer,
        time=datetime.fromisoformat(event.time),
    )


def pin_of(event: S3EventBridgeNotificationEvent) -> dict[str, Any]:
    """Return what names the version of the object, so that no later one is read."""
    uploaded = event.detail.object
    return {
        "bucket": event.detail.bucket.name,
        "key": uploaded["key"],
        "version_id": uploaded.get("version-id"),
        "etag": uploaded.etag,
    }
