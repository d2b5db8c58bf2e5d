"""What the functions find around them, made in the embedded AWS."""

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from cfnlint.decode.cfn_yaml import load as load_template

from embedded_aws.testing import REGION, EmbeddedAws
from tests.function_app import ROOT, function_app, lambda_context

ADDRESS = "reports@example.com"


def event(name: str) -> dict[str, Any]:
    return json.loads((Path(ROOT) / "events" / name).read_text())


@dataclass(frozen=True)
class Pipeline:
    """What the functions find in their environment, and clients to look at it."""

    aws: EmbeddedAws
    environment: dict[str, str]

    @property
    def runs_bucket(self) -> str:
        return self.environment["RUNS_BUCKET"]

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    @property
    def registry(self) -> Any:
        resources = boto3.resource(
            "dynamodb",
            endpoint_url=self.aws.endpoint_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        return resources.Table(self.environment["REGISTRY_TABLE"])

    def dropped(
        self, key: str, content: bytes, *, sequencer: str = "0A", **metadata: str
    ) -> dict[str, Any]:
        """Put an object into the inbox and return its event."""
        put = self.s3.put_object(Bucket="inbox", Key=key, Body=content, Metadata=metadata)
        version = put["VersionId"]
        created = copy.deepcopy(event("preprocess-iris.json"))
        created["detail"]["bucket"]["name"] = "inbox"
        created["detail"]["object"] |= {
            "key": key,
            "version-id": version,
            "sequencer": sequencer,
        }
        return created

    def handle(
        self, function: str, payload: dict[str, Any], *, module: str = "app", seconds: int = 60
    ) -> Any:
        with function_app(function, self.environment, module) as app:
            return app.handler(payload, lambda_context(seconds))

    def manifest_of(self, run: str) -> dict[str, Any]:
        created = event("split-manifest.json")
        created["detail"]["object"]["key"] = f"runs/{run}/clean/manifest.json"
        return created

    def executions(self, machine: str = "STATE_MACHINE_ARN") -> dict[str, dict[str, Any]]:
        """What executions were started with, by their names."""
        states = self.aws.client("stepfunctions")
        arn = self.environment[machine]
        return {
            execution["name"]: json.loads(
                states.describe_execution(executionArn=execution["executionArn"])["input"]
            )
            for execution in states.list_executions(stateMachineArn=arn)["executions"]
        }

    def files(self, run: str) -> dict[str, Any]:
        """The files of a run's folder, by name, with the times at which they were written."""
        listed = self.s3.list_objects_v2(Bucket=self.runs_bucket, Prefix=f"runs/{run}/")
        return {
            found["Key"].removeprefix(f"runs/{run}/"): found["LastModified"]
            for found in listed.get("Contents", [])
        }

    def keys(self, prefix: str) -> list[str]:
        """The keys of the runs bucket that begin so."""
        listed = self.s3.list_objects_v2(Bucket=self.runs_bucket, Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", [])]

    def tagged(self, run: str) -> dict[str, dict[str, str]]:
        """The files of a run's folder that have tags, with these."""
        found = {
            name: self.s3.get_object_tagging(Bucket=self.runs_bucket, Key=f"runs/{run}/{name}")[
                "TagSet"
            ]
            for name in self.files(run)
        }
        return {
            name: {tag["Key"]: tag["Value"] for tag in tags} for name, tags in found.items() if tags
        }

    def read(self, run: str, name: str) -> str:
        return self.read_bytes(run, name).decode()

    def read_bytes(self, run: str, name: str) -> bytes:
        answer = self.s3.get_object(Bucket=self.runs_bucket, Key=f"runs/{run}/{name}")
        return bytes(answer["Body"].read())

    def status(self, run: str) -> dict[str, Any]:
        return json.loads(self.read(run, "status.json"))


def stack_settings() -> str:
    """What the template's defaults make of the setting that holds all settings."""
    template = load_template(str(ROOT / "template.yaml"))
    function = template["Resources"]["PreprocessFunction"]["Properties"]
    text = function["Environment"]["Variables"]["SETTINGS"]["Fn::Sub"]
    parameters = template["Parameters"]
    return re.sub(r"\$\{(\w+)\}", lambda found: str(parameters[found[1]]["Default"]), text)


BY_SORT: Any = {
    "IndexName": "BySort",
    "KeySchema": [
        {"AttributeName": "sort", "KeyType": "HASH"},
        {"AttributeName": "dataset", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}


def open_pipeline(embedded_aws: EmbeddedAws) -> Pipeline:
    """Make what the stack would: buckets, tables, state machines, an identity to mail from."""
    s3, tables = embedded_aws.client("s3"), embedded_aws.client("dynamodb")
    for bucket in ("inbox", "runs-of-functions"):
        s3.create_bucket(Bucket=bucket)
        enabled = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    for name, keys in {"registry": ("dataset", "sort"), "idempotency": ("id",)}.items():
        tables.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            **({"GlobalSecondaryIndexes": [BY_SORT]} if name == "registry" else {}),
        )
    states = embedded_aws.client("stepfunctions")
    machine, large, scoring = (
        states.create_state_machine(
            name=name,
            roleArn="arn:aws:iam::000000000000:role/states",
            definition='{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}',
        )["stateMachineArn"]
        for name in ("functions", "functions-large-file", "functions-score")
    )
    mails = embedded_aws.client("sesv2")
    mails.create_email_identity(EmailIdentity=ADDRESS)
    mails.create_configuration_set(ConfigurationSetName="reports")
    return Pipeline(
        embedded_aws,
        {
            "AWS_ENDPOINT_URL": embedded_aws.endpoint_url,
            "RUNS_BUCKET": "runs-of-functions",
            "REGISTRY_TABLE": "registry",
            "IDEMPOTENCY_TABLE": "idempotency",
            "CLAIM_SECONDS": "30",
            "STATE_MACHINE_ARN": machine,
            "LARGE_FILE_STATE_MACHINE_ARN": large,
            "SCORE_STATE_MACHINE_ARN": scoring,
            "LARGE_FILE_MEGABYTES": "1000",
            "ENDPOINT_KINDS": "serverless async realtime",
            "SETTINGS": stack_settings(),
            "PART_MEGABYTES": "128",
            "MEMORY_SIZES": "2048 ml.m5.large ml.m5.large",
            "REPORT_ADDRESSES": f"{ADDRESS} team@example.com",
            "SENDER_ADDRESS": ADDRESS,
            "CONFIGURATION_SET": "reports",
            "TRAINING_INSTANCE_TYPE": "ml.m5.large",
            "EVENT_SOURCE": "",
            "API_URL": "https://api.example.com/v1",
            "API_AUTHORIZATION": "key",
        },
    )
