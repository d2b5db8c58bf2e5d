"""The SageMaker SDK before version 3, used as its documentation shows; what came of it goes to a
file of JSON.

Run with the Python of ``.venv-sdk-v2``: ``sdk_v2.py BUCKET ROLE RESULTS``. The bucket holds the
introduction's split below ``train/`` and ``test/``.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import sagemaker
from sagemaker import image_uris
from sagemaker.amazon.knn import KNN
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import (
    BytesDeserializer,
    JSONDeserializer,
    JSONLinesDeserializer,
    StringDeserializer,
)
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import (
    CSVSerializer,
    IdentitySerializer,
    JSONLinesSerializer,
    JSONSerializer,
    NumpySerializer,
)
from sagemaker.serverless import ServerlessInferenceConfig
from sagemaker.transformer import Transformer
from sagemaker.tuner import HyperparameterTuner, IntegerParameter

FLOWER = [5.1, 3.5, 1.4, 0.2]
OTHERS = [[6.5, 3.0, 5.5, 2.0], [5.9, 3.0, 4.2, 1.5]]
FEATURES = {"features": FLOWER}

bucket, role, results = sys.argv[1:]
session = sagemaker.Session(default_bucket=bucket)
region = session.boto_region_name
sm = boto3.client("sagemaker")
stamp = time.strftime("%H%M%S")
found: dict[str, Any] = {}


def channels() -> dict[str, TrainingInput]:
    """Return the two channels of the introduction."""
    return {
        name: TrainingInput(f"s3://{bucket}/{name}/", content_type="text/csv")
        for name in ("train", "test")
    }


def in_service(*predictors: Any) -> None:
    """Wait for endpoints more eagerly than the SDK, which looks every 30 seconds."""
    for predictor in predictors:
        waiter = sm.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1})


estimator = Estimator(
    image_uri=image_uris.retrieve("knn", region),
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    input_mode="Pipe",
    output_path=f"s3://{bucket}/output",
    sagemaker_session=session,
)
estimator.set_hyperparameters(k=1, sample_size=1000, predictor_type="classifier")
streamed = io.StringIO()
with contextlib.redirect_stdout(streamed):
    estimator.fit(channels())
found["log"] = streamed.getvalue()
found["metrics"] = {
    row.metric_name: row.value for row in estimator.training_job_analytics.dataframe().itertuples()
}
found["artefact"] = estimator.model_data

# One that the SDK waits for, as it does by default; the others meanwhile.
serverless = estimator.deploy(
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=2048),
    endpoint_name=f"v2-serverless-{stamp}",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    wait=False,
)
later = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    async_inference_config=AsyncInferenceConfig(
        output_path=f"s3://{bucket}/async/output", failure_path=f"s3://{bucket}/async/failure"
    ),
    endpoint_name=f"v2-async-{stamp}",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    wait=False,
)
realtime = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.t2.medium",
    endpoint_name=f"v2-realtime-{stamp}",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
)
in_service(serverless, later)

answers = found["answers"] = {}
answers["csv list"] = realtime.predict(FLOWER)
answers["csv text"] = realtime.predict("5.1,3.5,1.4,0.2")
answers["csv array"] = realtime.predict(np.array([FLOWER, *OTHERS]))
realtime.serializer = JSONSerializer()
answers["json"] = realtime.predict({"instances": [FEATURES]})
realtime.serializer = JSONLinesSerializer()
realtime.deserializer = JSONLinesDeserializer()
answers["json lines"] = realtime.predict([FEATURES, FEATURES])
realtime.serializer = IdentitySerializer(content_type="text/csv")
realtime.deserializer = BytesDeserializer(accept="application/json")
answers["bytes"] = realtime.predict(b"5.1,3.5,1.4,0.2").decode()
realtime.deserializer = StringDeserializer(accept="application/json; verbose=true")
answers["verbose"] = json.loads(realtime.predict(b"5.1,3.5,1.4,0.2"))
realtime.serializer = NumpySerializer()
try:
    realtime.predict(np.array([FLOWER]))
except Exception as error:
    found["numpy"] = str(error)
answers["serverless"] = serverless.predict(FLOWER)
response = later.predict_async(FLOWER)
answers["async"] = response.get_result(WaiterConfig(max_attempts=60, delay=1))
found["async output"] = response.output_path

# Amazon's own estimator of the algorithm: RecordIO-protobuf behind a manifest.
rows = np.array(list(np.random.default_rng(0).normal(size=(200, 4))), np.float32)
labels = (rows[:, 0] > 0).astype(np.float32)
knn = KNN(
    role,
    1,
    "ml.m5.large",
    k=3,
    sample_size=200,
    predictor_type="classifier",
    data_location=f"s3://{bucket}/records",
    sagemaker_session=session,
)
records = knn.record_set(rows, labels=labels)
knn.fit([records, knn.record_set(rows, labels=labels, channel="test")], mini_batch_size=50)
record_predictor = knn.deploy(1, "ml.m5.large", endpoint_name=f"v2-records-{stamp}", wait=False)
in_service(record_predictor)
predicted = record_predictor.predict(rows[:20])
found["records"] = {
    "predicted": [r.label["predicted_label"].float32_tensor.values[0] for r in predicted],
    "labels": labels[:20].tolist(),
}

tuner = HyperparameterTuner(
    Estimator(
        image_uri=image_uris.retrieve("knn", region),
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{bucket}/output",
        hyperparameters={"predictor_type": "classifier", "sample_size": 112, "feature_dim": 4},
        sagemaker_session=session,
    ),
    objective_metric_name="test:accuracy",
    hyperparameter_ranges={"k": IntegerParameter(1, 60)},
    strategy="Random",
    max_jobs=3,
    max_parallel_jobs=3,
)
tuner.fit(channels(), wait=False)
transformer = estimator.transformer(
    1,
    "ml.m5.large",
    strategy="MultiRecord",
    assemble_with="Line",
    accept="application/jsonlines",
    output_path=f"s3://{bucket}/transformed",
)
boto3.client("s3").put_object(
    Bucket=bucket, Key="batch/rows.csv", Body=b"5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n"
)
transformer.transform(
    f"s3://{bucket}/batch/", content_type="text/csv", split_type="Line", wait=True, logs=False
)
found["transformed"] = sagemaker.s3.S3Downloader.read_file(
    f"s3://{bucket}/transformed/rows.csv.out", session
).splitlines()
tuner.wait()
found["best"] = tuner.best_training_job()
found["tuned"] = tuner.analytics().dataframe()["FinalObjectiveValue"].tolist()

# What was made before, found again by its name.
attached = HyperparameterTuner.attach(tuner.latest_tuning_job.name, sagemaker_session=session)
again = Estimator.attach(attached.best_training_job(), sagemaker_session=session)
same = Transformer.attach(transformer.latest_transform_job.name, sagemaker_session=session)
found["attached"] = {
    "ranges": attached.hyperparameter_ranges(),
    "tuner": [attached.max_jobs, attached.strategy, attached.early_stopping_type],
    "type": attached.estimator.instance_type,
    "best": attached.best_training_job(),
    "estimator": [again.instance_type, again.instance_count, again.volume_size, again.model_data],
    "transformer": [same.instance_type, same.output_path, same.assemble_with, same.strategy],
}
several = HyperparameterTuner.create(
    estimator_dict={"small": tuner.estimator, "large": tuner.estimator},
    objective_metric_name_dict=dict.fromkeys(("small", "large"), "test:accuracy"),
    hyperparameter_ranges_dict={
        "small": {"k": IntegerParameter(1, 5)},
        "large": {"k": IntegerParameter(6, 60)},
    },
    strategy="Random",
    max_jobs=2,
    max_parallel_jobs=2,
)
several.fit(
    dict.fromkeys(("small", "large"), channels()),
    # By default the name has only the minute, like that of the tuner before.
    job_name=f"v2-several-{stamp}",
    include_cls_metadata={},
    wait=False,
)
both = HyperparameterTuner.attach(several.latest_tuning_job.name, sagemaker_session=session)
found["attached"]["definitions"] = sorted(both.estimator_dict)

for predictor in (realtime, serverless, later, record_predictor):
    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
Path(results).write_text(json.dumps(found))
