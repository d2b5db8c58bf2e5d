"""The command line: upload files, follow runs, read emails, predict; here or on AWS."""

import sys
from pathlib import Path

# The contracts of the pipeline, the settings that Preprocess knows, and how numbers are read.
sys.path[:0] = [
    str(Path(__file__).parent.parent / each)
    for each in ("layers/pipeline", "layers/numeric", "functions")
]
