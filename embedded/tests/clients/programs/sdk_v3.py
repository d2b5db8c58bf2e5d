"""The resource classes of the SageMaker SDK, version 3; what came of them goes to a file of
JSON.

Run with the Python of ``.venv-sdk``: ``sdk_v3.py BUCKET ROLE RESULTS``. The bucket holds the
introduction's split below ``train/`` and ``test/``, and rows below ``rows/``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from sagemaker.core import image_uris
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob, TransformJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    Channel,
    ContainerDefinition,
    DataSource,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    S3DataSource,
    StoppingCondition,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)

bucket, role, results = sys.argv[1:]
image = image_uris.retrieve("knn", "us-east-1")
stamp = time.strftime("%H%M%S")
found: dict[str, Any] = {}


def channel(name: str) -> Channel:
    """Return a channel of the introduction."""
    source = S3DataSource(s3_data_type="S3Prefix", s3_uri=f"s3://{bucket}/{name}/")
    return Channel(
        channel_name=name, content_type="text/csv", data_source=DataSource(s3_data_source=source)
    )


job = TrainingJob.create(
    training_job_name=f"v3-{stamp}",
    algorithm_specification=AlgorithmSpecification(
        training_image=image, training_input_mode="Pipe"
    ),
    hyper_parameters={"k": "1", "sample_size": "1000", "predictor_type": "classifier"},
    input_data_config=[channel("train"), channel("test")],
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/output"),
    resource_config=ResourceConfig(
        instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10
    ),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
    role_arn=role,
)
job.wait(poll=1)
found["status"] = job.training_job_status
found["metrics"] = {metric.metric_name: metric.value for metric in job.final_metric_data_list}
found["listed"] = [j.training_job_name for j in TrainingJob.get_all(name_contains="v3-")]

model = Model.create(
    model_name=f"v3-{stamp}",
    primary_container=ContainerDefinition(
        image=image, model_data_url=job.model_artifacts.s3_model_artifacts
    ),
    execution_role_arn=role,
)
config = EndpointConfig.create(
    endpoint_config_name=f"v3-{stamp}",
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic",
            model_name=model.model_name,
            # Of a serverless variant this version of the SDK spells MemorySizeInMB wrongly.
            instance_type="ml.m5.large",
            initial_instance_count=1,
        )
    ],
)
endpoint = Endpoint.create(
    endpoint_name=f"v3-{stamp}", endpoint_config_name=config.endpoint_config_name
)
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(
    body="5.1,3.5,1.4,0.2\n", content_type="text/csv", accept="application/json"
)
found["answer"] = json.load(answer.body)

transform = TransformJob.create(
    transform_job_name=f"v3-{stamp}",
    model_name=model.model_name,
    transform_input=TransformInput(
        data_source=TransformDataSource(
            s3_data_source=TransformS3DataSource(
                s3_data_type="S3Prefix", s3_uri=f"s3://{bucket}/rows/"
            )
        ),
        content_type="text/csv",
        split_type="Line",
    ),
    transform_output=TransformOutput(s3_output_path=f"s3://{bucket}/transformed-v3"),
    transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
)
transform.wait(poll=1)
found["transform"] = transform.transform_job_status

endpoint.delete()
endpoint.wait_for_delete(poll=1)
config.delete()
model.delete()
found["left"] = [e.endpoint_name for e in Endpoint.get_all(name_contains="v3-")]
Path(results).write_text(json.dumps(found))
