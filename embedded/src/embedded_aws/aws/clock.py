"""Time as documented, and as it passes here.

``SAGEMAKER_TIME_SCALE`` (1 by default) is how much of each documented wait is really waited for.
With 0.01 a five-minute cooldown takes three seconds.
"""

import os

SCALE = float(os.environ.get("SAGEMAKER_TIME_SCALE") or 1)


def scaled(seconds: float) -> float:
    """How long a documented time takes here, in seconds."""
    return seconds * SCALE
