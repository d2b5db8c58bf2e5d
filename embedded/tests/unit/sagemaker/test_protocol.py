"""Requests checked against the service model."""

from typing import Any

import pytest

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.protocol import check_request, parse_request, shape_response
from embedded_aws.sagemaker.requests import SERVICE, runtime_request

ENDPOINT = {"EndpointName": "iris", "EndpointConfigName": "iris"}


def refusal(operation: str, request: dict[str, Any]) -> ServiceError:
    """The error that a request is refused with."""
    with pytest.raises(ServiceError) as refused:
        check_request(SERVICE, operation, request)
    return refused.value


def test_a_complete_request_passes() -> None:
    check_request(SERVICE, "CreateEndpoint", ENDPOINT)


def test_a_missing_member_is_refused_in_the_words_of_aws() -> None:
    error = refusal("CreateEndpoint", {"EndpointName": "iris"})
    assert error.code == "ValidationException"
    assert error.message == (
        "1 validation error detected: Value null at 'endpointConfigName' failed to satisfy "
        "constraint: Member must not be null"
    )


@pytest.mark.parametrize("name", ["-iris", "iris_2", "iris-", "a" * 64, "", "iris\n"])
def test_a_name_against_the_rules_is_refused(name: str) -> None:
    error = refusal("CreateEndpoint", {**ENDPOINT, "EndpointName": name})
    assert "at 'endpointName' failed to satisfy constraint" in error.message


def test_every_violation_is_listed() -> None:
    error = refusal("CreateEndpoint", {"EndpointName": "-", "EndpointConfigName": "-"})
    assert error.message.startswith("2 validation errors detected: ")


def test_a_number_out_of_range_is_refused() -> None:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "iris",
        "ServerlessConfig": {"MemorySizeInMB": 512, "MaxConcurrency": 5},
    }
    error = refusal(
        "CreateEndpointConfig", {"EndpointConfigName": "iris", "ProductionVariants": [variant]}
    )
    assert (
        "Value '512' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB' failed to "
        "satisfy constraint: Member must have value greater than or equal to 1024"
    ) in error.message


def test_a_value_outside_an_enumeration_is_refused() -> None:
    error = refusal("ListEndpoints", {"SortBy": "Colour"})
    assert "Member must satisfy enum value set: [Name, CreationTime, Status]" in error.message


@pytest.mark.parametrize("value", [1, True, ["iris"], {"Name": "iris"}])
def test_a_wrong_type_is_a_serialization_error(value: Any) -> None:
    error = refusal("CreateEndpoint", {**ENDPOINT, "EndpointName": value})
    assert error.code == "SerializationException"


def test_members_that_the_model_does_not_know_are_passed_over() -> None:
    check_request(SERVICE, "CreateEndpoint", {**ENDPOINT, "Colour": "blue"})


def test_an_answer_has_only_what_the_model_declares() -> None:
    answer = shape_response(
        SERVICE,
        "DescribeEndpoint",
        {"EndpointName": "iris", "Hosted": [], "FailureReason": None, "CreationTime": 1.5},
    )
    assert answer == {"EndpointName": "iris", "CreationTime": 1.5}


def test_members_that_are_null_count_as_not_given() -> None:
    body = b'{"EndpointName": "iris", "Tags": null, "VpcConfig": {"Subnets": null, "x": [null]}}'
    assert parse_request(body) == {"EndpointName": "iris", "VpcConfig": {"x": [None]}}


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"MaxResults": NaN}', b'{"a": -Infinity}', b"[" * 100_000, b"\xff", b'{"a":' * 5000],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_request(body)
    assert refused.value.code == "SerializationException"


def test_a_number_that_no_float_can_hold_is_refused() -> None:
    error = refusal("ListEndpoints", parse_request(b'{"CreationTimeAfter": 1e999}'))
    assert error.code == "SerializationException"


@pytest.mark.parametrize("value", ["\u00b2", "--5", "5" * 5000, "1_0", " 5", "1.0"])
def test_a_header_that_is_no_integer_is_refused(value: str) -> None:
    with pytest.raises(ServiceError) as refused:
        runtime_request(
            "InvokeEndpointAsync", "iris", {"x-amzn-sagemaker-requestttlseconds": value}
        )
    assert refused.value.code == "ValidationError"
