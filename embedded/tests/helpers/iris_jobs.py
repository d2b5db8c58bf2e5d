"""What the SageMaker tests share: data in a bucket of the test's own, requests, and waiting."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.tests.helpers.iris import introduction_split
from embedded_aws.testing import ACCOUNT, EmbeddedAws

IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker"
HYPERPARAMETERS = {"k": "1", "sample_size": "1000", "predictor_type": "classifier"}
WAIT_SECONDS = 30


def unique(prefix: str) -> str:
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def wait_for[T](what: Callable[[], T], timeout: float = WAIT_SECONDS) -> T:
    """Poll until the answer is truthy; fail after ``timeout`` seconds with the last one."""
    deadline = time.monotonic() + timeout
    while not (answer := what()):
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout} s"
        time.sleep(0.02)
    return answer


@dataclass(frozen=True)
class Workshop:
    """A bucket with iris split as in the introduction, and clients."""

    aws: EmbeddedAws
    bucket: str

    @property
    def sagemaker(self) -> Any:
        """The control plane."""
        return self.aws.client("sagemaker")

    @property
    def runtime(self) -> Any:
        """The runtime."""
        return self.aws.client("sagemaker-runtime")

    @property
    def s3(self) -> Any:
        """S3."""
        return self.aws.client("s3")

    def put(self, key: str, body: bytes) -> str:
        """Write an object, and give its URI."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def read(self, uri: str) -> bytes:
        """Read an object by its URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        listing = self.s3.list_objects_v2(Bucket=bucket, Prefix=key)
        return any(item["Key"] == key for item in listing.get("Contents", []))

    def job(self, name: str, **changes: Any) -> dict[str, Any]:
        """A CreateTrainingJob request for the bucket's ``train/`` and ``test/``."""
        return {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "Pipe"},
            "HyperParameters": HYPERPARAMETERS,
            "InputDataConfig": [self.channel("train"), self.channel("test")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }

    def channel(self, name: str, prefix: str | None = None, **changes: Any) -> dict[str, Any]:
        """A channel of CSV under a prefix of the bucket, by default its own name."""
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{self.bucket}/{prefix or f'{name}/'}",
            "S3DataDistributionType": "FullyReplicated",
        }
        return {
            "ChannelName": name,
            "ContentType": "text/csv",
            "DataSource": {"S3DataSource": source},
            **changes,
        }

    def train(self, **changes: Any) -> dict[str, Any]:
        """Run a job to its end, and describe it."""
        name = unique("job")
        self.sagemaker.create_training_job(**self.job(name, **changes))
        return self.ended(name)

    def ended(self, name: str) -> dict[str, Any]:
        """The description of a job once it has ended."""

        def description() -> dict[str, Any] | None:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            ended = job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
            return job if ended else None

        job = wait_for(description)
        assert job is not None
        return job

    def watch(self, detail_type: str) -> str:
        """Have SageMaker's events of a kind sent to a queue, and give its name."""
        sqs, events, name = self.aws.client("sqs"), self.aws.client("events"), unique("events")
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        pattern = {"source": ["aws.sagemaker"], "detail-type": [detail_type]}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
        events.put_targets(Rule=name, Targets=[target])
        return name

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """The events that came to a queue since it was last asked."""
        sqs = self.aws.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def events(self, detail_type: str) -> Callable[[], list[dict[str, Any]]]:
        """Watch SageMaker's events of a kind; what this gives lists those that came so far."""
        queue = self.watch(detail_type)
        received: list[dict[str, Any]] = []

        def so_far() -> list[dict[str, Any]]:
            received.extend(self.receive(queue))
            return received

        return so_far

    def listed(self, operation: str, **request: Any) -> list[dict[str, Any]]:
        """What all pages of a list of SageMaker's hold, ``list_models`` say."""
        pages = self.sagemaker.get_paginator(operation).paginate(**request)
        return list(pages.search(pages.result_keys[0].expression + "[]"))

    def model(self) -> str:
        """A model trained on the bucket's data."""
        job = self.train()
        assert job["TrainingJobStatus"] == "Completed", job
        name = unique("model")
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": IMAGE,
                "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
            },
        )
        return name

    def config(self, model: str, **changes: Any) -> str:
        """A serverless endpoint configuration, unless changed."""
        name = unique("config")
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
        }
        request = {"EndpointConfigName": name, "ProductionVariants": [variant], **changes}
        self.sagemaker.create_endpoint_config(**request)
        return name

    def async_config(self, model: str) -> str:
        """An asynchronous endpoint configuration that writes to the bucket."""
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        output = {
            "S3OutputPath": f"s3://{self.bucket}/answers",
            "S3FailurePath": f"s3://{self.bucket}/failures",
        }
        return self.config(
            model, ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": output}
        )

    def endpoint(self, config: str) -> str:
        """An endpoint in service."""
        name = unique("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.settled(name)
        return name

    def settled(self, name: str) -> dict[str, Any]:
        """The description of an endpoint once it is neither Creating nor Updating."""

        def description() -> dict[str, Any] | None:
            endpoint: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return None if endpoint["EndpointStatus"] in ("Creating", "Updating") else endpoint

        endpoint = wait_for(description)
        assert endpoint is not None
        return endpoint


def open_workshop(aws: EmbeddedAws) -> Workshop:
    """A new bucket with the introduction's split in it."""
    workshop = Workshop(aws, unique("iris"))
    workshop.s3.create_bucket(Bucket=workshop.bucket)
    train, test = introduction_split()
    workshop.put("train/train.csv", train)
    workshop.put("test/test.csv", test)
    return workshop
