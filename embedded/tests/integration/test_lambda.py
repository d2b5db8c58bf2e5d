"""Functions that are updated while they are in use."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from embedded.tests.helpers.iris_jobs import wait_for
from embedded_aws.testing import EmbeddedAws

OLD = """
import time, boto3
def handler(event, context):
    boto3.client("s3").put_object(Bucket=event["bucket"], Key="began")
    time.sleep(1)
    return "old"
"""
NEW = "def handler(event, context):\n    return 'new'\n"


def zipped(code: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", code)
    return archive.getvalue()


def invoke(aws: EmbeddedAws) -> Any:
    payload = json.dumps({"bucket": "updated-function"})
    answer = aws.client("lambda").invoke(FunctionName="updated", Payload=payload)
    return json.load(answer["Payload"])


def test_an_invocation_ends_with_the_code_that_it_began_with(embedded_aws):
    functions, s3 = embedded_aws.client("lambda"), embedded_aws.client("s3")
    s3.create_bucket(Bucket="updated-function")
    functions.create_function(
        FunctionName="updated",
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/updated",
        Code={"ZipFile": zipped(OLD)},
    )
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(invoke, embedded_aws)
        wait_for(lambda: s3.list_objects_v2(Bucket="updated-function")["KeyCount"])
        functions.update_function_code(FunctionName="updated", ZipFile=zipped(NEW))
        assert invoke(embedded_aws) == "new"
        assert under_way.result() == "old"
