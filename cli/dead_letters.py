"""What the dead-letter queues hold, and handing it to its functions again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3

from cli.errors import Problem
from cli.stack import Stack, stack_resources

QUEUE_ENDING = "DeadLetterQueue"
HIDDEN_SECONDS = 600
"""How long others don't see a message that was received here."""


@dataclass(frozen=True)
class DeadLetter:
    """An event that came to nothing: of which queue, when, why, and the event itself."""

    queue: str
    sent: datetime
    reason: str
    event: dict[str, Any]
    queue_url: str
    receipt_handle: str

    @property
    def about(self) -> str:
        """The object or the execution that the event is about."""
        event = self.event
        while "requestPayload" in event:
            event = event["requestPayload"]
        detail = event.get("detail", {})
        about = detail.get("object", {}).get("key") or detail.get("name") or self.event.get("run")
        return str(about or "an unknown event")

    def as_dict(self) -> dict[str, Any]:
        """Return what is told of it."""
        sent = self.sent.isoformat()
        return {"queue": self.queue, "sent": sent, "about": self.about, "reason": self.reason}

    @property
    def interrupted(self) -> dict[str, str] | None:
        """The state machine's input, if it is what the event was for.

        A rule's own input stands in place of the event where EventBridge has formed it already.
        """
        detail = self.event.get("detail", {})
        if "interrupted" in self.event:
            return {name: self.event[name] for name in ("run", "interrupted")}
        if "stateMachineArn" in detail:
            return {"run": detail["name"], "interrupted": detail["status"]}
        return None


def queues(stack_name: str) -> dict[str, str]:
    """Return the URLs of the stack's dead-letter queues, by what comes to nothing there."""
    return {
        name.removesuffix(QUEUE_ENDING): url
        for name, url in sorted(stack_resources(stack_name).items())
        if name.endswith(QUEUE_ENDING)
    }


def receive(urls: dict[str, str]) -> Iterator[DeadLetter]:
    """Yield what the queues hold; each message is hidden from others for a while."""
    sqs = boto3.client("sqs")
    for queue, url in urls.items():
        while messages := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", []):
            for message in messages:
                yield parse(queue, url, message)


def parse(queue: str, url: str, message: Any) -> DeadLetter:
    """Return what a message holds: an undelivered event itself, or a function's failure with it.

    Source: EventBridge user guide, "Using dead-letter queues to process undelivered events";
    Lambda developer guide, "Capturing records of Lambda asynchronous invocations".
    """
    body = json.loads(message["Body"])
    if "requestPayload" in body:
        answer = body.get("responsePayload") or {}
        said = ": ".join(str(answer[k]) for k in ("errorType", "errorMessage") if k in answer)
        reason = said or body.get("requestContext", {}).get("condition", "")
        event = body["requestPayload"]
    else:
        attributes = message.get("MessageAttributes", {})
        reason = attributes.get("ERROR_CODE", {}).get("StringValue", "not delivered")
        event = body
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return DeadLetter(queue, sent, reason, event, url, message["ReceiptHandle"])


def hand_over(stack: Stack, stack_name: str, letter: DeadLetter) -> None:
    """Give an event to what it was for, then take it out of its queue.

    Raises
    ------
    Problem
        The stack has no function for it.
    """
    if letter.interrupted:
        boto3.client("stepfunctions").start_execution(
            stateMachineArn=stack.state_machine_arn, input=json.dumps(letter.interrupted)
        )
    else:
        function = stack_resources(stack_name).get(f"{letter.queue}Function")
        if function is None:
            raise Problem(
                f"The stack has no function for the events in its {letter.queue} queue. "
                "docs/operations.md says what to do about them."
            )
        boto3.client("lambda").invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps(letter.event).encode(),
        )
    boto3.client("sqs").delete_message(
        QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt_handle
    )


def put_back(letter: DeadLetter) -> None:
    """Let others see a message again at once."""
    boto3.client("sqs").change_message_visibility(
        QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt_handle, VisibilityTimeout=0
    )
