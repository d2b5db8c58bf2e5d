"""AWS Lambda's asynchronous invocations: queued, tried again, and passed on when they fail."""

import contextvars
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge, lambda_svc, sns

from embedded_aws.aws import clock, platform
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import authorization, journal, keys
from embedded_aws.ministack.eventbridge import publish_event
from embedded_aws.ministack.patch import Function, patch

GUIDE = (
    'Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation" '
    'and "Capturing records of Lambda asynchronous invocations"'
)
RETRY_SECONDS = (60, 120)
MAX_AGE_SECONDS = 21_600
THROTTLED_SECONDS, MAX_THROTTLED_SECONDS = 1, 300
WAIT_SCALE = float(os.environ.get("LAMBDA_WAIT_SCALE") or clock.SCALE)
"""How much of these waits passes here."""

MAX_MESSAGE = 1024
"""Of an error's message, what a dead-letter queue is told."""

ACTIONS = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
    "events": "events:PutEvents",
}
KIND = "invocation"

logger = logging.getLogger(__name__)


@patch(
    lambda_svc,
    "invoke_async_with_retry",
    fixes=(
        "a function's retries aren't one and two minutes apart, and its destinations get less",
        "a function's dead-letter queue gets the record of a destination",
    ),
    source=GUIDE,
)
def invoke_async_with_retry(original: Function, func: Mapping[str, Any], event: Any) -> None:
    """Queue an event for a function."""
    config = func.get("config") or func
    accept(str(config["FunctionArn"]), event)


ONCE = "EventBridge and SNS invoke a function once, even if it fails"


@patch(eventbridge, "_dispatch_to_lambda", fixes=ONCE, source=GUIDE)
def dispatch_to_lambda(original: Function, arn: str, payload: Any) -> None:
    """Queue an event that a rule passes on."""
    try:
        event = json.loads(payload)
    except (ValueError, TypeError):
        event = {"body": payload}
    queue_event(arn, event)


def queue_event(arn: str, event: Any) -> None:
    """Queue an event for a function, if there is one."""
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if func and config:
        accept(str(config.get("FunctionArn") or arn), event)
    else:
        logger.warning("there is no function %s", name)


def accept(arn: str, event: Any) -> None:
    """Keep an event until its function has taken it, or it was passed on."""
    identity = platform.new_id()
    journal.note(KIND, identity, {"arn": arn, "event": event})
    begin(identity, arn, event)


def begin(identity: str, arn: str, event: Any) -> None:
    """Deliver an event on a thread of its own."""
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(deliver, identity, arn, event), daemon=True).start()


def deliver_interrupted() -> None:
    """Deliver again what had not ended when the server was stopped or killed."""
    for identity, accepted in journal.accepted_before(KIND):
        begin(identity, accepted["arn"], accepted["event"])


def deliver(identity: str, arn: str, event: Any) -> None:
    """Invoke a function until it succeeds, or is to be tried no more."""
    _, _, _, region, account, *_ = arn.split(":")
    with request_scope(account, region):
        try:
            attempt_all(identity, arn, event)
        except Exception:
            logger.exception("an event for %s", arn)
        finally:
            journal.done(identity)


def attempt_all(identity: str, arn: str, event: Any) -> None:
    """Invoke a function, each time as it is then."""
    attempts = throttled = 0
    age = 0.0
    while True:
        func, config, name = lambda_svc._get_func_record_for_ref(arn)
        if not func or not config:
            logger.warning("%s is gone, and its event with it", arn)
            return
        settings = event_invoke_config(func, arn)
        began = time.monotonic()
        record = lambda_svc._execution_record_for_config(func, config)
        result = lambda_svc._execute_function_with_config_scope(record, event)
        seconds = time.monotonic() - began
        age += seconds
        is_throttled, failed = bool(result.get("throttle")), bool(result.get("error"))
        lambda_svc._emit_lambda_metrics(
            name,
            duration_ms=seconds * 1000,
            error=failed and not is_throttled,
            throttle=is_throttled,
        )
        if log := result.get("log"):
            logger.info("%s, attempt %d:\n%s", name, attempts + 1, log)
        if is_throttled:
            wait = min(THROTTLED_SECONDS * 2**throttled, MAX_THROTTLED_SECONDS)
            throttled += 1
        else:
            attempts += 1
            wait = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
        age += wait
        condition = ""
        if not failed and not is_throttled:
            condition = "Success"
        elif attempts > settings.get("MaximumRetryAttempts", len(RETRY_SECONDS)):
            condition = "RetriesExhausted"
        elif age > settings.get("MaximumEventAgeInSeconds", MAX_AGE_SECONDS):
            condition = "EventAgeExceeded"
        if condition:
            pass_on(identity, config, settings, event, result, attempts, condition)
            return
        time.sleep(wait * WAIT_SCALE)


def event_invoke_config(func: Mapping[str, Any], arn: str) -> Mapping[str, Any]:
    """How the asynchronous invocations of a function, a version or an alias are handled."""
    parts = arn.split(":")
    qualifier = parts[7] if len(parts) > 7 else "$LATEST"
    configs = func.get("event_invoke_configs") or {}
    return configs.get(qualifier) or func.get("event_invoke_config") or {}


def pass_on(
    identity: str,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    event: Any,
    result: Mapping[str, Any],
    attempts: int,
    condition: str,
) -> None:
    """Tell the destination how it ended, and the dead-letter queue what failed."""
    succeeded = condition == "Success"
    destinations = settings.get("DestinationConfig") or {}
    end = "OnSuccess" if succeeded else "OnFailure"
    answer = result.get("body")
    error = {} if succeeded else {"functionError": result.get("function_error") or "Unhandled"}
    arn = str(config["FunctionArn"])
    if destination := (destinations.get(end) or {}).get("Destination"):
        record = {
            "version": "1.0",
            "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "requestContext": {
                "requestId": identity,
                "functionArn": arn if arn.count(":") > 6 else f"{arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": event,
            "responseContext": {
                "statusCode": 200,
                "executedVersion": str(config.get("Version") or "$LATEST"),
                **error,
            },
            "responsePayload": answer,
        }
        send(config, destination, record, {})
    queue = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue and not succeeded:
        message = str((answer or {}).get("errorMessage", ""))[:MAX_MESSAGE]
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": identity},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        }
        if message:
            attributes["ErrorMessage"] = {"DataType": "String", "StringValue": message}
        send(config, queue, event, attributes)


def send(config: Mapping[str, Any], target: str, content: Any, attributes: dict[str, Any]) -> None:
    """Send to a queue, topic, function or event bus, if the function's role may do that."""
    _, _, service, region, account, *rest = target.split(":")
    scope = Scope(account, region)
    if reason := refusal(config, service, target, scope):
        logger.warning("%s passes nothing on: %s", config.get("FunctionName"), reason)
        return
    body = json.dumps(content)
    if service == "sqs":
        queues = platform.client("sqs", scope)
        url = queues.get_queue_url(QueueName=rest[-1])["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    elif service == "sns":
        topics = platform.client("sns", scope)
        topics.publish(TopicArn=target, Message=body, MessageAttributes=attributes)
    elif service == "lambda":
        queue_event(target, content)
    elif service == "events":
        told = "Success" if content["requestContext"]["condition"] == "Success" else "Failure"
        publish_event(
            scope,
            "lambda",
            f"Lambda Function Invocation Result - {told}",
            content["requestContext"]["functionArn"],
            content,
        )


def refusal(config: Mapping[str, Any], service: str, target: str, scope: Scope) -> str | None:
    """Why a function's role may not pass on to a target, which may take a key, too."""
    if not authorization.is_on():
        return None
    wanted = [Need(ACTIONS[service], target)] if service in ACTIONS else []
    if key := keys.queue_key(target):
        via = {"kms:ViaService": f"sqs.{scope.region}.amazonaws.com"}
        wanted += [Need(action, key, via) for action in keys.SEND_ACTIONS]
    role, name = str(config.get("Role", "")), str(config.get("FunctionName", ""))
    return next(
        filter(None, (authorization.role_denial(role, name, need) for need in wanted)), None
    )


@patch(sns, "_deliver_to_lambda", fixes=ONCE, source=GUIDE)
def deliver_to_lambda(
    original: Function, endpoint: str, envelope: str, topic_arn: str, sub_arn: str, *rest: Any
) -> None:
    """Queue a message of a topic that a function is subscribed to."""
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": sub_arn,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    queue_event(endpoint, {"Records": [record]})
