"""How requests over HTTP name an operation."""

import re

INVOCATION = re.compile(
    r"/endpoints/(?P<name>[^/]+)/"
    r"(?P<kind>invocations-response-stream|invocations|async-invocations)"
)
RUNTIME_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}
TARGET_PREFIX = "SageMaker."
