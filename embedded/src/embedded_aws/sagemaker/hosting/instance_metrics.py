"""What the instances of an endpoint measure of themselves, published as the model's role.

Source: developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch" (endpoint instance
metrics, namespace ``/aws/sagemaker/Endpoints``); serverless endpoints have MemoryUtilization
only. All variants are served by this process, so its numbers stand for each.
"""

import logging
import os
import resource
import shutil
import sys
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import deployment

NAMESPACE = "/aws/sagemaker/Endpoints"
PERIOD_SECONDS = 60.0
started = time.monotonic()
logger = logging.getLogger("sagemaker")


def run_forever(stopped: threading.Event) -> None:
    """Publish the metrics of all endpoints each minute, a real one."""
    while not stopped.wait(PERIOD_SECONDS):
        for scope, _, endpoint in store.endpoints.everywhere():
            try:
                publish(scope, endpoint)
            except (BotoCoreError, ClientError):
                logger.exception("metrics of endpoint %s", endpoint["EndpointName"])


def publish(scope: Scope, endpoint: Document) -> None:
    """Publish the utilization of each variant that runs."""
    if endpoint["EndpointStatus"] != "InService":
        return
    for variant in endpoint["Hosted"]:
        serverless = bool(variant["CurrentServerlessConfig"])
        if not serverless and not variant["CurrentInstanceCount"]:
            continue
        values = {"MemoryUtilization": memory_percent()}
        if not serverless:
            values |= {"CPUUtilization": cpu_percent(), "DiskUtilization": disk_percent()}
        dimensions = [
            {"Name": "EndpointName", "Value": endpoint["EndpointName"]},
            {"Name": "VariantName", "Value": variant["VariantName"]},
        ]
        data = [
            {"MetricName": name, "Value": value, "Unit": "Percent", "Dimensions": dimensions}
            for name, value in values.items()
        ]
        cloudwatch = platform.client("cloudwatch", scope.acting_as(variant["RoleArn"]))
        with platform.unless_denied():
            cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)


def cpu_percent() -> float:
    """The processor time of this process since it started, 100 for each core that it kept busy."""
    used = os.times()
    return 100 * (used.user + used.system) / max(0.001, time.monotonic() - started)


def memory_percent() -> float:
    """The most memory that this process has had, of all that there is."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return 100 * most / (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def disk_percent() -> float:
    """How full the disk is that this process works on."""
    usage = shutil.disk_usage(".")
    return 100 * usage.used / usage.total


deployment.listeners.append(publish)
