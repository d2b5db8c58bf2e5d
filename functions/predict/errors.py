"""What the API answers when it can't do as asked: codes for programs, messages for people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """The codes of errors. ``api/openapi.yaml`` lists these, and those of API Gateway itself."""

    ANSWER_TOO_LARGE = "AnswerTooLarge"
    ENDPOINT_FAILED = "EndpointFailed"
    ENDPOINT_MISSING = "EndpointMissing"
    ENDPOINT_STARTING = "EndpointStarting"
    INTERNAL_ERROR = "InternalError"
    INVALID_CLASS = "InvalidClass"
    INVALID_CSV = "InvalidCsv"
    INVALID_INSTANCE = "InvalidInstance"
    INVALID_JSON = "InvalidJson"
    INVALID_NEIGHBORS = "InvalidNeighbors"
    INVALID_NEXT = "InvalidNext"
    INVALID_UPLOAD = "InvalidUpload"
    NEVER_LIVE = "NeverLive"
    NO_HELD_OUT_ROWS = "NoHeldOutRows"
    NO_INSTANCES = "NoInstances"
    NO_REPORT = "NoReport"
    NO_TRAINING_ROWS = "NoTrainingRows"
    NO_UPLOADS = "NoUploads"
    NOT_FOUND = "NotFound"
    NOT_LIVE_YET = "NotLiveYet"
    PREDICTION_EXPIRED = "PredictionExpired"
    PREDICTION_FAILED = "PredictionFailed"
    REPORT_TOO_LARGE = "ReportTooLarge"
    TOO_MANY_INSTANCES = "TooManyInstances"
    TOO_MANY_REQUESTS = "TooManyRequests"
    UNKNOWN_BATCH = "UnknownBatch"
    UNKNOWN_DATASET = "UnknownDataset"
    UNKNOWN_PREDICTION = "UnknownPrediction"
    UNKNOWN_RUN = "UnknownRun"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"


class ApiError(Exception):
    """A request can't be answered; `status` is the HTTP status that says why."""

    def __init__(
        self, status: int, code: Code, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


RETRY_AFTER = {"Retry-After": "15"}
"""While a first model is made, or an endpoint starts."""


class UnknownDataset(ApiError):
    """No file of this name was ever uploaded."""

    def __init__(self, dataset: str) -> None:
        super().__init__(404, Code.UNKNOWN_DATASET, f'There is no dataset "{dataset}".')
