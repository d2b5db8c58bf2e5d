"""Who may use a customer managed key: under ``AUTH=true`` only.

S3 and DynamoDB use a key in the name of whoever calls them; the other services ask the key's policy
or a role. What is encrypted is not really so here. Like the server this takes hold of
MiniStack's internals, and the same test watches over it.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import cloudwatch, lambda_svc, s3, sns, sqs

from embedded_aws.aws import platform
from embedded_aws.aws.http import Response
from embedded_aws.aws.permissions import Need
from embedded_aws.ministack import enforcement, resource_types, tasks

KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
# Source: SQS developer guide, "Key management", permissions of producers; AWS re:Post, "How do I
# configure a CloudWatch alarm with an encrypted SNS topic".
SEND_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
# Source: CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS KMS".
LOG_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey")

logger = logging.getLogger("encryption")


def install() -> None:
    """Ask for the permissions that a customer managed key takes."""
    if not enforcement.is_on():
        return
    check_objects()
    check_tables()
    check_failures_of_functions()
    check_undelivered_events()
    check_alarms()
    resource_types.complete("AWS::Logs::LogGroup", check_log_group)


def refusal(
    service: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    key: str,
    actions: Iterable[str],
) -> Response | None:
    """The refusal of a request whose signer may not use a key by way of a service, or None."""
    via = {"kms:ViaService": f"{service}.{get_region()}.amazonaws.com"}
    access_key = extract_access_key_id(headers, query_params)
    for action in actions:
        denied = iam_evaluator.enforce(
            access_key, action, "kms", get_region(), resource_arn=key, service_context=via
        )
        if isinstance(denied, iam_evaluator.EvalResult):
            reason = enforcement.denial(Need(action, key), denied.principal_arn, False)
            return iam_actions.access_denied_response(  # type: ignore[no-any-return]
                service,
                action,
                denied.principal_arn,
                platform.new_id(),
                message=reason,
                headers=headers,
            )
    return None


def policy_allows(key: str, principal: str, action: str, context: dict[str, Any]) -> bool:
    """Whether a key's policy lets a service use it."""
    found = iam_evaluator._resource_policy("kms", key)
    if found is None:
        return False
    evaluated = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account=get_account_id(),
        action=action,
        resource_arn=key,
        region=get_region(),
        secure_transport=True,
        service_context=context,
    )
    result = iam_evaluator.evaluate_resource_policy(found[0], evaluated, principal)
    return bool(result.decision == "Allow")


def may_send(key: str, principal: str, context: dict[str, Any]) -> bool:
    """Whether a service may send to a topic or a queue that is encrypted with a key, if any.

    CloudWatch says whose alarm it is (``aws:SourceAccount``), EventBridge doesn't. Source: SNS
    developer guide, "Managing Amazon SNS encryption keys and costs".
    """
    return not key or all(policy_allows(key, principal, action, context) for action in SEND_ACTIONS)


# --- S3 --------------------------------------------------------------------------------------


def check_objects() -> None:
    """Ask whoever writes or reads an object for its key.

    Source: Amazon S3 user guide, "Using server-side encryption with AWS KMS keys", permissions; and
    "Multipart upload API and permissions".
    """
    handle_s3 = ministack_app.SERVICE_HANDLERS["s3"]

    async def handle_with_keys(
        method: str, path: str, headers: Any, body: bytes, query_params: Any
    ) -> Any:
        bucket, _, name = path.lstrip("/").partition("/")
        if name:
            for key, actions in keys_of_write(method, bucket, headers, query_params):
                refused = refusal("s3", headers, query_params, key, actions)
                if refused:
                    return refused
        response = await handle_s3(method, path, headers, body, query_params)
        used = {k.lower(): v for k, v in response[1].items()}.get(KEY_HEADER)
        if method == "GET" and name and used and response[0] < 300:
            return refusal("s3", headers, query_params, used, ["kms:Decrypt"]) or response
        return response

    ministack_app.SERVICE_HANDLERS["s3"] = handle_with_keys


def keys_of_write(
    method: str, bucket: str, headers: Mapping[str, str], query_params: Mapping[str, Any]
) -> Iterable[tuple[str, list[str]]]:
    """Yield the keys that a request writes with, and reads with if it copies."""
    begins_multipart = method == "POST" and "uploads" in query_params
    subresources = set(query_params) - {"x-id"}
    if not begins_multipart and (method != "PUT" or subresources):
        return
    key = key_of_new_object(bucket, headers)
    if key:
        yield key, ["kms:GenerateDataKey", *(["kms:Decrypt"] if begins_multipart else [])]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
    copied = key_of_new_object(source, {}) if source else None
    if copied:
        yield copied, ["kms:Decrypt"]


def key_of_new_object(bucket: str, headers: Mapping[str, str]) -> str | None:
    """The key that an object is encrypted with: the request's, or the bucket's."""
    if headers.get("x-amz-server-side-encryption") == "AES256":
        return None
    stated = headers.get(KEY_HEADER) or s3._bucket_default_sse_headers(bucket).get(KEY_HEADER)
    return str(stated) if stated else None


# --- DynamoDB --------------------------------------------------------------------------------


def check_tables() -> None:
    """Ask whoever reads or writes a table's items for its key.

    Source: DynamoDB developer guide, "How DynamoDB encryption at rest uses AWS KMS": it uses a key
    on behalf of the user who is accessing the table.
    """
    handle_dynamodb = ministack_app.SERVICE_HANDLERS["dynamodb"]

    async def handle_with_keys(
        method: str, path: str, headers: Any, body: bytes, query_params: Any
    ) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in tasks.ITEM_ACTIONS:
            key = tasks.table_key(iam_actions._safe_json_field(body, "TableName"))
            refused = key and refusal("dynamodb", headers, query_params, key, ["kms:Decrypt"])
            if refused:
                return refused
        return await handle_dynamodb(method, path, headers, body, query_params)

    ministack_app.SERVICE_HANDLERS["dynamodb"] = handle_with_keys


# --- queues, topics and logs -----------------------------------------------------------------


def queue_key(arn: str) -> str:
    """The key of a queue; empty without one."""
    queue = sqs._queue_by_arn(arn) if ":sqs:" in arn else None
    return str(queue["attributes"].get("KmsMasterKeyId", "")) if queue else ""


def check_failures_of_functions() -> None:
    """Let Lambda pass a failure on to a queue only if the function's role may use its key."""
    route_failure = lambda_svc._route_async_failure

    def route_with_key(target_arn: str, func_name: str, event: Any, result: Any) -> None:
        key = queue_key(target_arn)
        role = ((lambda_svc._functions.get(func_name) or {}).get("config") or {}).get("Role", "")
        via = {"kms:ViaService": f"sqs.{get_region()}.amazonaws.com"}
        for action in SEND_ACTIONS if key else ():
            reason = enforcement.role_denial(role, func_name, Need(action, key, via))
            if reason:
                logger.warning("failure of %s is not passed on: %s", func_name, reason)
                return
        route_failure(target_arn, func_name, event, result)

    lambda_svc._route_async_failure = route_with_key


def check_undelivered_events() -> None:
    """Let EventBridge bury an event in a queue only if the queue's key lets it."""
    bury = enforcement.bury

    def bury_with_key(target: Any, event: Any, rule_arn: str) -> None:
        key = queue_key((target.get("DeadLetterConfig") or {}).get("Arn", ""))
        if may_send(key, "events.amazonaws.com", {}):
            bury(target, event, rule_arn)
        else:
            logger.warning("%s may not use %s", rule_arn, key)

    enforcement.bury = bury_with_key


def check_alarms() -> None:
    """Let an alarm publish to a topic only if the topic's key lets CloudWatch."""
    dispatch = cloudwatch._dispatch_alarm_actions

    def dispatch_with_keys(alarm: dict[str, Any], *rest: Any) -> None:
        owner = {"aws:sourceaccount": get_account_id()}

        def reaches(action: str) -> bool:
            topic = sns._topics.get(action) or {}
            key = (topic.get("attributes") or {}).get("KmsMasterKeyId", "")
            allowed = may_send(key, "cloudwatch.amazonaws.com", owner)
            if not allowed:
                logger.warning(
                    "CloudWatch Alarms does not have authorization to access the SNS topic "
                    "encryption key of %s",
                    action,
                )
            return allowed

        reached = {
            name: [action for action in alarm.get(name) or [] if reaches(action)]
            for name in ("AlarmActions", "OKActions", "InsufficientDataActions")
        }
        dispatch({**alarm, **reached}, *rest)

    cloudwatch._dispatch_alarm_actions = dispatch_with_keys


def check_log_group(name: str, properties: Mapping[str, Any]) -> None:
    """Refuse a log group whose key doesn't let CloudWatch Logs use it, in its words."""
    key = properties.get("KmsKeyId")
    if not key:
        return
    region, account = get_region(), get_account_id()
    arn = f"arn:aws:logs:{region}:{account}:log-group:{name}"
    context = {"kms:encryptioncontext:aws:logs:arn": arn}
    principal = f"logs.{region}.amazonaws.com"
    if not all(policy_allows(key, principal, action, context) for action in LOG_ACTIONS):
        raise ValueError(
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'"
        )
