"""The API's document, which is what is deployed."""

import re

import pytest
import yaml

from tests.function_app import ROOT, function_app

TEXT = (ROOT / "api/openapi.yaml").read_text()
DOCUMENT = yaml.safe_load(TEXT)


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


OPEN = {"/"}
"""Paths without a key: the page, which shows nothing until it is given one."""


def test_every_operation_but_the_page_asks_for_a_key_itself_and_calls_the_function():
    # Source: API Gateway developer guide, "Known issues": security at the root is ignored.
    assert "security" not in DOCUMENT
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert operation.get("security") == (None if path in OPEN else [{"ApiKey": []}])
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert "${PredictFunction.Arn}" in uri
