"""Jobs as Step Functions' ``.sync`` tasks see them.

Source: Step Functions developer guide, "Create and manage Amazon SageMaker AI jobs".
"""

from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker.jobs import TRAINING, TRANSFORM, TUNING, JobKind

# By the name of the task.
SYNCHRONOUS = {
    "createTrainingJob": TRAINING,
    "createHyperParameterTuningJob": TUNING,
    "createTransformJob": TRANSFORM,
}


def with_execution_tags(request: Document, execution_arn: str) -> Document:
    """The request with the tags by which Step Functions knows its jobs' events again.

    Source: a result of createHyperParameterTuningJob.sync that its user keeps as a test's data,
    with these two under ``Tags``.
    """
    own = {
        "AWS_STEP_FUNCTIONS_EXECUTION_ARN": execution_arn,
        "MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS",
    }
    tags = [{"Key": key, "Value": value} for key, value in own.items()]
    return {**request, "Tags": [*request.get("Tags", []), *tags]}


def task_result(kind: JobKind, scope: Scope, job: Document) -> Document:
    """What a task gives of a job that has ended, or has as its cause if the job failed.

    It is what the job's event tells; of a tuning job's best training job that is the name.
    """
    result = kind.event_detail(scope, job)
    if kind is TUNING:
        for member in ("TrainingJobStatusCounters", "ObjectiveStatusCounters"):
            result.pop(member, None)
        if "BestTrainingJob" in result:
            best = result["BestTrainingJob"]
            result["BestTrainingJob"] = {"TrainingJobName": best["TrainingJobName"]}
    return result
