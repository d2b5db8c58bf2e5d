"""What happens to an endpoint in the background: deployed, updated, rescaled, removed.

An update starts a new fleet beside the old one, shifts traffic to it as the deployment
configuration says, watches the alarms that it names, and goes back when one of them goes off.
Source: developer guide, "Deployment guardrails"; API reference, "DescribeEndpoint".
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from botocore.exceptions import ClientError

from embedded_aws.aws import platform
from embedded_aws.aws.clock import scaled
from embedded_aws.aws.platform import LogStream, Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import events, roles, store
from embedded_aws.sagemaker.hosting import serverless, serving
from embedded_aws.sagemaker.hosting.serving import UnhealthyContainer
from embedded_aws.sagemaker.hosting.variants import summary

# Events spell the statuses in their own way. Source: developer guide, "Events that Amazon
# SageMaker AI sends to Amazon EventBridge", endpoint state change.
EVENT_STATUS = {
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "RollingBack": "ROLLING_BACK",
    "InService": "IN_SERVICE",
    "Deleting": "DELETING",
    "Failed": "FAILED",
    "UpdateRollbackFailed": "UPDATE_ROLLBACK_FAILED",
}
ALL_AT_ONCE = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": 1800,
    }
}
ALARM_POLL_SECONDS = 30.0

logger = logging.getLogger("sagemaker")


listeners: list[Callable[[Scope, Document], None]] = []
"""Called with an endpoint whenever it has come to another status, and when it is gone."""


class RolledBack(Exception):
    """An update can't go on; the message is the endpoint's failure reason."""


def in_background(work: Callable[..., None], *arguments: object) -> None:
    """Run what a client doesn't wait for."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


def create(scope: Scope, endpoint: Document, config: Document, fleet: list[Document]) -> None:
    """Load the variants' models, then let them answer; or fail with the reason."""
    try:
        start_fleet(scope, endpoint, fleet)
    except Exception as error:
        # An endpoint left Creating could neither be used nor deleted.
        with lock:
            endpoint["FailureReason"] = failure_reason(error)
        enter(scope, endpoint, "Failed")
    else:
        take_over(scope, endpoint, config, fleet)
        enter(scope, endpoint, "InService")


def update(
    scope: Scope, endpoint: Document, config: Document, fleet: list[Document], deployment: Document
) -> None:
    """Replace the fleet of an endpoint that goes on answering, or go back to what it was."""
    with lock:
        endpoint["Arriving"], endpoint["ArrivingShare"] = fleet, 0.0
        endpoint["PendingDeploymentSummary"] = {
            "EndpointConfigName": config["EndpointConfigName"],
            "StartTime": time.time(),
        }
    try:
        stage(scope, endpoint, "Creating", f"Launching {instances(fleet)} instance(s).")
        start_fleet(scope, endpoint, fleet)
        shift_traffic(scope, endpoint, deployment)
    except Exception as error:
        roll_back(scope, endpoint, failure_reason(error))
    else:
        take_over(scope, endpoint, config, fleet)
        with lock:
            endpoint["LastDeploymentConfig"] = deployment
        end_deployment(endpoint)
        enter(scope, endpoint, "InService")


def start_fleet(scope: Scope, endpoint: Document, fleet: list[Document]) -> None:
    """Pull the image and load the model of each variant."""
    for variant in fleet:
        as_role = scope.acting_as(variant["RoleArn"])
        if not roles.may_pull_image(as_role, variant["Image"]):
            raise RolledBack(
                f"The role '{variant['RoleArn']}' does not have BatchGetImage permission for the "
                f"image: '{variant['Image']}'."
            )
        try:
            serving.load(scope, endpoint["EndpointName"], variant)
        except UnhealthyContainer as error:
            variant_log(scope, endpoint, variant).write([f"[ERROR] {error}"])
            raise RolledBack(
                f"The primary container for production variant {variant['VariantName']} did not "
                "pass the ping health check. Please check CloudWatch logs for this endpoint."
            ) from error
        except platform.DataError as error:
            raise RolledBack(
                'Failed to download model data for container "container_1" from URL: '
                f'"{variant["ModelData"]["S3Uri"]}". Please ensure that there is an object '
                "located at the URL and that the role passed to CreateModel has permissions to "
                "download the object."
            ) from error
        variant_log(scope, endpoint, variant).write(["Model loaded, ready to serve"])


def failure_reason(error: Exception) -> str:
    """What an endpoint tells of an error."""
    if isinstance(error, RolledBack):
        return str(error)
    return f"InternalServerError: {type(error).__name__}: {error}"


def take_over(scope: Scope, endpoint: Document, config: Document, fleet: list[Document]) -> None:
    """Make a fleet the one that answers, and free what the former one had loaded."""
    capture = config.get("DataCaptureConfig")
    with lock:
        endpoint.pop("FailureReason", None)
        endpoint["EndpointConfigName"] = config["EndpointConfigName"]
        endpoint["AsyncInferenceConfig"] = config.get("AsyncInferenceConfig")
        endpoint["Capture"] = capture
        endpoint["DataCaptureConfig"] = capture and {
            "EnableCapture": capture.get("EnableCapture", True),
            "CaptureStatus": "Started" if capture.get("EnableCapture", True) else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
        endpoint["Hosted"] = fleet
        endpoint["ProductionVariants"] = [summary(variant) for variant in fleet]
    serving.forget(scope, endpoint["EndpointName"], keep=fleet)


def shift_traffic(scope: Scope, endpoint: Document, deployment: Document) -> None:
    """Give the arriving fleet its traffic in the steps of the configuration, watching alarms."""
    fleet: list[Document] = endpoint["Arriving"]
    alarms = [
        alarm["AlarmName"]
        for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    ]
    deadline = time.monotonic() + scaled(time_limit(deployment))
    for share, seconds in traffic_steps(deployment, instances(fleet)):
        capacity = "full" if share == 1 else "canary"
        count = max(1, round(share * instances(fleet)))
        stage(
            scope,
            endpoint,
            "ActivatingTraffic",
            f"Activating traffic on {capacity} capacity of {count} instance(s).",
        )
        with lock:
            endpoint["ArrivingShare"] = share
        if seconds:
            what = "TerminationWaitInSeconds" if share == 1 else "WaitIntervalInSeconds"
            message = (
                f"Baking for {seconds} seconds ({what}) with traffic enabled on {capacity} "
                f"capacity of {count} instance(s)."
            )
            stage(scope, endpoint, "Baking", message)
        bake(scope, seconds, alarms, deadline)


def time_limit(deployment: Document) -> float:
    """How long a deployment may take, in documented seconds; without a limit, for ever."""
    policy = deployment.get("RollingUpdatePolicy") or deployment["BlueGreenUpdatePolicy"]
    return float(policy.get("MaximumExecutionTimeoutInSeconds", "inf"))


def traffic_steps(deployment: Document, total: int) -> Iterator[tuple[float, int]]:
    """Yield the shares of traffic that a new fleet of ``total`` instances gets.

    Each comes with the documented seconds until the next.
    """
    rolling = deployment.get("RollingUpdatePolicy")
    if rolling:
        wait, termination, step = rolling["WaitIntervalInSeconds"], 0, rolling["MaximumBatchSize"]
    else:
        policy = deployment["BlueGreenUpdatePolicy"]
        routing = policy["TrafficRoutingConfiguration"]
        wait = routing["WaitIntervalInSeconds"]
        termination = policy.get("TerminationWaitInSeconds", 0)
        step = {"CANARY": routing.get("CanarySize"), "LINEAR": routing.get("LinearStepSize")}.get(
            routing["Type"]
        )
        if step and routing["Type"] == "CANARY":
            yield share_of(step, total), wait
            step = None
    share = share_of(step, total) if step else 1.0
    reached = share
    while reached < 1:
        yield reached, wait
        reached += share
    yield 1.0, termination


def share_of(size: Document, total: int) -> float:
    """A CapacitySize as a share of the fleet, at most all of it."""
    of = 100 if size["Type"] == "CAPACITY_PERCENT" else max(1, total)
    return min(1.0, float(size["Value"]) / of)


def bake(scope: Scope, seconds: float, alarms: list[str], deadline: float) -> None:
    """Wait, and raise ``RolledBack`` when one of the alarms is in alarm, or time is up."""
    until = time.monotonic() + scaled(seconds)
    while True:
        tripped = in_alarm(scope, alarms)
        if tripped:
            raise RolledBack(f"Alarm(s) went off during the deployment: {', '.join(tripped)}")
        now = time.monotonic()
        if now >= until:
            return
        if now >= deadline:
            raise RolledBack("The deployment exceeded MaximumExecutionTimeoutInSeconds.")
        time.sleep(min(until - now, deadline - now, scaled(ALARM_POLL_SECONDS)))


def in_alarm(scope: Scope, names: list[str]) -> list[str]:
    """Those of the alarms that are in alarm."""
    if not names:
        return []
    try:
        answer = platform.client("cloudwatch", scope).describe_alarms(AlarmNames=names)
    except ClientError:
        return []
    alarms = answer["MetricAlarms"] + answer.get("CompositeAlarms", [])
    return [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]


def roll_back(scope: Scope, endpoint: Document, reason: str) -> None:
    """Give all traffic back to the fleet that ran before, if that can still be had."""
    with lock:
        endpoint["FailureReason"] = reason
    end_deployment(endpoint)
    enter(scope, endpoint, "RollingBack")
    try:
        for variant in endpoint["Hosted"]:
            serving.load(scope, endpoint["EndpointName"], variant)
    except platform.DataError:
        # After a restart nothing is in memory, and its artefact may be gone.
        enter(scope, endpoint, "UpdateRollbackFailed")
        return
    serving.forget(scope, endpoint["EndpointName"], keep=endpoint["Hosted"])
    enter(scope, endpoint, "InService")


def end_deployment(endpoint: Document) -> None:
    """Forget that there was a deployment under way."""
    with lock:
        for member in ("Arriving", "ArrivingShare", "PendingDeploymentSummary"):
            endpoint.pop(member, None)


def rescale(scope: Scope, endpoint: Document) -> None:
    """Bring variants to their desired weights and capacity."""
    with lock:
        for variant in endpoint["Hosted"]:
            for member in ("Weight", "InstanceCount", "ServerlessConfig"):
                variant[f"Current{member}"] = variant[f"Desired{member}"]
        endpoint["ProductionVariants"] = [summary(variant) for variant in endpoint["Hosted"]]
    enter(scope, endpoint, "InService")


def remove(scope: Scope, endpoint: Document) -> None:
    """Forget an endpoint and free its models."""
    with lock:
        store.endpoints.delete(scope, endpoint["EndpointName"])
        store.tags.delete(scope, endpoint["EndpointArn"])
    serving.forget(scope, endpoint["EndpointName"])
    serverless.forget(scope, endpoint["EndpointName"])
    tell_listeners(scope, endpoint)


def instances(fleet: list[Document]) -> int:
    """How many instances a fleet has."""
    return sum(variant["DesiredInstanceCount"] for variant in fleet)


def stage(scope: Scope, endpoint: Document, status: str, message: str) -> None:
    """Show how far a deployment is, and tell who listens."""
    now = time.time()
    state = [{"Status": status, "StatusMessage": message, "StartTime": now}]
    with lock:
        pending = endpoint["PendingDeploymentSummary"]
        pending["ProductionVariants"] = [
            summary(variant, InstanceType=variant["InstanceType"], VariantStatus=state)
            for variant in endpoint["Arriving"]
        ]
    announce(scope, endpoint, "SageMaker Endpoint Deployment State Change")


def enter(scope: Scope, endpoint: Document, status: str) -> None:
    """Move an endpoint to a status, and tell who listens."""
    with lock:
        endpoint["EndpointStatus"] = status
        endpoint["LastModifiedTime"] = time.time()
    announce(scope, endpoint, "SageMaker Endpoint State Change")
    tell_listeners(scope, endpoint)


def tell_listeners(scope: Scope, endpoint: Document) -> None:
    """Let the rest of SageMaker know that an endpoint has changed."""
    for listener in listeners:
        try:
            listener(scope, endpoint)
        except Exception:
            # What one of them can't do is no reason to keep the rest from knowing.
            logger.exception("%s of %s", listener.__qualname__, endpoint["EndpointName"])


def announce(scope: Scope, endpoint: Document, detail_type: str) -> None:
    """Publish an endpoint's state."""
    events.publish(
        scope,
        detail_type,
        "DescribeEndpoint",
        endpoint,
        endpoint["EndpointArn"],
        EndpointStatus=EVENT_STATUS[endpoint["EndpointStatus"]],
    )


def variant_log(scope: Scope, endpoint: Document, variant: Document, part: str = "") -> LogStream:
    """Where a variant's container logs, written as the model's role.

    Source: developer guide, "Log groups and streams that Amazon SageMaker AI sends to Amazon
    CloudWatch Logs"; ``/data-log`` as the part is that of asynchronous inference.
    """
    return LogStream(
        scope.acting_as(variant["RoleArn"]),
        f"/aws/sagemaker/Endpoints/{endpoint['EndpointName']}",
        f"{variant['VariantName']}/{instance_id(endpoint)}{part}",
    )


def instance_id(endpoint: Document) -> str:
    """The id of the instance that stands for all of an endpoint's."""
    return f"i-{int(endpoint['CreationTime'] * 1000) & 0xFFFFFFFFFFFFFFFFF:017x}"
