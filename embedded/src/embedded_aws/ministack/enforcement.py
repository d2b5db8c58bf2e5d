"""Roles are enforced where MiniStack doesn't: under ``AUTH=true`` only.

MiniStack authorizes requests over HTTP against their signer. What is added here: requests to
SageMaker and Application Auto Scaling; the execution role of a state machine in each task; that
of SageMaker in what its jobs and endpoints do; what EventBridge and API Gateway need to call
others; what Lambda does for a function in the function's role. Like the server this takes
hold of MiniStack's internals, and the same test watches over it.
"""

import contextvars
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from email.utils import parseaddr
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.core.router import extract_access_key_id
from ministack.services import (
    apigateway_v1,
    eventbridge,
    iam,
    lambda_svc,
    ses,
    ses_v2,
    stepfunctions,
    sts,
)
from ministack.services.cloudformation import provisioners

from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.http import Response, error_response
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Credentials, Scope
from embedded_aws.ministack import tasks
from embedded_aws.sagemaker import roles

SAGEMAKER_PRINCIPAL = "sagemaker.amazonaws.com"
EVENTS_PRINCIPAL = "events.amazonaws.com"
# Source: Service Authorization Reference, Amazon ECR; SageMaker developer guide, "SageMaker AI
# roles", permissions of the execution role for CreateModel and CreateTrainingJob.
PULL_ACTIONS = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
# Source: Step Functions developer guide, "Logging using CloudWatch Logs", IAM policies.
LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
# Source: Step Functions developer guide, "IAM policies for SageMaker".
MANAGED_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")

logger = logging.getLogger("enforcement")


def is_on() -> bool:
    """Whether this server enforces IAM."""
    return bool(ministack_app.AUTH)


def install(running_execution: contextvars.ContextVar[Mapping[str, Any] | None]) -> None:
    """Close the gaps; ``running_execution`` tells whose task is being run."""
    if not is_on():
        return
    platform.credentials_of = execution_credentials
    roles.require_assumable = require_assumable
    roles.may_pull_image = may_pull_image
    roles.require_permissions = require_permissions
    complete_conditions()
    name_sending_identity()
    hide_missing_objects()
    count_loopback_as_secure()
    authorize_tasks(running_execution)
    check_state_machine_roles()
    check_callers()
    check_function_roles()


# --- requests --------------------------------------------------------------------------------


def refusal(
    service: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    wanted: Iterable[Need],
    runtime: bool = False,
) -> Response | None:
    """The refusal of a request whose signer lacks one of the permissions, or None."""
    if not is_on():
        return None
    access_key = extract_access_key_id(headers, query_params)
    for need in wanted:
        denied = iam_evaluator.enforce(
            access_key,
            need.action,
            need.action.partition(":")[0],
            get_region(),
            resource_arn=need.resource,
            service_context=need.context,
        )
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
            error = ServiceError(
                "AccessDeniedException",
                denial(need, denied.principal_arn, denied.decision == "Deny"),
                403 if runtime else 400,
            )
            return error_response(error, runtime)
    return None


def denial(need: Need, principal: str, explicit: bool) -> str:
    """A denial in IAM's words."""
    return str(iam_actions.identity_denial_message(need.action, principal, need.resource, explicit))


def complete_conditions() -> None:
    """Add the condition key ``cloudwatch:namespace``, which MiniStack doesn't have."""
    tag_context = iam_actions.request_tag_context

    def tag_context_and_namespace(service: str, action: str, body: bytes, params: Any) -> Any:
        context = tag_context(service, action, body, params)
        if action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = iam_actions._param(body, params, "Namespace")
        return context

    iam_actions.request_tag_context = tag_context_and_namespace


def name_sending_identity() -> None:
    """Authorize SES's SendEmail on the identity that sends, which MiniStack leaves open.

    That is the address, or the domain where only that is verified. Source: Service Authorization
    Reference, "Amazon SES", SendEmail.
    """
    extract_resource_arn = iam_actions.extract_resource_arn

    def extract_identity(service: str, method: str, path: str, *rest: Any) -> Any:
        if service != "ses" or not path.rstrip("/").endswith("/v2/email/outbound-emails"):
            return extract_resource_arn(service, method, path, *rest)
        _, body, _, region, account = rest
        sender = parseaddr(iam_actions._safe_json_field(body, "FromEmailAddress"))[1]
        verified = sender in ses_v2._identities or sender in ses._identities
        identity = sender if verified else sender.rpartition("@")[2]
        return f"arn:aws:ses:{region}:{account}:identity/{identity}"

    iam_actions.extract_resource_arn = extract_identity


def hide_missing_objects() -> None:
    """Tell that an object is missing only to who may list its bucket; others are denied.

    Source: Amazon S3 API reference, "GetObject" and "HeadObject", permissions.
    """
    handle_s3 = ministack_app.SERVICE_HANDLERS["s3"]

    async def handle_s3_discreetly(
        method: str, path: str, headers: Any, body: bytes, query_params: Any
    ) -> Any:
        response = await handle_s3(method, path, headers, body, query_params)
        bucket, _, key = path.lstrip("/").partition("/")
        if response[0] != 404 or not key or method not in ("GET", "HEAD"):
            return response
        denied = iam_evaluator.enforce(
            extract_access_key_id(headers, query_params),
            "s3:ListBucket",
            "s3",
            get_region(),
            resource_arn=f"arn:aws:s3:::{bucket}",
        )
        if not isinstance(denied, iam_evaluator.EvalResult):
            return response
        status, answer_headers, answer = iam_actions.access_denied_response(
            "s3", "s3:ListBucket", denied.principal_arn, platform.new_id(), headers=headers
        )
        return status, answer_headers, b"" if method == "HEAD" else answer

    ministack_app.SERVICE_HANDLERS["s3"] = handle_s3_discreetly


plain_http: contextvars.ContextVar[bool] = contextvars.ContextVar("plain_http", default=False)


def count_loopback_as_secure() -> None:
    """Let ``aws:SecureTransport`` be true on loopback, unless the client says otherwise.

    Nothing leaves this machine, so bucket policies that ask for TLS have what they are for. A
    request with ``X-Forwarded-Proto: http`` counts as plain HTTP.
    """
    pin_request_origin = ministack_app.pin_request_origin

    def pin_loopback(source_ip: str, secure_transport: bool) -> None:
        pin_request_origin(source_ip, secure_transport or not plain_http.get())

    ministack_app.pin_request_origin = pin_loopback


def heeding_protocol(application: Any) -> Any:
    """The ASGI application, noting which requests say that they came by plain HTTP."""

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or [])
        plain_http.set(headers.get(b"x-forwarded-proto") == b"http")
        await application(scope, receive, send)

    return noting


# --- execution roles -------------------------------------------------------------------------


def role_denial(role: str, session: str, need: Need) -> str | None:
    """Why a role may not do something, in IAM's words, or None if it may."""
    account, name = role_parts(role)
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=need.action,
        resource_arn=need.resource,
        region=get_region(),
        # Services call each other over TLS.
        secure_transport=True,
        service_context={key.lower(): value for key, value in need.context.items()},
    )
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
    source = f"arn:{scope.partition}:sagemaker:{scope.region}:{scope.account}:*"
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
        {**statement, "Resource": "*"}
        for statement in (statements if isinstance(statements, list) else [statements])
        if iam_evaluator._service_principal_matches(statement.get("Principal", {}), service)
    ]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="Service",
        principal_account=scope.account,
        action="sts:AssumeRole",
        resource_arn=role,
        region=scope.region,
        service_context={"aws:sourceaccount": scope.account, "aws:sourcearn": source_arn},
    )
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
    repository = f"arn:{scope.partition}:ecr:{region}:{account}:repository/{name}"
    wanted = [Need(action, repository) for action in PULL_ACTIONS]
    wanted.append(Need("ecr:GetAuthorizationToken", "*"))
    with request_scope(scope.account, scope.region):
        return all(role_denial(scope.role, "SageMaker", need) is None for need in wanted)


# --- Step Functions --------------------------------------------------------------------------


def authorize_tasks(
    running_execution: contextvars.ContextVar[Mapping[str, Any] | None],
) -> None:
    """Check each task against the role of the state machine that it belongs to."""
    invoke_resource = stepfunctions._invoke_resource
    invoke_with_callback = stepfunctions._invoke_with_callback

    def require(resource: str, arguments: Any) -> None:
        scope = Scope(get_account_id(), get_region())
        wanted = tasks.needs_of_task(scope, resource, arguments)
        authorize_task(running_execution.get(), resource, wanted)

    def invoke_authorized(resource: str, input_data: Any) -> Any:
        require(resource, input_data)
        return invoke_resource(resource, input_data)

    def invoke_authorized_with_callback(
        resource: str, input_data: Any, token: str, state_def: Any
    ) -> Any:
        require(resource.replace(".waitForTaskToken", ""), input_data)
        return invoke_with_callback(resource, input_data, token, state_def)

    stepfunctions._invoke_resource = invoke_authorized
    stepfunctions._invoke_with_callback = invoke_authorized_with_callback


def authorize_task(
    execution: Mapping[str, Any] | None, resource: str, wanted: Iterable[Need]
) -> None:
    """Fail a task whose state machine's role lacks one of the permissions."""
    if execution is None or not is_on():
        return
    role, session = role_of(execution), execution.get("name", "execution")
    for need in wanted:
        reason = role_denial(role, session, need)
        if reason:
            error = tasks.denied_error(resource)
            cause = tasks.denied_cause(resource, reason, platform.new_id())
            raise stepfunctions._ExecutionError(error, cause)


def role_of(execution: Mapping[str, Any]) -> str:
    """The role that an execution runs in: its state machine's.

    Its ARN may be that of a version, an alias, or a Distributed Map of the state machine.
    """
    arn = str(execution.get("stateMachineArn", ""))
    base = ":".join(arn.split(":")[:7]).partition("/")[0]
    return str((stepfunctions._state_machines.get(base) or {}).get("roleArn", ""))


def check_state_machine_roles() -> None:
    """Refuse a state machine whose role lacks what creating it takes, in AWS's words.

    That is the rule by which ``.sync`` learns of a job's end, and the delivery of logs.
    """
    create, update = stepfunctions._create_state_machine, stepfunctions._update_state_machine

    def create_checked(data: dict[str, Any]) -> Any:
        refused = state_machine_problem(data)
        return access_denied(refused) if refused else create(data)

    def update_checked(data: dict[str, Any]) -> Any:
        present = stepfunctions._state_machines.get(data.get("stateMachineArn", "")) or {}
        refused = state_machine_problem({**present, **data})
        return access_denied(refused) if refused else update(data)

    stepfunctions._create_state_machine = create_checked
    stepfunctions._update_state_machine = update_checked

    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]
    create_resource = handlers["create"]

    def create_resource_checked(logical_id: str, props: Any, stack_name: str) -> Any:
        arn, attributes = create_resource(logical_id, props, stack_name)
        refused = state_machine_problem(stepfunctions._state_machines.get(arn) or {})
        if refused:
            stepfunctions._state_machines.pop(arn, None)
            raise ValueError(
                f'Resource handler returned message: "{refused} (Service: AWSStepFunctions; '
                'Status Code: 400; Error Code: AccessDeniedException)"'
            )
        return arn, attributes

    handlers["create"] = create_resource_checked


def access_denied(message: str) -> Any:
    """A refusal as Step Functions answers it."""
    body = json.dumps({"__type": "AccessDeniedException", "message": message})
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, body.encode()


def state_machine_problem(machine: Mapping[str, Any]) -> str | None:
    """What a state machine's role lacks for it to be created, or None.

    Source: both messages as clients quote them, the first in aws/aws-cdk and terraform issues.
    """
    role = str(machine.get("roleArn", ""))
    definition = machine.get("definition") or "{}"
    text = definition if isinstance(definition, str) else json.dumps(definition)
    for rule in tasks.managed_rules(text):
        place = f"{get_region()}:{get_account_id()}"
        arn = f"arn:aws:events:{place}:rule/{rule}"
        wanted = [Need(action, arn) for action in MANAGED_RULE_ACTIONS]
        if any(role_denial(role, "StepFunctions", need) for need in wanted):
            return f"'{role}' is not authorized to create managed-rule."
    logging_configuration = machine.get("loggingConfiguration") or {}
    level = logging_configuration.get("level", logging_configuration.get("Level", "OFF"))
    if level != "OFF":
        wanted = [Need(action, "*") for action in LOG_DELIVERY_ACTIONS]
        if any(role_denial(role, "StepFunctions", need) for need in wanted):
            return "The state machine IAM Role is not authorized to access the Log Destination"
    return None


# --- Lambda ----------------------------------------------------------------------------------


def function_allows(function_arn: str, service: str, source_arn: str) -> bool:
    """Whether a function's policy lets a service invoke it for a source."""
    found = lambda_svc.function_policy_for_arn(function_arn)
    if found is None:
        # There is no such function, which its caller finds out by itself.
        return True
    policy, account = found
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=get_region(),
        secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()},
    )
    result = iam_evaluator.evaluate_resource_policy(policy, context, service)
    return bool(result.decision == "Allow")


def check_callers() -> None:
    """Let EventBridge and API Gateway call only what they may.

    Functions say by their policies who may invoke them; a state machine is started in the role of
    the target. What EventBridge may not deliver goes to the target's dead-letter queue, if that
    lets it; API Gateway answers with an internal server error. Source: EventBridge user guide,
    "Using dead-letter queues" and "Permissions for targets"; AWS re:Post, "Invalid permissions on
    Lambda function".
    """
    invoke_target = eventbridge._invoke_target
    call_lambda = apigateway_v1._call_lambda_raw

    def invoke_permitted_target(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        arn = target.get("Arn", "")
        source = str(rule.get("Arn", ""))
        if ":lambda:" in arn:
            permitted = function_allows(arn, EVENTS_PRINCIPAL, source)
        elif ":states:" in arn:
            permitted = role_starts(str(target.get("RoleArn", "")), arn, source)
        else:
            permitted = True
        if permitted:
            invoke_target(target, event, rule, view)
        else:
            logger.warning("%s may not be invoked by %s", arn, source)
            bury(target, event, source)

    async def call_permitted_lambda(
        function_ref: str, event: Any, *, account_id: Any = None, region: Any = None
    ) -> Any:
        request = event.get("requestContext") or {}
        api, stage = request.get("apiId", ""), request.get("stage", "")
        method, path = request.get("httpMethod", ""), request.get("resourcePath", "")
        place = f"{region or get_region()}:{account_id or get_account_id()}"
        source = f"arn:aws:execute-api:{place}:{api}/{stage}/{method}{path}"
        if not function_allows(function_ref, "apigateway.amazonaws.com", source):
            logger.warning("%s may not be invoked by %s", function_ref, source)
            return None, "Invalid permissions on Lambda function"
        return await call_lambda(function_ref, event, account_id=account_id, region=region)

    eventbridge._invoke_target = invoke_permitted_target
    apigateway_v1._call_lambda_raw = call_permitted_lambda


def role_starts(role: str, state_machine: str, rule_arn: str) -> bool:
    """Whether a rule's role lets it start a state machine."""
    scope = Scope(get_account_id(), get_region())
    need = Need("states:StartExecution", state_machine)
    return (
        trusts(scope, role, EVENTS_PRINCIPAL, rule_arn) and role_denial(role, "rule", need) is None
    )


def bury(target: Any, event: Any, rule_arn: str) -> None:
    """Put an event that can't be delivered into the target's dead-letter queue."""
    queue = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    found = iam_evaluator._resource_policy("sqs", queue) if queue else None
    if found is None:
        return
    context = iam_evaluator.EvalContext(
        principal_arn=EVENTS_PRINCIPAL,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sqs:SendMessage",
        resource_arn=queue,
        region=get_region(),
        secure_transport=True,
        service_context={"aws:sourcearn": rule_arn, "aws:sourceaccount": get_account_id()},
    )
    policy = found[0]
    result = iam_evaluator.evaluate_resource_policy(policy, context, EVENTS_PRINCIPAL)
    if result.decision == "Allow":
        # Its target is the queue now: MiniStack forms the event and delivers it.
        undeliverable({"Arn": queue}, event, {"Arn": rule_arn})


undeliverable: Callable[[Any, Any, Any], None] = eventbridge._invoke_target


def check_function_roles() -> None:
    """Let Lambda log, and pass on what failed, only as far as the function's role allows."""
    emit_logs, route_failure = lambda_svc._emit_lambda_logs, lambda_svc._route_async_failure

    def emit_permitted_logs(func: Any, *args: Any, **kwargs: Any) -> None:
        config = func.get("config") or func
        name = config.get("FunctionName", "")
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        place = f"{get_region()}:{get_account_id()}"
        stream = f"arn:aws:logs:{place}:log-group:{group}:log-stream:x"
        wanted = [Need(action, stream) for action in ("logs:CreateLogStream", "logs:PutLogEvents")]
        role = config.get("Role", "")
        if all(role_denial(role, name, need) is None for need in wanted):
            emit_logs(func, *args, **kwargs)

    def route_permitted_failure(target_arn: str, func_name: str, event: Any, result: Any) -> None:
        config = (lambda_svc._functions.get(func_name) or {}).get("config") or {}
        service = target_arn.split(":")[2] if target_arn.count(":") > 2 else ""
        action = {
            "sqs": "sqs:SendMessage",
            "sns": "sns:Publish",
            "lambda": "lambda:InvokeFunction",
        }.get(service)
        need = Need(action or "", target_arn)
        reason = role_denial(config.get("Role", ""), func_name, need) if action else None
        if reason:
            logger.warning("failure of %s is not passed on: %s", func_name, reason)
            return
        route_failure(target_arn, func_name, event, result)

    lambda_svc._emit_lambda_logs = emit_permitted_logs
    lambda_svc._route_async_failure = route_permitted_failure
