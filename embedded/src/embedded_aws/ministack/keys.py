"""Who may use a customer managed key, where IAM is enforced.

S3 and DynamoDB use a key in the name of whoever calls them; the other services ask the key's policy
or a role. What is encrypted is not really so here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_region
from ministack.services import sqs

from embedded_aws.aws.http import Response
from embedded_aws.aws.permissions import Need
from embedded_aws.ministack import authorization

# Source: SQS developer guide, "Key management", permissions of producers; AWS re:Post, "How do I
# configure a CloudWatch alarm with an encrypted SNS topic".
SEND_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


def refusal(
    service: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    key: str,
    actions: Iterable[str],
) -> Response | None:
    """The refusal of a request whose signer may not use a key by way of a service, or None."""
    via = {"kms:ViaService": f"{service}.{get_region()}.amazonaws.com"}
    wanted = [Need(action, key, via) for action in actions]
    return authorization.refusal(service, headers, query_params, wanted)


def policy_allows(key: str, principal: str, action: str, context: dict[str, Any]) -> bool:
    """Whether a key's policy lets a service use it."""
    found = iam_evaluator._resource_policy("kms", key)
    return found is not None and authorization.policy_allows(
        found[0], principal, Need(action, key, context)
    )


def may_send(key: str, principal: str, context: dict[str, Any]) -> bool:
    """Whether a service may send to a topic or a queue that is encrypted with a key, if any.

    CloudWatch says whose alarm it is (``aws:SourceAccount``), EventBridge doesn't. Source: SNS
    developer guide, "Managing Amazon SNS encryption keys and costs".
    """
    return not key or all(policy_allows(key, principal, action, context) for action in SEND_ACTIONS)


def queue_key(arn: str) -> str:
    """The key of a queue; empty without one."""
    queue = sqs._queue_by_arn(arn) if ":sqs:" in arn else None
    return str(queue["attributes"].get("KmsMasterKeyId", "")) if queue else ""
