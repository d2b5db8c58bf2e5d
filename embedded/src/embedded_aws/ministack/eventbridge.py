"""Amazon EventBridge: events of AWS's own, and targets that may be called only as permitted."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, request_scope
from ministack.services import eventbridge, sns

from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import authorization, keys
from embedded_aws.ministack.patch import Function, patch

PRINCIPAL = "events.amazonaws.com"
ROLE_ACTIONS = {
    ":states:": "states:StartExecution",
    ":api-destination/": "events:InvokeApiDestination",
}
"""What targets that are called in a role take, by a part of their ARNs."""
SCHEDULER = "scheduler.amazonaws.com"
SCHEDULED_ACTIONS = ROLE_ACTIONS | {
    ":lambda:": "lambda:InvokeFunction",
    ":sns:": "sns:Publish",
    ":sqs:": "sqs:SendMessage",
}
"""The same of EventBridge Scheduler, which calls all of its targets in a role."""

logger = logging.getLogger(__name__)


def publish_event(scope: Scope, source: str, detail_type: str, arn: str, detail: Any) -> None:
    """Publish an event of AWS's own to the scope's default bus."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": [arn],
    }
    with request_scope(scope.account, scope.region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


@patch(
    eventbridge,
    "_invoke_target",
    fixes=(
        "EventBridge invokes functions and starts state machines that it may not",
        "EventBridge calls API destinations and publishes to topics that it may not",
        "EventBridge Scheduler calls targets that it may not",
    ),
    source='EventBridge user guide, "Using dead-letter queues", "Permissions for targets" and '
    '"Using resource-based policies for Amazon EventBridge"; EventBridge Scheduler user guide, '
    '"Setting up"',
    auth=True,
)
def invoke_target(original: Function, target: Any, event: Any, rule: Any, view: Any = None) -> None:
    """Call what may be called; the rest goes to the target's dead-letter queue, if that lets it.

    Functions and topics say by their policies who may invoke them; a state machine is started, and
    an API destination called, in the role of the target. Schedules call all of them in a role.
    """
    arn = target.get("Arn", "")
    source = str(rule.get("Arn", ""))
    if ":scheduler:" in source:
        permitted = may_call(target, SCHEDULED_ACTIONS, SCHEDULER, source)
    elif ":lambda:" in arn:
        permitted = authorization.function_allows(arn, PRINCIPAL, source)
    elif ":sns:" in arn:
        permitted = may_publish(arn, source)
    else:
        permitted = may_call(target, ROLE_ACTIONS, PRINCIPAL, source)
    if permitted:
        original(target, event, rule, view)
        return
    logger.warning("%s may not be invoked by %s", arn, source)
    queue = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    if queue and may_bury(queue, source):
        # Its target is the queue now: MiniStack forms the event and delivers it.
        original({"Arn": queue}, event, {"Arn": source})


def may_call(target: Any, actions: Mapping[str, str], principal: str, source: str) -> bool:
    """Whether a target's role lets a service call it; what takes no role may be called."""
    arn = target.get("Arn", "")
    action = next((name for part, name in actions.items() if part in arn), None)
    if action is None:
        return True
    role = str(target.get("RoleArn", ""))
    return (
        authorization.trusts(authorization.current_scope(), role, principal, source)
        and authorization.role_denial(role, "rule", Need(action, arn)) is None
    )


def may_publish(topic: str, rule_arn: str) -> bool:
    """Whether a topic, and its key, let EventBridge publish there."""
    found = iam_evaluator._resource_policy("sns", topic)
    attributes = (sns._topics.get(topic) or {}).get("attributes") or {}
    context = {"aws:sourcearn": rule_arn, "aws:sourceaccount": get_account_id()}
    need = Need("sns:Publish", topic, context)
    return (
        found is not None
        and authorization.policy_allows(found[0], PRINCIPAL, need)
        and keys.may_send(attributes.get("KmsMasterKeyId", ""), PRINCIPAL, {})
    )


def may_bury(queue: str, rule_arn: str) -> bool:
    """Whether a queue, and its key, let EventBridge put an event there that can't be delivered."""
    if not keys.may_send(keys.queue_key(queue), PRINCIPAL, {}):
        logger.warning("%s may not use the key of %s", rule_arn, queue)
        return False
    found = iam_evaluator._resource_policy("sqs", queue)
    context = {"aws:sourcearn": rule_arn, "aws:sourceaccount": get_account_id()}
    need = Need("sqs:SendMessage", queue, context)
    return found is not None and authorization.policy_allows(found[0], PRINCIPAL, need)
