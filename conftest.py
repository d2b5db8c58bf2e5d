"""Whose AWS, which proxy and which stack surround the tests is none of their business."""

import os

SETTINGS = ("AWS_", "SFN_", "SAGEMAKER_")
"""How names begin of what AWS's clients and the embedded AWS are set by."""

for name in [name for name in os.environ if name.startswith(SETTINGS)]:
    del os.environ[name]
for name in ("KNN_LOCAL_DIR", "PORT", "GATEWAY_PORT", "COLUMNS", "FORCE_COLOR"):
    os.environ.pop(name, None)
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, ("127.0.0.1,localhost", os.environ.get(name))))
