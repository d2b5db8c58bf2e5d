"""Who sends the reports and who gets them, by the template's parameters."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services.cloudformation import engine

from embedded_aws.ministack.cloudformation import evaluate_conditions
from tests.transformed_template import transformed

ORIGINAL = engine._evaluate_conditions


def made(**given: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources that a stack with these parameters has."""
    template = transformed()
    parameters = {
        name: {"Value": given.pop(name, parameter.get("Default", "")), "NoEcho": False}
        for name, parameter in template["Parameters"].items()
    }
    assert not given
    conditions = evaluate_conditions(ORIGINAL, template, parameters)
    return {
        name: engine._resolve_refs(
            resource.get("Properties", {}),
            {},
            parameters,
            conditions,
            template["Mappings"],
            "a-stack",
            "an-id",
        )
        for name, resource in template["Resources"].items()
        if conditions.get(resource.get("Condition"), True) and name in OF_MAIL
    }


OF_MAIL = (
    "ReportFunction",
    "ReportIdentity",
    "AlarmTopic",
    "ReportConfigurationSet",
    "RunReported",
)


def addresses(resources: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """The sender and the recipients, as the function is told."""
    told = resources["ReportFunction"]["Environment"]["Variables"]
    return told["SENDER_ADDRESS"], told["REPORT_ADDRESSES"]


def subscriber(resources: dict[str, dict[str, Any]]) -> str:
    """Who gets the alarms."""
    (subscription,) = resources["AlarmTopic"]["Subscription"]
    return str(subscription["Endpoint"])


def test_one_address_sends_and_gets_the_reports_and_the_alarms():
    resources = made(ReportAddresses="a@example.com")
    assert addresses(resources) == ("a@example.com", "a@example.com")
    assert resources["ReportIdentity"] == {"EmailIdentity": "a@example.com"}
    assert subscriber(resources) == "a@example.com"


def test_of_several_addresses_the_first_sends_and_gets_the_alarms():
    resources = made(ReportAddresses="a@example.com,b@example.com")
    assert addresses(resources) == ("a@example.com", "a@example.com b@example.com")
    assert subscriber(resources) == "a@example.com"


def test_a_sender_has_the_identity():
    resources = made(ReportAddresses="a@example.com", SenderAddress="s@example.org")
    assert addresses(resources) == ("s@example.org", "a@example.com")
    assert resources["ReportIdentity"] == {"EmailIdentity": "s@example.org"}


def test_a_sender_whose_domain_is_verified_takes_no_identity():
    given = {"SenderAddress": "s@example.org", "CreateReportIdentity": "no"}
    resources = made(ReportAddresses="a@example.com", **given)
    assert addresses(resources) == ("s@example.org", "a@example.com")
    assert "ReportIdentity" not in resources


def test_the_address_of_an_earlier_release_goes_on_sending_and_getting():
    resources = made(ReportAddress="old@example.com")
    assert addresses(resources) == ("old@example.com", "old@example.com")
    assert resources["ReportIdentity"] == {"EmailIdentity": "old@example.com"}
    assert subscriber(resources) == "old@example.com"


def test_the_addresses_count_where_the_earlier_one_is_set_as_well():
    resources = made(ReportAddress="old@example.com", ReportAddresses="a@example.com")
    assert addresses(resources) == ("a@example.com", "a@example.com")


def test_without_an_address_nothing_of_mail_is_made():
    resources = made()
    assert addresses(resources) == ("", "")
    assert set(resources) == {"ReportFunction"}


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ({"VerdictTopic": "yes"}, ["Topic"]),
        ({"VerdictWebhook": "https://hooks.example.com/secret"}, ["Webhook"]),
        ({"VerdictTopic": "yes", "VerdictWebhook": "https://x.example"}, ["Topic", "Webhook"]),
    ],
)
def test_a_verdict_goes_where_it_is_asked_for(given, targets):
    resources = made(**given)
    rule = resources["RunReported"]
    assert [target["Id"] for target in rule["Targets"]] == targets
    told = resources["ReportFunction"]["Environment"]["Variables"]
    assert told["EVENT_SOURCE"] == rule["EventPattern"]["source"][0] == "a-stack"


def test_no_verdict_is_told_unless_it_is_asked_for():
    resources = made(ReportAddresses="a@example.com")
    assert "RunReported" not in resources
    assert resources["ReportFunction"]["Environment"]["Variables"]["EVENT_SOURCE"] == ""


@pytest.mark.parametrize(
    "value", ["a", "a@b", "a@example.com, b@example.com", "a@example.com,", "A <a@example.com>"]
)
def test_what_is_no_list_of_addresses_is_refused(value):
    parameter = transformed()["Parameters"]["ReportAddresses"]
    with pytest.raises(ValueError, match="email addresses, separated by commas"):
        engine._check_parameter_constraints("ReportAddresses", parameter, "String", value)
