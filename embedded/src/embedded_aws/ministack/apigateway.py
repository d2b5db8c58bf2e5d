"""Amazon API Gateway: OpenAPI documents, API keys, limits, and functions called as permitted."""

import copy
import inspect
import logging
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

from embedded_aws.ministack import authorization
from embedded_aws.ministack.patch import Function, patch

# The lesser limit of the two: API Gateway takes 10 MB.
FUNCTION_PAYLOAD_BYTES = 6 * 1024 * 1024
TOO_LARGE_AN_ANSWER = b'{"message": "Internal server error"}'
API_PARTS = ("_resources", "_authorizers_v1", "_models", "_gateway_responses")
"""Where MiniStack keeps what it has read from an OpenAPI document."""

logger = logging.getLogger(__name__)


@patch(
    apigateway_v1,
    "_import_security_schemes",
    fixes=(
        "importing OpenAPI ignores x-amazon-apigateway-gateway-responses",
        "importing OpenAPI heeds security at the root of the document",
    ),
    source='API Gateway developer guide, "x-amazon-apigateway-gateway-responses object", and '
    '"Known issues": security counts with an operation only',
)
def import_schemes_and_responses(original: Function, api_id: str, spec: dict[str, Any]) -> Any:
    """Read the responses too, and drop what doesn't count."""
    responses = spec.get("x-amazon-apigateway-gateway-responses") or {}
    for response_type, response in responses.items():
        apigateway_v1._put_gateway_response(api_id, response_type, response)
    spec.pop("security", None)
    return original(api_id, spec)


@patch(
    apigateway_v1,
    "_update_api_key",
    fixes='an API key that is patched to enabled "false" stays enabled',
    source='API Gateway API reference, "PatchOperation", value: a string, "false" for instance',
)
def update_api_key(original: Function, key_id: str, data: dict[str, Any]) -> Any:
    """Read whether a key is enabled as the truth value that the text stands for."""
    operations = [
        {**operation, "value": str(operation.get("value")).lower() == "true"}
        if operation.get("path") == "/enabled"
        else operation
        for operation in data.get("patchOperations", [])
    ]
    return original(key_id, {**data, "patchOperations": operations})


@patch(
    provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"],
    "update",
    fixes="an update of a stack makes a new RestApi of one with a changed Body",
    source="CloudFormation template reference, AWS::ApiGateway::RestApi: a changed Body needs no "
    "interruption",
)
def update_rest_api(
    original: Function,
    physical_id: str,
    old_props: dict[str, Any],
    new_props: dict[str, Any],
    stack_name: str,
    logical_id: str | None = None,
) -> Any:
    """Let an API keep its id, which is in the URL that clients have, when its document changes."""
    body = new_props.get("Body")
    if isinstance(body, dict) and body != old_props.get("Body"):
        imported = apigateway_v1._import_rest_api(copy.deepcopy(body))
        for part in API_PARTS:
            store = getattr(apigateway_v1, part)
            store[physical_id] = store.pop(imported, {})
        apigateway_v1._delete_rest_api(imported)
    return original(physical_id, {**old_props, "Body": body}, new_props, stack_name, logical_id)


@patch(
    apigateway_v1,
    "_invoke_lambda_proxy_v1",
    fixes="API Gateway passes on payloads of more than 6 MB to functions, and back",
    source='Lambda developer guide, "Lambda quotas" (invocation payload, synchronous)',
)
async def invoke_within_limits(original: Function, *args: Any, **kwargs: Any) -> Any:
    """Refuse what is too large for the function, or too large an answer of it."""
    body = inspect.signature(original).bind(*args, **kwargs).arguments["body"] or b""
    if len(body) > FUNCTION_PAYLOAD_BYTES:
        return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
    answer = await original(*args, **kwargs)
    too_large = not isinstance(answer, apigateway_v1._GatewayError) and (
        len(answer[2]) > FUNCTION_PAYLOAD_BYTES
    )
    if too_large:
        return 502, {"content-type": "application/json"}, TOO_LARGE_AN_ANSWER
    return answer


@patch(
    apigateway_v1,
    "_call_lambda_raw",
    fixes="API Gateway invokes functions whose policies don't allow it",
    source='AWS re:Post, "Invalid permissions on Lambda function"',
    auth=True,
)
async def call_permitted_lambda(
    original: Function, function_ref: str, event: Any, *, account_id: Any = None, region: Any = None
) -> Any:
    """Answer with an internal server error unless the function's policy allows the call."""
    request = event.get("requestContext") or {}
    api, stage = request.get("apiId", ""), request.get("stage", "")
    method, path = request.get("httpMethod", ""), request.get("resourcePath", "")
    place = f"{region or get_region()}:{account_id or get_account_id()}"
    source = f"arn:aws:execute-api:{place}:{api}/{stage}/{method}{path}"
    if not authorization.function_allows(function_ref, "apigateway.amazonaws.com", source):
        logger.warning("%s may not be invoked by %s", function_ref, source)
        return None, "Invalid permissions on Lambda function"
    return await original(function_ref, event, account_id=account_id, region=region)
