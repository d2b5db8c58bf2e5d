"""What CloudWatch learns of jobs: the algorithm's metrics, and the use of processor and memory.

Source: developer guide, "Monitor Amazon SageMaker with Amazon CloudWatch" (jobs and endpoints
metrics) and "Metrics Computed by the k-NN Algorithm".
"""

import logging
import os
import re
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document

TRAINING_NAMESPACE = "/aws/sagemaker/TrainingJobs"
TRANSFORM_NAMESPACE = "/aws/sagemaker/TransformJobs"
PERIOD_SECONDS = 60.0

# What Describe shows of the built-in k-NN, and what picks the metrics out of its log. The names
# are documented, the expressions made for the lines that the algorithm is known to print.
METRIC_DEFINITIONS = [
    {"Name": "test:accuracy", "Regex": r"#test_score \(\S+\) : \('accuracy', ([^)\s]+)\)"},
    {"Name": "test:mse", "Regex": r"#test_score \(\S+\) : \('mse', ([^)\s]+)\)"},
]

logger = logging.getLogger(__name__)


def find_metrics(line: str, definitions: list[Document]) -> list[Document]:
    """The metrics in a line of an algorithm's log, each as FinalMetricDataList has it."""
    now = float(int(time.time()))
    found: list[Document] = []
    for definition in definitions:
        if match := re.search(definition["Regex"], line):
            with suppress(ValueError):
                metric = {"MetricName": definition["Name"], "Value": float(match[1])}
                found.append({**metric, "Timestamp": now})
    return found


def last_of_each(metrics: list[Document]) -> list[Document]:
    """The value that each metric had in the end."""
    return list({metric["MetricName"]: metric for metric in metrics}.values())


def publish(scope: Scope, namespace: str, dimension: tuple[str, str], data: list[Document]) -> None:
    """Put metrics of one dimension, ``("Host", "job/algo-1")`` say, into CloudWatch.

    A job doesn't suffer when that fails.
    """
    if not data:
        return
    dimensions = [{"Name": dimension[0], "Value": dimension[1]}]
    try:
        platform.client("cloudwatch", scope).put_metric_data(
            Namespace=namespace,
            MetricData=[{**metric, "Dimensions": dimensions} for metric in data],
        )
    except (BotoCoreError, ClientError):
        logger.warning("metrics of %s were not published", dimension[1], exc_info=True)


class Utilisation:
    """Watches what a process uses, and publishes it once a minute and at the end."""

    def __init__(self, scope: Scope, namespace: str, host: str, pid: int, folder: Path) -> None:
        self.scope = scope
        self.namespace = namespace
        self.host = host
        self.pid = pid
        self.folder = folder
        self.published = time.monotonic()
        self.cpu_seconds = 0.0
        self.published_cpu_seconds = 0.0
        self.memory_percent = 0.0

    def sample(self) -> None:
        """Take a look; Linux tells what a process uses, other systems leave it at nothing."""
        with suppress(OSError, ValueError, IndexError):
            # The name of the program, in parentheses, may hold spaces.
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            self.cpu_seconds = ticks / os.sysconf("SC_CLK_TCK")
            self.memory_percent = max(self.memory_percent, 100 * resident / total)
        if time.monotonic() - self.published > PERIOD_SECONDS:
            threading.Thread(target=self.publish, args=(self.take(),), daemon=True).start()

    def take(self) -> list[Document]:
        """What was used since the last time that this was called, as metric data in percent."""
        now = time.monotonic()
        elapsed = max(now - self.published, 1e-3)
        cpu = 100 * (self.cpu_seconds - self.published_cpu_seconds) / elapsed
        memory = self.memory_percent
        self.published, self.published_cpu_seconds, self.memory_percent = now, self.cpu_seconds, 0.0
        disk = shutil.disk_usage(self.folder)
        values = {
            "CPUUtilization": cpu,
            "MemoryUtilization": memory,
            "DiskUtilization": 100 * disk.used / disk.total,
        }
        if not memory:
            del values["CPUUtilization"], values["MemoryUtilization"]
        return [
            {"MetricName": name, "Value": value, "Unit": "Percent"}
            for name, value in values.items()
        ]

    def publish(self, data: list[Document]) -> None:
        """Put values that were taken into CloudWatch."""
        publish(self.scope, self.namespace, ("Host", self.host), data)
