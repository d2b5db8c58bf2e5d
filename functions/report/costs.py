"""What a run has cost, about: by list prices, of the parts that depend on the file."""

from __future__ import annotations

import re
from collections.abc import Mapping

# USD in Northern Virginia, 2025; other regions differ by up to a third.
# Source: AWS Lambda pricing; Amazon SageMaker AI pricing, "Training".
_GB_SECOND = 0.0000166667
_M5_LARGE_HOUR = 0.115
_FUNCTION_GB = 1769 / 1024
_TIMES = {"large": 1, "xlarge": 2, "2xlarge": 4, "4xlarge": 8, "12xlarge": 24, "24xlarge": 48}


def costs(
    stages: Mapping[str, float], billable_seconds: float | None, instance_type: str
) -> dict[str, float]:
    """Return an estimate in USD of what preparing and training took.

    Seconds of Preprocess and Split by their memory; billable seconds of the training job by the
    price of its instance, which is known of ``ml.m5`` only: sizes of a family cost in proportion.
    """
    prepared = sum(stages.get(stage, 0.0) for stage in ("Preprocess", "Split"))
    found = {"functions": prepared * _FUNCTION_GB * _GB_SECOND}
    size = re.fullmatch(r"ml\.m5\.(\w+)", instance_type)
    if billable_seconds is not None and size and size[1] in _TIMES:
        found["training"] = billable_seconds / 3600 * _M5_LARGE_HOUR * _TIMES[size[1]]
    return found
