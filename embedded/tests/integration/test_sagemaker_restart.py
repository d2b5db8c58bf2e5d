"""What of SageMaker survives a restart of the embedded AWS."""

import json
from pathlib import Path

from embedded.tests.helpers.iris_jobs import Workshop, open_workshop, unique, wait_for
from embedded.tests.integration.test_sagemaker_training import long_job, secondary_status
from embedded.tests.integration.test_sagemaker_transform import SETOSA, ended, transform_job
from embedded.tests.integration.test_sagemaker_tuning import ended as tuning_ended
from embedded.tests.integration.test_sagemaker_tuning import (
    slow_definition,
    training_jobs,
    tuning_job,
)
from embedded_aws.testing import running_embedded_aws


def test_an_endpoint_answers_after_a_restart_and_unfinished_jobs_have_failed(
    tmp_path: Path,
) -> None:
    with running_embedded_aws(tmp_path) as before:
        workshop = open_workshop(before)
        model = workshop.model()
        endpoint = workshop.endpoint(workshop.config(model))
        workshop.put("batch/a.csv", SETOSA)
        done = unique("transform")
        workshop.sagemaker.create_transform_job(**transform_job(workshop, done, model, "batch/"))
        ended(workshop, done)
        queue = workshop.watch("SageMaker Training Job State Change")
        (job,) = workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"]
        unfinished = unique("job")
        workshop.sagemaker.create_training_job(**long_job(workshop, unfinished))
        wait_for(lambda: secondary_status(workshop, unfinished) == "Training")
        tuning = unique("tune")
        workshop.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, tuning, TrainingJobDefinition=slow_definition(workshop))
        )
        wait_for(lambda: len(training_jobs(workshop, tuning)) == 2)
        undone = unique("transform")
        workshop.put("slow/a.csv", b"\n".join([SETOSA] * 20_000))
        workshop.sagemaker.create_transform_job(
            **transform_job(workshop, undone, model, "slow/", BatchStrategy="SingleRecord")
        )
        while workshop.receive(queue):
            pass

    with running_embedded_aws(tmp_path) as after:
        workshop = Workshop(after, workshop.bucket)
        client = workshop.sagemaker
        trained = client.describe_training_job(TrainingJobName=job["TrainingJobName"])
        assert trained["TrainingJobStatus"] == "Completed"
        assert trained["CreationTime"] == job["CreationTime"]

        failed = workshop.ended(unfinished)
        assert failed["TrainingJobStatus"] == "Failed"
        assert "restarted" in failed["FailureReason"]
        heard_of: set[str] = set()

        def told_of_it() -> bool:
            details = [event["detail"] for event in workshop.receive(queue)]
            heard_of.update(detail["TrainingJobName"] for detail in details)
            return unfinished in heard_of

        wait_for(told_of_it)
        tuned = tuning_ended(workshop, tuning)
        assert tuned["HyperParameterTuningJobStatus"] == "Failed"
        assert "restarted" in tuned["FailureReason"]
        assert tuned["TrainingJobStatusCounters"]["RetryableError"] == 2
        assert ended(workshop, done)["TransformJobStatus"] == "Completed"
        assert ended(workshop, undone)["TransformJobStatus"] == "Failed"

        answer = workshop.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=b"5.1,3.5,1.4,0.2", ContentType="text/csv"
        )
        assert json.loads(answer["Body"].read()) == {"predictions": [{"predicted_label": 0.0}]}


def test_waiting_requests_and_scaling_go_on_after_a_restart(tmp_path: Path) -> None:
    target = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    with running_embedded_aws(tmp_path) as before:
        workshop = open_workshop(before)
        endpoint = workshop.endpoint(workshop.async_config(workshop.model()))
        target["ResourceId"] = f"endpoint/{endpoint}/variant/AllTraffic"
        scale(workshop, endpoint, 0)
        waiting = workshop.runtime.invoke_endpoint_async(
            EndpointName=endpoint, Body=b"5.1,3.5,1.4,0.2", ContentType="text/csv"
        )
        scaling = before.client("application-autoscaling")
        scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)

    with running_embedded_aws(tmp_path) as after:
        workshop = Workshop(after, workshop.bucket)
        found = after.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker"
        )
        assert [item["ResourceId"] for item in found["ScalableTargets"]] == [target["ResourceId"]]
        assert not workshop.exists(waiting["OutputLocation"])
        scale(workshop, endpoint, 1)
        wait_for(lambda: workshop.exists(waiting["OutputLocation"]))
        assert b"predicted_label" in workshop.read(waiting["OutputLocation"])


def scale(workshop: Workshop, endpoint: str, count: int) -> None:
    """Give an endpoint so many instances."""
    workshop.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )
    workshop.settled(endpoint)
