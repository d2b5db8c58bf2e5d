"""What the role may do in which CI deploys, against what the template needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.transformed_template import transformed

COMPANION = load(str(Path(__file__).parents[2] / "companions/deploy_role.yaml"))["Resources"]
ACCOUNT = "000000000000"
OWN = f"arn:aws:iam::{ACCOUNT}:role/knn-pipeline-deploy-role-DeployRole-ABC"
APPLICATION = f"arn:aws:iam::{ACCOUNT}:role/knn-pipeline-PredictFunctionRole-ABC"


def filled(document: Any) -> Any:
    """A policy as it is deployed, with the stacks called so that one's name begins the other's."""
    if isinstance(document, dict):
        if "Fn::GetAtt" in document:
            assert document["Fn::GetAtt"] == ["DeployRole", "Arn"]
            return OWN
        if "Fn::Sub" in document:
            return filled(document["Fn::Sub"])
        return {key: filled(value) for key, value in document.items()}
    if isinstance(document, list):
        return [filled(item) for item in document]
    names = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "ApplicationStack": "knn-pipeline"}
    for name, value in names.items():
        document = str(document).replace(f"${{{name}}}", value)
    return document


POLICY = parse_policy_document(
    json.dumps(filled(COMPANION["ApplicationRoles"]["Properties"]["PolicyDocument"]))
)


def allows(action: str, role: str, **context: str) -> bool:
    asked = EvalContext(
        principal_arn=OWN,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=role,
        region="us-east-1",
        secure_transport=True,
        service_context={key.replace("_", ":").lower(): value for key, value in context.items()},
    )
    return bool(evaluate(asked, [POLICY]).decision == "Allow")


def roles() -> dict[str, Any]:
    # With the role in which requests are shifted to a new version.
    found = transformed(FunctionDeployment="Canary10Percent5Minutes")["Resources"].items()
    return {name: r["Properties"] for name, r in found if r["Type"] == "AWS::IAM::Role"}


@pytest.mark.parametrize("name", roles())
def test_each_role_of_the_template_can_be_made_and_passed(name):
    properties = roles()[name]
    assert allows("iam:CreateRole", APPLICATION)
    for policy in properties.get("ManagedPolicyArns", []):
        assert allows("iam:AttachRolePolicy", APPLICATION, iam_PolicyARN=filled(policy)), policy
    if name == "SageMakerRole":
        # Runs pass it, not whoever deploys.
        assert not allows(
            "iam:PassRole", APPLICATION, iam_PassedToService="sagemaker.amazonaws.com"
        )
        return
    for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
        # The others are assumed by roles of the template, and passed to nobody.
        services = statement["Principal"].get("Service", [])
        for service in [services] if isinstance(services, str) else services:
            assert allows("iam:PassRole", APPLICATION, iam_PassedToService=service), service


def test_policies_for_people_can_be_made_and_not_attached():
    policy = APPLICATION.replace(":role/", ":policy/")
    assert allows("iam:CreatePolicy", policy)
    assert allows("iam:DeletePolicy", policy)
    assert not allows("iam:AttachRolePolicy", APPLICATION, iam_PolicyARN=policy)


def test_administration_can_not_be_attached_and_roles_not_passed_to_what_is_not_used():
    administration = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert not allows("iam:AttachRolePolicy", APPLICATION, iam_PolicyARN=administration)
    assert not allows("iam:PassRole", APPLICATION, iam_PassedToService="ec2.amazonaws.com")


@pytest.mark.parametrize(
    "action",
    ["iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DeleteRolePolicy", "iam:UpdateRole"],
)
def test_it_can_not_change_itself_even_if_it_is_named_like_the_application(action):
    assert allows(action, APPLICATION)
    assert not allows(action, OWN)
