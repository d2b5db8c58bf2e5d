"""The command line: drop files, follow runs, read mails, predict; here or on AWS."""

import sys
from pathlib import Path

# The contracts of the pipeline: the names of runs and of their files.
sys.path.insert(0, str(Path(__file__).parent.parent / "layers/pipeline"))
