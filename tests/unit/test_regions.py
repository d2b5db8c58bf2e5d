"""The template's tables of regions against the SDKs and cfn-lint's schemas."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load as load_template
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from ministack.services.cloudformation import engine

from tests.transformed_template import transformed

ROOT = Path(__file__).parents[2]
TEMPLATE = load_template(str(ROOT / "template.yaml"))
REGIONS = list(TEMPLATE["Mappings"]["KnnImage"])
SDK = ROOT / ".venv-sdk/bin/python"
needs_sdk = pytest.mark.skipif(
    not SDK.exists(), reason="no .venv-sdk: make test sets it up with the SageMaker SDK"
)
PYTHONS = [pytest.param("images", SDK, marks=needs_sdk), ("services", Path(sys.executable))]


def check(section: str, python: Path, template: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "tools/regions.py"
    command = [python, script, section, "--check", "--template", template]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("section", "python"), PYTHONS)
def test_the_template_says_of_each_region_what_is_known(section, python):
    result = check(section, python, ROOT / "template.yaml")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("section", "python"), PYTHONS)
def test_a_template_that_differs_is_noticed(section, python, tmp_path):
    template = tmp_path / "template.yaml"
    text = (ROOT / "template.yaml").read_text()
    changed = text.replace("382416733822", "123456789012").replace('Ses: "no"', 'Ses: "yes"')
    assert changed.count("123456789012") == 1
    template.write_text(changed)
    result = check(section, python, template)
    assert result.returncode == 1
    assert "make regions" in result.stderr


def test_what_a_region_has_not_is_made_only_where_it_is_offered():
    """A type that CloudFormation doesn't know fails a stack, even in a condition that is met."""
    used = {resource["Type"] for resource in transformed()["Resources"].values()}
    known = {t for t in used if not t.startswith("Custom::")}
    columns = {
        "AWS::SES::EmailIdentity": "Ses",
        "AWS::SES::ConfigurationSet": "Ses",
        "AWS::SES::ConfigurationSetEventDestination": "Ses",
        "AWS::Budgets::Budget": "Budgets",
        "AWS::Events::Connection": "Webhooks",
        "AWS::Events::ApiDestination": "Webhooks",
    }
    for region in REGIONS:
        missing = known - set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region))
        assert missing <= set(columns), region
        for resource_type in missing:
            assert TEMPLATE["Mappings"]["Offered"][region][columns[resource_type]] == "no", region


def refusal(monkeypatch: pytest.MonkeyPatch, region: str, **given: str) -> str:
    """What CloudFormation says to parameters in a region, by the rules; empty if fine."""
    monkeypatch.setattr(engine, "get_region", lambda: region)
    defaults = {name: {"Value": p.get("Default")} for name, p in TEMPLATE["Parameters"].items()}
    parameters = defaults | {name: {"Value": value} for name, value in given.items()}
    try:
        engine._evaluate_rules(TEMPLATE, parameters, {})
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "region",
    ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "ap-south-2", "ap-southeast-4", "ca-west-1"],
)
def test_a_region_without_serverless_endpoints_refuses_them_and_says_what_to_choose(
    region, monkeypatch
):
    assert region in REGIONS
    assert "EndpointKind async or realtime" in refusal(monkeypatch, region)
    for kind in ("async", "realtime"):
        assert refusal(monkeypatch, region, EndpointKind=kind) == ""


def test_the_regions_with_serverless_endpoints_are_those_of_the_developer_guide(monkeypatch):
    accepted = [region for region in REGIONS if not refusal(monkeypatch, region)]
    assert len(accepted) == 21
    assert "us-east-1" in accepted
    assert not [r for r in accepted if re.match(r"cn-|us-gov-|us-iso", r)]


def test_serverless_endpoints_are_offered_to_datasets_where_the_stack_may_have_them_too():
    """Rules know no FindInMap, so the regions stand in the template twice."""
    (assertion,) = TEMPLATE["Rules"]["ServerlessWhereOffered"]["Assertions"]
    regions = set(assertion["Assert"]["Fn::Contains"][0])
    offered = TEMPLATE["Mappings"]["Offered"].items()
    assert {region for region, of in offered if of["Serverless"] == "yes"} == regions
