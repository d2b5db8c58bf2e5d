"""That any module can be imported first: none relies on another having been imported before it."""

import pkgutil
import subprocess
import sys

import embedded_aws

MODULES = [module.name for module in pkgutil.walk_packages(embedded_aws.__path__, "embedded_aws.")]
# What is imported from elsewhere, and takes long, is imported once; each module then in a fork.
IMPORTER = """
import os, sys
import boto3, botocore.session, faiss, numpy
from ministack import app
for name in sys.argv[1:]:
    pid = os.fork()
    if not pid:
        try:
            __import__(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_every_module_can_be_imported_first() -> None:
    assert "embedded_aws.sagemaker.hosting.endpoints" in MODULES
    result = subprocess.run(
        [sys.executable, "-c", IMPORTER, *MODULES], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
