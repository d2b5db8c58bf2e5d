"""What the tasks of the state machines answer when they are mocked."""

from typing import Any

from embedded_aws.mocks import fails, gives

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SCALING = "arn:aws:application-autoscaling:us-east-1:000000000000"
EXECUTIONS = "arn:aws:states:us-east-1:000000000000:execution:retire-endpoints"
ACCURACY = {"MetricName": "test:accuracy", "Value": 0.97, "Timestamp": 1795478400000}
ERROR = {"MetricName": "test:mse", "Value": 0.03, "Timestamp": 1795478400000}


def job(status: str = "Completed", **more: Any) -> dict[str, Any]:
    return gives({"TrainingJobName": "iris", "TrainingJobStatus": status, **more})


def trained(*metrics: dict[str, Any]) -> dict[str, Any]:
    artefact = {"S3ModelArtifacts": "s3://runs/model/output/model.tar.gz"}
    return job(ModelArtifacts=artefact, FinalMetricDataList=list(metrics))


def validated(**refusal: str) -> dict[str, Any]:
    payload: dict[str, Any] = {"rows": 38, "accuracy": 0.95, "macro_f1": 0.94}
    if refusal:
        payload["refusal"] = refusal
    return gives({"StatusCode": 200, "Payload": payload})


def endpoint(status: str, **more: str) -> dict[str, Any]:
    return gives({"EndpointName": "iris", "EndpointStatus": status, **more})


def metered(
    requests: float = 200, errors: float = 0, milliseconds: float = 20, live: float = 20
) -> dict[str, Any]:
    """What the metrics tell of a model that is tried: means of one minute, in which all came."""
    sums = {"latency": milliseconds * 1000, "live_latency": live * 1000}
    values = {"requests": requests, "errors": errors, **sums, "answers": 1, "live_answers": 1}
    results = [{"Id": name, "Values": [value] if value else []} for name, value in values.items()]
    return gives({"MetricDataResults": results})


def tried(**problem: str) -> dict[str, Any]:
    """How an execution of the canary's state machine ends."""
    done = {"percent": 5, "minutes": 10, "requests": 200, "errors": 0}
    done |= {"milliseconds": 20, "live_milliseconds": 20}
    output = {"outcome": "Tried", "tried": done, "problem": problem or None}
    return gives({"ExecutionArn": f"{EXECUTIONS}:canary", "Status": "SUCCEEDED", "Output": output})


def deployed(problem: dict[str, str] | None = None) -> dict[str, Any]:
    """How an execution ends that deploys an endpoint."""
    outcome = "NotInService" if problem else "InService"
    output = {"run": "iris", "outcome": outcome, "problem": problem}
    return gives({"ExecutionArn": f"{EXECUTIONS}:iris", "Status": "SUCCEEDED", "Output": output})


OVERTAKEN = gives({"Output": {"outcome": "Overtaken", "tried": None, "problem": None}})
TAKEN = fails("SageMaker.ResourceInUseException", "Training job names must be unique.")
NOT_FOUND = fails("SageMaker.SageMakerException", 'Could not find endpoint "iris".')
DENIED = fails(
    "SageMaker.SageMakerException",
    "User: arn:aws:sts::000000000000:assumed-role/machine/iris is not authorized to perform: "
    f"sagemaker:DescribeEndpoint on resource: {ARN}:endpoint/iris",
)
LISTED = gives({"Endpoints": [{"EndpointName": "iris", "EndpointStatus": "InService"}]})
NONE_LISTED = gives({"Endpoints": []})
THROTTLED = fails("SageMaker.SageMakerException", "Rate exceeded")
TIMED_OUT = {"Throw": {"Error": "States.Timeout"}}
NOTHING: dict[str, Any] = {}
"""No answer: the task is run."""
# All goes well; a scenario says what goes otherwise.
WELL = {
    "Train": trained(ERROR, ACCURACY),
    "Describe training job": trained(ACCURACY),
    "Deploy endpoint": deployed(),
    "Stop deploying": gives({"StopDate": 1795478400}),
    "Create model": gives({"ModelArn": f"{ARN}:model/iris"}),
    "Create endpoint configuration": gives({"EndpointConfigArn": f"{ARN}:endpoint-config/iris"}),
    "Create endpoint": gives({"EndpointArn": f"{ARN}:endpoint/iris"}),
    "Describe endpoint": endpoint("InService"),
    "Validate": validated(),
    "Try on some requests": tried(),
    "Look at tried endpoint": endpoint("InService"),
    "Read metrics": metered(),
    "Scale": gives({"ExecutionArn": f"{EXECUTIONS}:new", "StartDate": 1795478400}),
    "Report": gives({"StatusCode": 200, "Payload": {"status": "Live"}}),
    "Retire": gives({"ExecutionArn": f"{EXECUTIONS}:old", "StartDate": 1795478400}),
    "Set log retention": gives({}),
    "Register endpoint": gives({"ScalableTargetARN": f"{SCALING}:scalable-target/1"}),
    "Let requests wake it": gives({"PolicyARN": f"{SCALING}:scalingPolicy:1", "Alarms": []}),
    "Watch for requests": gives({}),
    "Follow load": gives({"PolicyARN": f"{SCALING}:scalingPolicy:2", "Alarms": []}),
    "Stop scaling": gives({}),
    "Delete wake alarm": gives({}),
    "Look for endpoint": endpoint("InService"),
    "List endpoints": NONE_LISTED,
    "Let its log expire": gives({}),
    "Delete endpoint": gives({}),
    "Delete endpoint configuration": gives({}),
    "Delete model": gives({}),
}
FUNCTIONS = {name: WELL[name] for name in ("Validate", "Report")}
