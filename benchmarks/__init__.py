"""Scripts that measure what the documentation says, as ratios to what one would use otherwise.

They need what ``make test`` installs: ``.venv/bin/python -m benchmarks.accuracy``.
"""

import sys
from pathlib import Path

# Layers and functions aren't installed.
sys.path[:0] = [
    str(Path(__file__).parent.parent / each)
    for each in ("layers/pipeline", "layers/numeric", "functions")
]
