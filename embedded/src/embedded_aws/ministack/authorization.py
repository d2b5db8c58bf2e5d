"""Who may do what, where IAM is enforced: under ``AUTH=true`` only.

MiniStack authorizes requests over HTTP against their signer. What is asked here besides: may a role
that a service acts in do something, does a policy let a service in, and, for SageMaker and
Application Auto Scaling, whether a request may be answered.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.core.router import extract_access_key_id
from ministack.services import iam, lambda_svc, sts

from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.http import Response, error_response
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Credentials, Scope
from embedded_aws.sagemaker import roles

SAGEMAKER_PRINCIPAL = "sagemaker.amazonaws.com"
# Source: Service Authorization Reference, Amazon ECR; SageMaker developer guide, "SageMaker AI
# roles", permissions of the execution role for CreateModel and CreateTrainingJob.
PULL_ACTIONS = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def is_on() -> bool:
    """Whether this server enforces IAM."""
    return bool(app.AUTH)


def current_scope() -> Scope:
    """Account and region of the request that is being answered."""
    return Scope(get_account_id(), get_region())


def enforce_roles() -> None:
    """Let SageMaker do what it does in the execution roles that it is given."""
    platform.credentials_of = execution_credentials
    roles.require_assumable = require_assumable
    roles.may_pull_image = may_pull_image
    roles.require_permissions = require_permissions


# --- requests --------------------------------------------------------------------------------


def signer_denial(headers: Mapping[str, str], query_params: Mapping[str, Any], need: Need) -> Any:
    """Why a request's signer may not do something, as MiniStack says that, or None."""
    return iam_evaluator.enforce(
        extract_access_key_id(headers, query_params),
        need.action,
        need.action.partition(":")[0],
        get_region(),
        resource_arn=need.resource,
        service_context=need.context,
    )


def refusal(
    service: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    wanted: Iterable[Need],
) -> Response | None:
    """MiniStack's refusal of a request whose signer lacks one of the permissions, or None."""
    for need in wanted:
        denied = signer_denial(headers, query_params, need)
        if isinstance(denied, iam_evaluator.EvalResult):
            return iam_actions.access_denied_response(  # type: ignore[no-any-return]
                service,
                need.action,
                denied.principal_arn,
                platform.new_id(),
                message=denial(need, denied.principal_arn, False),
                headers=headers,
            )
    return None


def own_refusal(
    service: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    wanted: Iterable[Need],
    runtime: bool,
) -> Response | None:
    """The same for a service that is added here."""
    for need in wanted:
        denied = signer_denial(headers, query_params, need)
        if isinstance(denied, iam_evaluator.AuthError):
            return iam_actions.access_denied_response(  # type: ignore[no-any-return]
                service,
                need.action,
                "",
                platform.new_id(),
                error_code=denied.code,
                message=denied.message,
                headers=headers,
            )
        if denied:
            reason = denial(need, denied.principal_arn, denied.decision == "Deny")
            error = ServiceError("AccessDeniedException", reason, 403 if runtime else 400)
            return error_response(error, runtime)
    return None


def denial(need: Need, principal: str, explicit: bool) -> str:
    """A denial in IAM's words."""
    return str(iam_actions.identity_denial_message(need.action, principal, need.resource, explicit))


# --- execution roles -------------------------------------------------------------------------


def context_of(kind: str, principal: str, account: str, need: Need) -> Any:
    """What MiniStack evaluates policies on; services call each other over TLS."""
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type=kind,
        principal_account=account,
        action=need.action,
        resource_arn=need.resource,
        region=get_region(),
        secure_transport=True,
        service_context={key.lower(): value for key, value in need.context.items()},
    )


def role_denial(role: str, session: str, need: Need) -> str | None:
    """Why a role may not do something, in IAM's words, or None if it may."""
    account, name = role_parts(role)
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    context = context_of("AssumedRole", principal, account, need)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    policies = iam_evaluator._gather_role_policies(name, account)
    result = iam_evaluator.evaluate(context, policies, *limits)
    service = need.action.partition(":")[0]
    found = iam_evaluator._resource_policy(service, need.resource)
    if found is not None:
        # A key's policy must allow what even its own account's roles do.
        result = iam_evaluator.combine_resource_policy(
            result, context, *found, required=service == "kms", limits=limits
        )
    if result.decision == "Allow":
        return None
    return denial(need, principal, result.decision == "Deny")


def role_parts(role: str) -> tuple[str, str]:
    """The account and the name of a role by its ARN."""
    parts = role.split(":")
    return (parts[4] if len(parts) > 4 else "", role.rpartition("/")[2])


def execution_credentials(scope: Scope) -> Credentials:
    """Sign as the scope's role, in a session that lasts as long as the server.

    MiniStack gives functions theirs in the same way. Without a role SageMaker acts for itself.
    """
    if scope.role is None:
        return platform.account_credentials(scope)
    account, name = role_parts(scope.role)
    digest = hashlib.sha256(f"sagemaker:{scope.role}".encode()).hexdigest()
    credentials = Credentials(f"ASIA{digest[:16].upper()}", digest, digest[::-1])
    if credentials.access_key not in sts._sessions:
        sts.register_session(
            credentials.access_key,
            {
                "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/SageMaker",
                "UserId": f"{name}:SageMaker",
                "SecretAccessKey": credentials.secret_key,
                "SessionToken": credentials.token,
                "AccountId": account,
                "PrincipalType": "AssumedRole",
            },
        )
    return credentials


def require_assumable(scope: Scope, role: str) -> None:
    """Refuse a role that isn't there, or doesn't trust SageMaker for this account.

    Source: the message as clients quote it, e.g. in aws/sagemaker-python-sdk issue 300.
    """
    source = scope.arn("sagemaker", "*")
    if not trusts(scope, role, SAGEMAKER_PRINCIPAL, source):
        raise validation_error(
            f"Could not assume role {role}. Please ensure that the role exists and allows "
            f"principal '{SAGEMAKER_PRINCIPAL}' to assume the role."
        )


def trusts(scope: Scope, role: str, service: str, source_arn: str) -> bool:
    """Whether there is such a role, and a service may assume it for a source in the account."""
    account, name = role_parts(role)
    found = iam._roles.get_scoped(account, None, name)
    trust = (found or {}).get("AssumeRolePolicyDocument", "{}")
    document = json.loads(trust) if isinstance(trust, str) else trust
    statements = document.get("Statement", [])
    trusting = [
        # A trust policy names no resource: it is that of the role.
        {**statement, "Resource": "*"}
        for statement in (statements if isinstance(statements, list) else [statements])
        if iam_evaluator._service_principal_matches(statement.get("Principal", {}), service)
    ]
    source = {"aws:SourceAccount": scope.account, "aws:SourceArn": source_arn}
    need = Need("sts:AssumeRole", role, source)
    context = context_of("Service", f"arn:aws:iam::{account}:root", scope.account, need)
    policy = iam_evaluator.parse_policy_document({"Statement": trusting})
    return bool(iam_evaluator.evaluate(context, [policy]).decision == "Allow")


def require_permissions(scope: Scope, role: str, wanted: Iterable[Need]) -> None:
    """Refuse a role that lacks what a job's or a model's network and volume take.

    The message is this project's: AWS documents the permissions, but not how their lack is said.
    """
    with request_scope(scope.account, scope.region):
        for need in wanted:
            reason = role_denial(role, "SageMaker", need)
            if reason:
                raise validation_error(reason)


def may_pull_image(scope: Scope, image: str) -> bool:
    """Whether the scope's role may pull an image, ``<account>.dkr.ecr.<region>.…/name:tag``."""
    if scope.role is None:
        return True
    host, _, rest = image.partition("/")
    account, _, _, region = host.split(".")[:4]
    name = rest.partition(":")[0].partition("@")[0]
    repository = Scope(account, region).arn("ecr", f"repository/{name}")
    wanted = [Need(action, repository) for action in PULL_ACTIONS]
    wanted.append(Need("ecr:GetAuthorizationToken", "*"))
    with request_scope(scope.account, scope.region):
        return all(role_denial(scope.role, "SageMaker", need) is None for need in wanted)


# --- policies --------------------------------------------------------------------------------


def policy_allows(policy: Any, service: str, need: Need, account: str | None = None) -> bool:
    """Whether a resource's policy lets a service do something, in the account of the resource."""
    context = context_of("Service", service, account or get_account_id(), need)
    result = iam_evaluator.evaluate_resource_policy(policy, context, service)
    return bool(result.decision == "Allow")


def function_allows(function_arn: str, service: str, source_arn: str) -> bool:
    """Whether a function's policy lets a service invoke it for a source."""
    found = lambda_svc.function_policy_for_arn(function_arn)
    if found is None:
        # There is no such function, which its caller finds out by itself.
        return True
    policy, account = found
    source = {"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()}
    need = Need("lambda:InvokeFunction", function_arn, source)
    return policy_allows(policy, service, need, account)
