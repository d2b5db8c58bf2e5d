"""What is checked before it is needed."""

import os
import subprocess
import sys

import boto3
import pytest
from botocore.stub import Stubber

from cli import doctor


def test_quotas_of_all_that_a_stack_starts_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("service-quotas", region_name="eu-west-1")
    names = [
        "ml.m5.large for training job usage",
        "ml.m5.large for spot training job usage",
        "ml.m5.large for endpoint usage",
        "ml.m5.large for transform job usage",
        "ml.m5.xlarge for transform job usage",
    ]
    quotas = [
        {"QuotaName": name, "QuotaCode": f"L-{place}", "Value": place % 3}
        for place, name in enumerate(names)
    ]
    monkeypatch.setattr(boto3, "client", lambda _: client)
    with Stubber(client) as stubber:
        stubber.add_response(
            "list_service_quotas", {"Quotas": quotas}, {"ServiceCode": "sagemaker"}
        )
        found = list(doctor._quotas())
    assert [(check.found.partition(" for ")[2], check.state) for check in found] == [
        ("training job usage: 0", "warning"),
        ("endpoint usage: 2", "fine"),
        ("transform job usage: 0", "warning"),
    ]
    assert "--quota-code L-3 " in found[-1].remedy


def test_a_terminal_that_has_no_check_mark_gets_its_code(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "cli", "doctor"],
        env=os.environ | {"PYTHONIOENCODING": "latin-1", "KNN_LOCAL_DIR": str(tmp_path)},
        capture_output=True,
    )
    assert done.stderr == b""
    assert b"\\u2713 Folder: " in done.stdout
