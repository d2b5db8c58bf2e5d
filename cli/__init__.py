"""The command line: drop files, follow runs, read mails, predict; here or on AWS."""

import sys
from pathlib import Path

# The contracts of the pipeline, and the settings that Preprocess knows.
sys.path[:0] = [
    str(Path(__file__).parent.parent / each) for each in ("layers/pipeline", "functions")
]
