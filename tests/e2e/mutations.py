"""Policies of deployed roles with something taken out of them, one thing at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

Statement = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """A role of the stack, with its inline policies as they were deployed."""

    logical_id: str
    name: str
    arn: str
    policies: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Mutation:
    """A policy without one action, resource or value of a condition of a statement."""

    policy: str
    sid: str
    without: str
    document: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.sid} without {self.without}"


def listed(value: Any) -> list[Any]:
    """The value as a list, which policies leave out around a single one."""
    return value if isinstance(value, list) else [value]


def sid_of(policy: str, statement: Statement) -> str:
    """What a statement is called: as it says, or as its policy, where SAM has written that."""
    return str(statement.get("Sid") or policy)


def roles_of(cloudformation: Any, iam: Any, stack: str) -> list[Role]:
    """The roles of a stack."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    found = []
    for resource in [r for page in pages for r in page["StackResourceSummaries"]]:
        if resource["ResourceType"] == "AWS::IAM::Role":
            name = resource["PhysicalResourceId"]
            policies = {
                policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
            }
            arn = iam.get_role(RoleName=name)["Role"]["Arn"]
            found.append(Role(resource["LogicalResourceId"], name, arn, policies))
    return found


def mutations(role: Role) -> Iterator[Mutation]:
    """Yield each policy of a role without each of its parts.

    Without the only action of a statement, or the only resource, it is without the statement. Of a
    condition each value is replaced by another, so that what it is there for is no longer met.
    """
    for policy, document in role.policies.items():
        for number, statement in enumerate(document["Statement"]):
            for without, changed in reduced(statement):
                rest = copy.deepcopy(document)
                rest["Statement"][number : number + 1] = [changed] if changed else []
                yield Mutation(policy, sid_of(policy, statement), without, rest)


def reduced(statement: Statement) -> Iterator[tuple[str, Statement | None]]:
    """Yield the statement without each of its parts; None is without all of it."""
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    for action in actions:
        rest = [other for other in actions if other != action]
        yield action, statement | {"Action": rest} if rest else None
    for resource in resources if len(resources) > 1 else []:
        rest = [other for other in resources if other != resource]
        yield str(resource), statement | {"Resource": rest}
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            for value in listed(values):
                others = [other for other in listed(values) if other != value]
                condition = copy.deepcopy(statement["Condition"])
                condition[operator][key] = [*others, "something-else"]
                yield f"{key} {value}", statement | {"Condition": condition}


def without_conditions(role: Role) -> dict[str, dict[str, Any]]:
    """The role's policies with the conditions of all statements left out."""
    policies = copy.deepcopy(role.policies)
    for document in policies.values():
        for statement in document["Statement"]:
            statement.pop("Condition", None)
    return policies


def policies_of(iam: Any, role: str) -> list[Any]:
    """A role's policies as they are, inline and attached, but what is for X-Ray."""
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    # One of AWS's that the embedded AWS doesn't have.
    attached = [policy for policy in attached if policy["PolicyName"] != "AWSXrayWriteOnlyAccess"]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in attached:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return [parse_policy_document(document) for document in documents]


def decisions(policies: list[Any], actions: list[str], **context: str) -> set[str]:
    """What policies say of actions on anything; the simulation of IAM knows no context here."""
    return {
        evaluate(
            EvalContext(
                principal_arn="arn:aws:iam::000000000000:role/any",
                principal_type="AssumedRole",
                principal_account="000000000000",
                action=action,
                resource_arn="*",
                region="us-east-1",
                service_context=context,
            ),
            policies,
        ).decision
        for action in actions
    }


# Source: AWS managed policy reference, AWSLambdaVPCAccessExecutionRole; the last is from the Lambda
# developer guide, "Giving Lambda functions access to resources in an Amazon VPC".
OF_NETWORK_INTERFACES = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
    "ec2:DetachNetworkInterface",
]


def assert_network_interfaces_are_left_to_lambda(iam: Any, role: str, function_arn: str) -> None:
    """A function's code may not make them, Lambda itself in the function's role may."""
    policies = policies_of(iam, role)
    by_code = {"lambda:sourcefunctionarn": function_arn}
    assert decisions(policies, OF_NETWORK_INTERFACES, **by_code) == {"Deny"}
    assert decisions(policies, OF_NETWORK_INTERFACES[:-1]) == {"Allow"}


@contextmanager
def put(iam: Any, role: Role, policies: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Give a role these policies in place of its own; its own again in the end."""
    for policy, document in policies.items():
        put_or_delete(iam, role, policy, document)
    try:
        yield
    finally:
        for policy in policies:
            put_or_delete(iam, role, policy, role.policies[policy])


def put_or_delete(iam: Any, role: Role, policy: str, document: dict[str, Any]) -> None:
    """Put a policy, or delete it where it has no statement, which IAM doesn't take."""
    name = {"RoleName": role.name, "PolicyName": policy}
    if document["Statement"]:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    else:
        iam.delete_role_policy(**name)
