"""The API's document, which is what is deployed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import pytest
import yaml
from cfnlint.decode.cfn_yaml import load

from predict.errors import Code
from tests.function_app import ROOT, function_app
from tests.transformed_template import PATH, transformed
from tools.openapi import TARGET, chosen, document

TEXT = (ROOT / "api/openapi.yaml").read_text()
TEMPLATE = load(PATH)
SOURCE = yaml.safe_load(TEXT)
DOCUMENT = chosen(SOURCE)
"""As it is deployed by default."""


def test_cloudformation_reads_it_without_aliases_and_short_forms_of_its_functions():
    # Source: CloudFormation user guide, "AWS::Include transform".
    assert DOCUMENT["openapi"] == "3.0.1"
    assert not re.search(r":\s+[&*!]\w", TEXT)


@pytest.mark.parametrize(
    "keyword",
    [
        "#/components/responses/",
        "#/components/parameters/",
        "oneOf:",
        "anyOf:",
        "additionalProperties:",
    ],
)
def test_it_holds_nothing_that_api_gateway_cannot_import(keyword):
    assert keyword not in TEXT


def test_its_paths_are_the_routes_of_the_function():
    environment = {"RUNS_BUCKET": "runs", "REGISTRY_TABLE": "registry"}
    with function_app("predict", environment) as predict:
        routes = {
            (str(route.method).lower(), re.sub(r"<(?:prediction_)?(\w+)>", r"{\1}", route.path))
            for route in predict.app._static_routes + predict.app._dynamic_routes
        }
    documented = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert routes == documented


PUBLIC = {"/", "/docs", "/health", "/openapi.json"}
"""What needs no key: it says nothing of any dataset."""


def test_every_operation_but_four_asks_for_a_key_itself_and_all_call_the_function():
    # Source: API Gateway developer guide, "Known issues": security at the root is ignored.
    assert "security" not in DOCUMENT
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            asked = None if path in PUBLIC else [{"Caller": []}]
            assert operation.get("security") == asked
            _, variables = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert variables == {"Function": {"Fn::GetAtt": ["PredictFunction", "Arn"]}}


def test_pages_of_other_origins_may_ask_about_every_path_without_a_key_only_where_some_may_call():
    allowing = chosen(SOURCE, ApiAllowsOrigins=True)
    for path, item in allowing["paths"].items():
        assert "security" not in item["options"]
        integration = item["options"]["x-amazon-apigateway-integration"]
        (other, *_) = DOCUMENT["paths"][path].values()
        assert integration == other["x-amazon-apigateway-integration"]
        assert "options" not in DOCUMENT["paths"][path]


RESPONSES = "x-amazon-apigateway-gateway-responses"
ORIGIN = "gatewayresponse.header.Access-Control-Allow-Origin"


@pytest.mark.parametrize("allows", [False, True])
def test_what_api_gateway_answers_itself_says_when_to_come_back_and_can_be_read_by_pages(allows):
    answers = chosen(SOURCE, ApiAllowsOrigins=allows)[RESPONSES]
    assert set(answers) == {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "QUOTA_EXCEEDED"}
    for name, answer in answers.items():
        headers = answer["responseParameters"]
        # A static value stands in quotes. Source: API Gateway developer guide,
        # "x-amazon-apigateway-gateway-responses.responseParameters object".
        assert headers.get(ORIGIN) == ("'*'" if allows else None)
        waits = headers.get("gatewayresponse.header.Retry-After", "'0'").strip("'")
        assert (int(waits) > 0) == (name in ("THROTTLED", "QUOTA_EXCEEDED"))
        assert answer["responseTemplates"] == answers["DEFAULT_4XX"]["responseTemplates"]


def test_callers_have_keys_or_sign_or_send_tokens():
    def scheme(**conditions: bool) -> dict[str, Any]:
        document = chosen(SOURCE, **conditions)
        return dict(document["components"]["securitySchemes"]["Caller"])

    assert scheme() == {"type": "apiKey", "name": "x-api-key", "in": "header"}
    signs = scheme(ApiTakesKeys=False, ApiTakesSignatures=True)
    assert signs["x-amazon-apigateway-authtype"] == "awsSigv4"
    sends = scheme(ApiTakesKeys=False)
    authorizer = sends["x-amazon-apigateway-authorizer"]
    assert authorizer == {"type": "cognito_user_pools", "providerARNs": [{"Ref": "ApiUserPoolArn"}]}
    assert signs["name"] == sends["name"] == "Authorization"


def test_requests_are_shifted_where_there_is_an_alias_to_shift_them():
    for item in chosen(SOURCE, ShiftsRequests=True, ApiAllowsOrigins=True)["paths"].values():
        for operation in item.values():
            _, variables = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert variables == {"Function": {"Ref": "PredictFunctionAliaslive"}}


def test_sam_takes_it_with_its_conditions_and_deploys_it_anew_whatever_a_parameter_changes():
    resources = transformed()["Resources"]
    body = resources["PredictionsApi"]["Properties"]["Body"]
    assert body["paths"] == SOURCE["paths"]
    assert body["components"]["securitySchemes"] == SOURCE["components"]["securitySchemes"]
    assert TEMPLATE["Resources"]["PredictionsApi"]["Properties"]["AlwaysDeploy"] is True


def test_clients_are_given_the_document_without_what_is_for_api_gateway_alone():
    given = TARGET.read_text()
    assert given == document(), "make it anew: python -m tools.openapi"
    assert "amazon" not in given
    assert json.loads(given)["paths"].keys() == DOCUMENT["paths"].keys()


# Source: API Gateway API reference, GetGatewayResponse, "Valid Values" of response_type.
GATEWAY_CODES = {
    *("DEFAULT_4XX", "DEFAULT_5XX", "RESOURCE_NOT_FOUND", "UNAUTHORIZED", "INVALID_API_KEY"),
    *("ACCESS_DENIED", "AUTHORIZER_FAILURE", "AUTHORIZER_CONFIGURATION_ERROR"),
    *("INVALID_SIGNATURE", "EXPIRED_TOKEN", "MISSING_AUTHENTICATION_TOKEN", "WAF_FILTERED"),
    *("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "API_CONFIGURATION_ERROR"),
    *("UNSUPPORTED_MEDIA_TYPE", "BAD_REQUEST_PARAMETERS", "BAD_REQUEST_BODY"),
    *("REQUEST_TOO_LARGE", "THROTTLED", "QUOTA_EXCEEDED"),
}


def test_the_codes_of_errors_are_those_of_the_function_and_of_api_gateway():
    codes = DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"]
    assert len(codes) == len(set(codes))
    assert set(codes) == {*Code, *GATEWAY_CODES}


def responses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each response of each operation: operation, status, response."""
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                yield operation["operationId"], status, response


def resolved(schema: Any) -> Any:
    """A schema with what it refers to in it."""
    if isinstance(schema, list):
        return [resolved(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return {name: resolved(each) for name, each in schema.items()}


@pytest.mark.parametrize(("operation", "status", "response"), list(responses()))
def test_every_response_has_a_typed_body_and_an_example_of_it(operation, status, response):
    ((media_type, content),) = response["content"].items()
    # A client that is made of the document names a model after it.
    assert media_type == "text/html" or content["schema"].keys() == {"$ref"}
    fastjsonschema.validate(resolved(content["schema"]), content["example"])
    if status in ("429", "503", "202"):
        assert "Retry-After" in response["headers"]
    if status >= "400":
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}


def test_every_operation_has_the_statuses_that_api_gateway_may_give_it():
    """Throttling, a function that fails or is too slow, and a key that isn't valid."""
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert {"429", "500", "502", "504"} <= operation["responses"].keys()
            assert ("403" in operation["responses"]) == (path not in PUBLIC)


def test_every_description_is_a_text():
    """A comma in a plain text between braces would end it."""
    waiting: list[Any] = [DOCUMENT]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            assert None not in value.values(), value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += [each for each in value if isinstance(each, dict | list)]
