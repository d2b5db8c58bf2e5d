"""The state machines as they are, on the embedded Step Functions, through all that can happen.

Some scenarios use the embedded SageMaker; in the others the tasks' results are mocked, errors
included. Functions are mocked always: the end to end tests run them. The registry is always real.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from embedded_aws.mocks import Answers, configure, fails, gives, mock_configuration
from embedded_aws.testing import EmbeddedAws, running_embedded_aws
from tests.deployed import wait_for
from tests.iris import introduction_split
from tests.mocked_tasks import (
    ACCURACY,
    DENIED,
    ERROR,
    FUNCTIONS,
    LISTED,
    NOT_FOUND,
    NOTHING,
    OVERTAKEN,
    TAKEN,
    TIMED_OUT,
    WELL,
    deployed,
    endpoint,
    job,
    metered,
    trained,
    tried,
    validated,
)
from tests.records import as_records
from tests.states_language import (
    ROOT,
    Part,
    branches,
    called,
    definition,
    expressions,
    handler_of,
    input_shape,
    output_shape,
    parts,
    problems,
    substituted,
)

ALGORITHM = {
    "TrainingImage": "382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1",
    "ContentType": "application/x-recordio-protobuf",
    "AccuracyMetric": "test:accuracy",
}
ROLE = "arn:aws:iam::000000000000:role/sagemaker"
RUN = definition("train_deploy_validate.asl.json")
DEPLOY = definition("deploy_endpoint.asl.json")
RETIRE = definition("retire_endpoints.asl.json")
SCALE = definition("scale_endpoint.asl.json")
CANARY = definition("canary.asl.json")
STATES: dict[str, dict[str, Any]] = (
    RUN["States"] | DEPLOY["States"] | CANARY["States"] | RETIRE["States"] | SCALE["States"]
)
"""The states of all, whose names differ."""

TASKS = [name for name, state in STATES.items() if state["Type"] == "Task"]
STARTS = ("Deploy endpoint", "Try on some requests", "Scale", "Retire")
"""What starts an execution of another state machine."""
SECURED = {
    "EndpointKind": "async",
    "EncryptionKeyArn": "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d",
    "VpcSubnetIds": "subnet-0a1b2c3d",
    "VpcSecurityGroupIds": "sg-0a1b2c3d,sg-1a2b3c4d",
}
OF_NO_RUN = {
    "deploy": DEPLOY,
    "secured deploy": DEPLOY,
    "canary": CANARY,
    "retire": RETIRE,
    "scale": SCALE,
}
"""The definitions of what runs start."""
# What a template's parameters make of the definition: a state machine each.
KINDS: dict[str, dict[str, str]] = {
    **{kind: {"EndpointKind": kind} for kind in ("serverless", "async", "realtime")},
    "secured": SECURED,
    **{kind: {"EndpointKind": ""} for kind in OF_NO_RUN},
    "secured deploy": SECURED,
}
BUCKET = "runs-of-the-state-machine"
TABLE = "registry-of-the-state-machine"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function"
STATE_MACHINES = "arn:aws:states:us-east-1:000000000000:stateMachine"
SUBSTITUTIONS = {
    "Partition": "aws",
    "StackName": "knn-pipeline",
    "Algorithm": str(ALGORITHM),
    "RunsBucket": BUCKET,
    "RegistryTable": TABLE,
    "SageMakerRoleArn": ROLE,
    "ValidateFunctionArn": f"{FUNCTION}:validate",
    "ReportFunctionArn": f"{FUNCTION}:report",
    "TrainingInstanceType": "ml.m5.large",
    "TrainingVolumeSizeInGB": "10",
    "EndpointInstanceType": "ml.m5.large",
    "ServerlessMemorySizeInMB": "2048",
    "ServerlessMaxConcurrency": "5",
    "ServerlessProvisionedConcurrency": "0",
    "EndpointMinInstances": "1",
    "EndpointMaxInstances": "2",
    "InvocationsPerInstance": "600",
    "LogRetentionInDays": "30",
    "DeployEndpointArn": f"{STATE_MACHINES}:train-deploy-validate-deploy",
    "CanaryArn": f"{STATE_MACHINES}:train-deploy-validate-canary",
    "ScaleEndpointArn": f"{STATE_MACHINES}:train-deploy-validate-scale",
    "RetireEndpointsArn": f"{STATE_MACHINES}:train-deploy-validate-retire",
    "EncryptionKeyArn": "",
    "VpcSubnetIds": "",
    "VpcSecurityGroupIds": "",
}

# --- what happens ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """What is asked, what tasks answer to each attempt, and what comes of it.

    The last answer of a task is given again and again. ``end`` is the outcome of an execution that
    succeeds, or the error of one that fails. Report is told the ``outcome``, if that isn't the
    end, and the ``problem``: a code, or the name of an error.
    """

    name: str
    end: str
    answers: Answers = field(default_factory=dict)
    problem: str | None = None
    outcome: str = ""
    kind: str = "serverless"
    input: dict[str, Any] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)  # in the registry, before
    own: dict[str, str] = field(default_factory=dict)  # in the run's own item
    tried: dict[str, str] = field(default_factory=dict)  # beside the live one, before
    pinned: bool = False
    real: bool = False  # on the embedded SageMaker, but for what has answers
    through: tuple[str, ...] = ()  # in this order, others between
    not_through: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return uuid.uuid5(uuid.NAMESPACE_OID, self.name).hex[:8]

    @property
    def dataset(self) -> str:
        words = re.sub("[^a-z0-9]+", "-", self.name.lower())[:20].strip("-")
        return f"{words}-{self.digest}"

    @property
    def run(self) -> str:
        return f"{self.dataset}-20261124T120000Z-{self.digest}"

    @property
    def is_of_a_run(self) -> bool:
        """Whether it is one of a run, and not of what runs start."""
        return self.kind not in OF_NO_RUN

    @property
    def request(self) -> dict[str, Any]:
        dropped = "2026-11-24T12:00:00Z#0"
        of_split = {"dataset": self.dataset, "dropped": dropped, "hyperparameters": OF_SPLIT}
        return {"run": self.run, **(self.input or of_split)}

    @property
    def told_outcome(self) -> str:
        return self.outcome or (self.end if self.end in OUTCOMES else "Failed")


OF_SPLIT = {
    "predictor_type": "classifier",
    "k": "5",
    "feature_dim": "4",
    "index_metric": "L2",
    "index_type": "faiss.Flat",
    "sample_size": "112",
}
OUTCOMES = ("Live", "Refused", "Superseded", "Held")
OLD, OLDEST = "old-20261123T120000Z-00000000", "oldest-20261122T120000Z-00000000"
OLDER = {
    "run": OLD,
    "dropped": "2026-11-23T12:00:00Z#0",
    "endpoint_kind": "serverless",
    "previous_run": OLDEST,
    "previous_kind": "serverless",
}
NEWER = OLDER | {"run": "new-20261125T120000Z-00000000", "dropped": "2026-11-25T12:00:00Z#0"}
OWN = OLDER | {"run": "own", "dropped": "2026-11-24T12:00:00Z#0"}
"""The run itself is live already."""
REPLACED_OLD = {"replaced": OLD, "replaced_kind": "async"}
"""The run was promoted, as its own item tells."""
RESTORING = {
    "dataset": "any",
    "dropped": "2026-11-24T12:00:00Z#0",
    "restores": OLDEST,
    "endpoint_kind": "realtime",
    "pins": False,
}
TO_BE_TRIED = {
    "dataset": "any",
    "dropped": "2026-11-24T12:00:00Z#0",
    "hyperparameters": OF_SPLIT,
    "canary": {"percent": 5, "minutes": 10},
}
MODEL = "s3://runs/model/output/model.tar.gz"
DEPLOYMENT = {"model_uri": MODEL, "endpoint_kind": "serverless", "restores": ""}
TRIAL = {"live_run": OLD, "dropped": "2026-11-24T12:00:00Z#0", "percent": 5, "minutes": 2}
LATER = {"run": "new-20261125T120000Z-00000000", "dropped": "2026-11-25T12:00:00Z#0"}
EARLIER = {"run": OLDEST, "dropped": "2026-11-23T18:00:00Z#0"}
ITSELF = {"run": "own", "dropped": "2026-11-24T12:00:00Z#0"}
BAD = {"code": "CanaryFailed", "message": "It failed 3 of 200 requests.", "remedy": "Fix it."}
CANCELED = fails(
    "DynamoDb.TransactionCanceledException",
    "Transaction cancelled, please refer cancellation reasons for specific reasons "
    "[ConditionalCheckFailed, None, None] (Service: DynamoDb, Status Code: 400)",
)
STOPPED = ("Good so far?", "Stop sharing", "Tried")
KINDS_OF_ENDPOINTS = ("serverless", "async", "realtime")
CREATE = ("Create model", "Create endpoint configuration", "Create endpoint")
DELETE = ("Delete endpoint", "Delete endpoint configuration", "Delete model")
POOR = {"code": "NotBetterThanBaseline", "message": "It is no better.", "remedy": "Add columns."}
REFUSAL = {"code": "NoLabel", "message": "No column is the label.", "remedy": "Name it."}
BROKEN = {"Train": [TAKEN], "Describe training job": [job("Failed", FailureReason="ClientError")]}


DENIED_FIRST = {
    "Create model": [fails("SageMaker.ResourceLimitExceededException")],
    "Create endpoint configuration": [NOT_FOUND],
    "Create endpoint": [fails("SageMaker.AmazonSageMakerException")],
    "Describe endpoint": [NOT_FOUND],
}
NOT_STARTED = {"code": "EndpointFailed", "message": "It did not start.", "remedy": "Try again."}


def failed(reason: str) -> dict[str, Any]:
    """A job that ``.sync`` has followed to its failure."""
    description = {"TrainingJobStatus": "Failed", "FailureReason": reason}
    return fails("States.TaskFailed", json.dumps(description))


def deployment(name: str, answers: Answers | None = None, **more: Any) -> Scenario:
    """A scenario of the state machine that deploys an endpoint of a kind."""
    of_kind, restores = more.pop("of_kind", "serverless"), more.pop("restores", "")
    asked = {"model_uri": MODEL, "endpoint_kind": of_kind, "restores": restores}
    end = "NotInService" if "problem" in more else "InService"
    return Scenario(name, end, answers or {}, **{"kind": "deploy", "input": asked} | more)


def trial(name: str, answers: Answers | None = None, **more: Any) -> Scenario:
    """A scenario of the state machine that tries a model beside a live one."""
    end = more.pop("end", "Tried")
    live = more.pop("live", OLDER)
    return Scenario(name, end, answers or {}, kind="canary", input=TRIAL, live=live, **more)


def retirement(name: str, answers: Answers | None = None, **more: Any) -> Scenario:
    """A scenario of the state machine that retires endpoints."""
    drain = {"drain_seconds": more.pop("drain_seconds")} if "drain_seconds" in more else {}
    end = more.pop("end", "Retired")
    return Scenario(name, end, answers or {}, kind="retire", input={"of": "a run"} | drain, **more)


def scaling(name: str, of_kind: str, **more: Any) -> Scenario:
    """A scenario of the state machine that lets an endpoint of a kind scale."""
    return Scenario(name, "Scaled", kind="scale", input={"endpoint_kind": of_kind}, **more)


SCENARIOS = [
    Scenario("a serverless endpoint goes live", "Live", real=True, not_through=("Retire",)),
    Scenario("an asynchronous endpoint goes live", "Live", kind="async", real=True),
    Scenario("a real-time endpoint goes live", "Live", kind="realtime", real=True),
    Scenario(
        "a poor model is deployed and deleted",
        "Refused",
        {"Validate": [validated(**POOR)]},
        "NotBetterThanBaseline",
        real=True,
        through=("Validate", "Good enough?", "Report", "Retire"),
        not_through=("Promote", "Scale"),
    ),
    Scenario(
        "a run began before an update",
        "RunFailed",
        problem="BegunBeforeUpdate",
        input={"dataset": "any", "dropped": "2026-11-24T12:00:00Z#0", "feature_dim": 4},
        through=("What is asked?", "Report"),
        not_through=("Train", "Retire"),
    ),
    Scenario(
        "a file was refused",
        "Refused",
        problem="NoLabel",
        input={"dataset": "any", "dropped": "2026-11-24T12:00:00Z#0", "refusal": REFUSAL},
        through=("What is asked?", "Report"),
        not_through=("Train", "Retire"),
    ),
    Scenario(
        "a large file could not be prepared",
        "RunFailed",
        problem="States.TaskFailed",
        input={
            "dataset": "any",
            "dropped": "2026-11-24T12:00:00Z#0",
            "failure": {"Error": "States.TaskFailed", "Cause": "as a test"},
        },
        through=("What is asked?", "Report"),
        not_through=("Train",),
    ),
    # Training.
    Scenario("the training measures no accuracy", "Live", {"Train": [trained(ERROR)]}),
    Scenario(
        "the training of an earlier attempt ends well",
        "Live",
        {"Train": [TAKEN], "Describe training job": [job("InProgress"), trained(ACCURACY)]},
        through=("Train", "Wait for training", "Describe training job", "Trained?"),
    ),
    Scenario(
        "the training of an earlier attempt failed",
        "RunFailed",
        BROKEN,
        "TrainingFailed",
        through=("Describe training job", "Trained?", "Report", "Retire"),
        not_through=("Deploy endpoint",),
    ),
    Scenario(
        "the training of an earlier attempt never ends",
        "RunFailed",
        {"Train": [TAKEN], "Describe training job": [job("InProgress")]},
        "TrainingFailed",
    ),
    Scenario(
        "a job finds no instance, and another does",
        "Live",
        {"Train": [failed("CapacityError: no instance"), trained(ACCURACY)]},
        through=("Train", "Trained?", "Train", "Deploy endpoint"),
    ),
    Scenario(
        "the job of an earlier attempt broke, and another does not",
        "Live",
        {
            "Train": [TAKEN, trained(ACCURACY)],
            "Describe training job": [job("Failed", FailureReason="InternalServerError: broken")],
        },
        through=("Describe training job", "Trained?", "Train", "Deploy endpoint"),
    ),
    Scenario(
        "no job finds an instance",
        "RunFailed",
        {"Train": [failed("CapacityError: no instance")]},
        "TrainingFailed",
        through=("Train", "Trained?", "Train", "Trained?", "Train", "Trained?", "Report"),
    ),
    Scenario(
        "the algorithm fails",
        "RunFailed",
        {"Train": [failed("AlgorithmError: broken")]},
        "TrainingFailed",
        through=("Train", "Trained?", "Report"),
    ),
    Scenario("a key and a network go with all that is made", "Live", kind="secured"),
    # The endpoint.
    Scenario(
        "the endpoint fails",
        "RunFailed",
        {"Deploy endpoint": [deployed(NOT_STARTED)]},
        "EndpointFailed",
        through=("Is it deployed?", "Report", "Retire"),
        not_through=("Validate",),
    ),
    Scenario(
        "the endpoint is not created",
        "RunFailed",
        {"Deploy endpoint": [deployed({"Error": "SageMaker.SageMakerException", "Cause": "No"})]},
        "SageMaker.SageMakerException",
        through=("Is it deployed?", "Report", "Retire"),
    ),
    *(deployment(f"a deployment: {kind}", of_kind=kind) for kind in KINDS_OF_ENDPOINTS),
    deployment("a deployment with a key and a network", of_kind="async", kind="secured deploy"),
    deployment(
        "an endpoint is waited for",
        {"Describe endpoint": [endpoint("Creating"), endpoint("InService")]},
        through=("Describe endpoint", "Wait for endpoint", "Describe endpoint", "In service"),
    ),
    *(
        deployment(
            f"an endpoint does not start: {kind}",
            {"Describe endpoint": [endpoint("Failed", FailureReason="No capacity")]},
            problem="EndpointFailed",
            of_kind=kind,
            restores="" if kind == "serverless" else OLD,
        )
        for kind in KINDS_OF_ENDPOINTS
    ),
    deployment(
        "what was created is this run's own, though no answer came",
        {
            "Create model": [fails("SageMaker.AmazonSageMakerException", "already existing model")],
            "Create endpoint configuration": [TIMED_OUT],
            "Create endpoint": [TIMED_OUT],
        },
        through=(*CREATE, "Describe endpoint", "In service"),
    ),
    deployment(
        "the first error is told of a model that is not created",
        DENIED_FIRST,
        problem="SageMaker.ResourceLimitExceededException",
        through=(*CREATE, "Describe endpoint", "Not in service"),
    ),
    deployment(
        "an endpoint never gets into service",
        {"Describe endpoint": [endpoint("Creating")]},
        problem="EndpointFailed",
    ),
    # Promotion.
    Scenario(
        "a model is replaced",
        "Live",
        live=OLDER,
        through=("Promote", "Scale", "Report", "Retire"),
    ),
    Scenario(
        "an asynchronous model is replaced",
        "Live",
        live=OLDER | {"endpoint_kind": "async"},
        through=("Promote", "Report", "Retire"),
    ),
    Scenario(
        "a later file is live",
        "Superseded",
        live=NEWER,
        problem="Superseded",
        through=("Read registry", "May it go live?", "Report", "Retire"),
        not_through=("Promote", "Scale"),
    ),
    Scenario(
        "a run was promoted already",
        "Live",
        own=REPLACED_OLD,
        live=NEWER,
        through=("Read registry", "May it go live?", "Report", "Retire"),
        not_through=("Promote",),
    ),
    Scenario(
        "a run was promoted by a release that noted it on the pointer only",
        "Live",
        live=OWN,
        through=("Read registry", "May it go live?", "Report", "Retire"),
        not_through=("Promote",),
    ),
    Scenario(
        "a promotion fails and its write has not come by then",
        "RunFailed",
        {"Promote": [TIMED_OUT]},
        "States.Timeout",
        through=("Promote", "Rule out promotion", "Read registry", "Report", "Retire"),
    ),
    Scenario(
        "what changes before a promotion is looked at again",
        "Live",
        {"Promote": [CANCELED, NOTHING]},
        live=OLDER,
        through=("Read registry", "Promote", "Read registry", "Promote", "Report", "Retire"),
    ),
    Scenario(
        "a dataset is pinned between the look and the promotion",
        "Held",
        {"Read registry": [gives({"Responses": [{}, {}, {}]}), NOTHING]},
        "Pinned",
        pinned=True,
        through=("Read registry", "Promote", "Read registry", "Report", "Retire"),
    ),
    Scenario(
        "a later file goes live between the look and the promotion",
        "Superseded",
        {"Read registry": [gives({"Responses": [{}, {}, {}]}), NOTHING]},
        "Superseded",
        live=NEWER,
        through=("Read registry", "Promote", "Read registry", "Report", "Retire"),
    ),
    Scenario(
        "a run whose promotion was ruled out is not promoted any more",
        "RunFailed",
        own={"ruled_out": "2026-11-24T12:01:00Z"},
        problem="DynamoDb.TransactionCanceledException",
        live=OLDER,
    ),
    Scenario(
        "a run that has ended is not promoted any more",
        "RunFailed",
        own={"status": "Failed"},
        problem="DynamoDb.TransactionCanceledException",
    ),
    # What is held, and what is restored.
    Scenario(
        "a model of a pinned dataset is held",
        "Held",
        pinned=True,
        live=OLDER,
        problem="Pinned",
        through=("Read registry", "Report", "Retire"),
        not_through=("Promote",),
    ),
    Scenario(
        "a model of a pinned dataset without a live one is held",
        "Held",
        pinned=True,
        problem="Pinned",
    ),
    Scenario(
        "an upload asked not to be promoted",
        "Held",
        problem="PromotionNotWanted",
        input={
            "dataset": "any",
            "dropped": "2026-11-24T12:00:00Z#0",
            "hyperparameters": OF_SPLIT,
            "endpoint_kind": "async",
            "promote": False,
        },
        live=OLDER,
        not_through=("Promote",),
    ),
    Scenario(
        "a model is restored without training",
        "Live",
        input=RESTORING,
        live=OLDER,
        through=("What is asked?", "Deploy endpoint", "Validate", "Promote", "Report", "Retire"),
        not_through=("Train",),
    ),
    Scenario(
        "a repair leaves the pin as it is",
        "Live",
        input=RESTORING | {"repairs": True},
        live=OLDER,
        pinned=True,
        through=("Promote", "Report", "Retire"),
        not_through=("Train",),
    ),
    Scenario(
        "a rollback overrides a pin",
        "Live",
        input=RESTORING | {"pins": True},
        live=OLDER,
        pinned=True,
        through=("Promote", "Report", "Retire"),
        not_through=("Train",),
    ),
    # A share of the requests.
    Scenario(
        "a model is tried before it goes live",
        "Live",
        input=TO_BE_TRIED,
        live=OLDER,
        through=("Try on some requests", "Read registry", "Promote", "Report", "Retire"),
    ),
    Scenario(
        "a model that is tried does badly",
        "Refused",
        {"Try on some requests": [tried(**BAD)]},
        "CanaryFailed",
        input=TO_BE_TRIED,
        live=OLDER,
        through=("Try on some requests", "Report", "Send it no requests", "Retire"),
        not_through=("Promote",),
    ),
    Scenario(
        "the first model of a dataset is not tried",
        "Live",
        input=TO_BE_TRIED,
        not_through=("Try on some requests",),
    ),
    Scenario(
        "nothing is tried beside an asynchronous endpoint",
        "Live",
        input=TO_BE_TRIED,
        live=OLDER | {"endpoint_kind": "async"},
        not_through=("Try on some requests",),
    ),
    Scenario(
        "an asynchronous endpoint is not tried",
        "Live",
        input=TO_BE_TRIED | {"endpoint_kind": "async"},
        live=OLDER,
        not_through=("Try on some requests",),
    ),
    Scenario(
        "the live model changes while another is tried",
        "Live",
        {"Try on some requests": [OVERTAKEN, tried()]},
        input=TO_BE_TRIED,
        live=OLDER,
        through=("Try on some requests", "Read registry", "Try on some requests", "Promote"),
    ),
    Scenario(
        "a model of a later file is tried",
        "Superseded",
        problem="Superseded",
        live=OLDER,
        tried=LATER,
        not_through=("Promote",),
    ),
    Scenario("a model of an earlier file is tried", "Live", live=OLDER, tried=EARLIER),
    Scenario(
        "a rollback ends what is tried",
        "Live",
        input=RESTORING | {"pins": True},
        live=OLDER,
        tried=LATER,
    ),
    Scenario(
        "a run was interrupted while its model was tried",
        "RunFailed",
        problem="Interrupted",
        input={"interrupted": "ABORTED"},
        live=OLDER,
        tried=ITSELF,
        through=("Stop deploying", "Rule out promotion", "Report", "Send it no requests", "Retire"),
    ),
    trial(
        "a model does well",
        through=("Share requests", "Let requests come", "Read metrics", "Let requests come"),
        not_through=("Stop sharing",),
    ),
    trial("nobody asks a model", {"Read metrics": [gives({"MetricDataResults": []})]}),
    trial("a model takes the place of an earlier one that is tried", tried=EARLIER),
    trial("a model of a later file is tried already", end="Overtaken", tried=LATER),
    trial("another model is live already", end="Overtaken", live=NEWER),
    trial("a model is pinned meanwhile", {"Read pointer": [gives({"Item": {}})]}, end="Overtaken"),
    trial("a model fails requests", {"Read metrics": [metered(errors=3)]}, through=STOPPED),
    trial("a model is slow", {"Read metrics": [metered(milliseconds=500)]}, through=STOPPED),
    trial("an endpoint fails", {"Look at tried endpoint": [endpoint("Failed")]}, through=STOPPED),
    # Executions that were interrupted.
    Scenario(
        "a run was interrupted early",
        "RunFailed",
        problem="Interrupted",
        input={"interrupted": "TIMED_OUT"},
        through=("Rule out promotion", "Read registry", "Report", "Retire"),
    ),
    Scenario(
        "a run was interrupted when it was live",
        "Live",
        input={"interrupted": "ABORTED"},
        live=OWN,
        through=("Rule out promotion", "Read registry", "Scale", "Report", "Retire"),
    ),
    Scenario(
        "a run was interrupted between its promotion and the next",
        "Live",
        input={"interrupted": "ABORTED"},
        own=REPLACED_OLD,
        live=NEWER,
        through=("Rule out promotion", "Read registry", "Report", "Retire"),
        not_through=("Scale",),
    ),
    Scenario(
        "the registry can't tell what was interrupted",
        "RunFailed",
        {"Read registry": [fails("DynamoDb.InternalServerErrorException")]},
        "DynamoDb.InternalServerErrorException",
        input={"interrupted": "ABORTED"},
        not_through=("Retire",),
    ),
    # What is deleted in the end.
    Scenario(
        "a file failed to become a model",
        "RunFailed",
        {"Train": [DENIED]},
        "SageMaker.SageMakerException",
    ),
    scaling(
        "the log of a serverless endpoint expires",
        "serverless",
        through=("Set log retention", "Does it scale?", "Scaled"),
        not_through=("Register endpoint",),
    ),
    scaling(
        "an asynchronous endpoint can be woken before it can go to sleep",
        "async",
        through=("Register endpoint", "Let requests wake it", "Watch for requests", "Follow load"),
    ),
    scaling(
        "a real-time endpoint scales by its invocations",
        "realtime",
        through=("Register endpoint", "Does it sleep?", "Follow load"),
        not_through=("Let requests wake it", "Watch for requests"),
    ),
    retirement(
        "an endpoint is retired by hand",
        through=("Let requests drain", "Stop scaling", "Delete wake alarm", *DELETE),
    ),
    retirement("an endpoint is given time to answer", drain_seconds=1200),
    retirement(
        "there is nothing to retire",
        {
            "Look for endpoint": [NOT_FOUND],
            "Delete endpoint configuration": [NOT_FOUND],
            "Delete model": [NOT_FOUND],
        },
        through=("List endpoints", "Delete endpoint configuration", "Delete model"),
        not_through=("Delete endpoint",),
    ),
    retirement(
        "what is not there is denied",
        {"Look for endpoint": [DENIED]},
        through=("List endpoints", "Delete endpoint configuration", "Delete model"),
        not_through=("Delete endpoint",),
    ),
    retirement(
        "the deletion of an endpoint is denied",
        {"Delete endpoint": [DENIED], "List endpoints": [LISTED]},
        end="EndpointLeftBehind",
        through=("Delete endpoint", "List endpoints", "Left behind"),
        not_through=("Delete endpoint configuration", "Delete model"),
    ),
    retirement(
        "nobody can tell whether there is an endpoint",
        {"Look for endpoint": [DENIED], "List endpoints": [DENIED]},
        end="EndpointLeftBehind",
        not_through=("Delete endpoint configuration",),
    ),
    retirement(
        "an endpoint that changes is deleted later",
        {"Look for endpoint": [endpoint("Updating"), endpoint("InService")]},
        through=("Look for endpoint", "Wait until at rest", "Look for endpoint", *DELETE),
    ),
    retirement(
        "an endpoint that is being deleted is waited for",
        {"Look for endpoint": [endpoint("Deleting"), NOT_FOUND]},
        through=("Wait until at rest", "List endpoints", "Delete endpoint configuration"),
        not_through=("Delete endpoint",),
    ),
]

# --- each task, each Retry ---------------------------------------------------------------------

# How to get to a task, where that takes more than that all goes well.
WAYS: dict[str, dict[str, Any]] = {
    "Describe training job": {"answers": {"Train": [TAKEN]}},
    "Rule out promotion": {"answers": {"Promote": [TIMED_OUT]}},
    "Retire": {"live": OLDER},
    "Try on some requests": {"input": TO_BE_TRIED, "live": OLDER},
    "Send it no requests": {"answers": {"Validate": [validated(**POOR)]}},
    "Stop deploying": {"input": {"interrupted": "ABORTED"}},
    **{task: {"kind": "deploy", "input": DEPLOYMENT} for task in DEPLOY["States"]},
    **{task: {"kind": "canary", "input": TRIAL, "live": OLDER} for task in CANARY["States"]},
    "Stop sharing": {
        "kind": "canary",
        "input": TRIAL,
        "live": OLDER,
        "answers": {"Read metrics": [metered(errors=3)]},
    },
    **{task: {"kind": "retire", "input": {"of": "a run"}} for task in RETIRE["States"]},
    **{task: {"kind": "scale", "input": {"endpoint_kind": "async"}} for task in SCALE["States"]},
    "List endpoints": {
        "kind": "retire",
        "input": {"of": "a run"},
        "answers": {"Look for endpoint": [DENIED]},
    },
}
# What comes of an error of a task that no retry overcomes.
AFTER = dict.fromkeys(TASKS, "RunFailed") | {
    # An endpoint is there, so it was the answer that got lost.
    **dict.fromkeys(CREATE, "InService"),
    "Describe endpoint": "NotInService",
    **dict.fromkeys(CANARY["States"], "Tried"),
    "Scale": "EndpointNotScaled",
    "Set log retention": "Scaled",
    "Register endpoint": "EndpointNotScaled",
    "Let requests wake it": "EndpointNotScaled",
    "Watch for requests": "EndpointNotScaled",
    "Follow load": "EndpointNotScaled",
    "Stop scaling": "Retired",
    "Delete wake alarm": "Retired",
    "Report": "NotReported",
    "Retire": "EndpointLeftBehind",
    "Look for endpoint": "Retired",
    "Let its log expire": "Retired",
    "Delete endpoint": "Retired",
    "List endpoints": "EndpointLeftBehind",
    "Delete endpoint configuration": "Retired",
    "Delete model": "Retired",
}


def scenario_of(
    task: str, what: str, end: str, answers: list[dict[str, Any]], problem: str | None
) -> Scenario:
    """A scenario in which all goes well, but for one task."""
    way = WAYS.get(task, {})
    others: Answers = way.get("answers", {})
    if task == "Rule out promotion" and end != "RunFailed":
        end, problem = "RunFailed", "States.Timeout"
    elif task == "Stop deploying":
        end, problem = "RunFailed", "Interrupted"
    elif task == "Send it no requests":
        end, problem = "Refused", POOR["code"]
    elif end not in ("RunFailed", "NotInService"):
        problem = None
    return Scenario(
        f"{what}: {task}",
        end,
        others | {task: answers},
        problem,
        outcome="Live" if end in ("NotReported", "EndpointLeftBehind", "EndpointNotScaled") else "",
        kind=way.get("kind", "serverless"),
        input=way.get("input", {}),
        live=way.get("live", {}),
    )


def an_error(name: str) -> str:
    """An error of that name, or one that the name stands for."""
    return "NoAnswerInTime" if name == "States.TaskFailed" else name


def survived(task: str) -> Scenario:
    """Each error that is retried, once; then all is well."""
    names = [name for retry in STATES[task]["Retry"] for name in retry["ErrorEquals"]]
    answers = [fails(an_error(name)) for name in names]
    answers.append(WELL.get(task, NOTHING))
    ends = {"deploy": "InService", "canary": "Tried", "retire": "Retired", "scale": "Scaled"}
    end = ends.get(WAYS.get(task, {}).get("kind", ""), "Live")
    return scenario_of(task, "survived", end, answers, None)


def exhausted(task: str, retry: dict[str, Any]) -> Scenario:
    """An error that is retried, again and again."""
    error = an_error(retry["ErrorEquals"][0])
    return scenario_of(task, f"exhausted {error}", AFTER[task], [fails(error)], error)


def denied(task: str) -> Scenario:
    """An error that no Retry names."""
    error = "States.Permissions"
    return scenario_of(task, "denied", AFTER[task], [fails(error)], error)


EXHAUSTED = [(task, retry) for task in TASKS for retry in STATES[task]["Retry"]]
SCENARIOS += [survived(task) for task in TASKS]
SCENARIOS += [exhausted(task, retry) for task, retry in EXHAUSTED]
SCENARIOS += [denied(task) for task in TASKS]

# --- running them ------------------------------------------------------------------------------


@dataclass
class Visit:
    """A state that was entered, with the errors of its task, attempt by attempt."""

    state: str
    errors: list[str] = field(default_factory=list)
    succeeded: bool = False


@dataclass
class Execution:
    """What an execution did, by the trace, and how it ended."""

    description: dict[str, Any]
    trace: list[dict[str, Any]]

    @property
    def end(self) -> str:
        if self.description["status"] == "SUCCEEDED":
            return str(json.loads(self.description["output"])["outcome"])
        return str(self.description["error"])

    @property
    def visits(self) -> list[Visit]:
        """The states in order."""
        found: list[Visit] = []
        for entry in self.trace:
            event = str(entry.get("event", ""))
            if event.endswith("StateEntered"):
                found.append(Visit(entry["details"]["stateEnteredEventDetails"]["name"]))
            elif event == "TaskFailed":
                found[-1].errors.append(entry["details"]["taskFailedEventDetails"]["error"])
            elif event == "TaskSucceeded":
                found[-1].succeeded = True
        return found

    @property
    def states(self) -> list[str]:
        return [visit.state for visit in self.visits]

    def arguments(self, state: str) -> list[Any]:
        """What a task was given, attempt by attempt."""
        return [e["arguments"] for e in self.trace if e.get("state") == state and "arguments" in e]

    def values(self, state: str, expression: str) -> list[Any]:
        """What an expression gave, time by time."""
        asked = (state, expression)
        return [e["value"] for e in self.trace if (e.get("state"), e.get("expression")) == asked]

    def parts(self) -> Iterator[Part]:
        """Yield each part of the definition that it went through."""
        for visit, then in zip(self.visits, [*self.states[1:], ""], strict=True):
            name, state, errors = visit.state, STATES[visit.state], visit.errors
            caught = errors and not visit.succeeded
            for error in errors[:-1] if caught else errors:
                yield Part(name, f"Retry[{handler_of(state, 'Retry', error)}]")
            if caught:
                yield Part(name, f"Catch[{handler_of(state, 'Catch', errors[-1])}]")
            elif "Next" in state:
                yield Part(name, "Next")
            else:
                yield from (Part(name, way) for way, target in branches(state) if target == then)


def mocked_scenarios() -> dict[str, dict[str, Answers]]:
    """Each scenario as a test case of the state machine of its kind."""
    cases: dict[str, dict[str, Answers]] = {machine_name(kind): {} for kind in KINDS}
    for scenario in SCENARIOS:
        usual = FUNCTIONS if scenario.real else WELL
        answers: Answers = {name: [answer] for name, answer in usual.items()} | scenario.answers
        cases[machine_name(scenario.kind)][scenario.digest] = answers
    return cases


def machine_name(kind: str) -> str:
    return f"train-deploy-validate-{kind.replace(' ', '-')}"


def prepare(aws: EmbeddedAws) -> dict[str, str]:
    """Make bucket, registry and a state machine a kind of endpoint; their ARNs."""
    s3, dynamodb = aws.client("s3"), aws.client("dynamodb")
    s3.create_bucket(Bucket=BUCKET)
    train, test = introduction_split()
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("dataset", "sort")
        ],
        KeySchema=[
            {"AttributeName": "dataset", "KeyType": "HASH"},
            {"AttributeName": "sort", "KeyType": "RANGE"},
        ],
    )
    for scenario in SCENARIOS:
        if scenario.real:
            folder = f"runs/{scenario.run}"
            s3.put_object(Bucket=BUCKET, Key=f"{folder}/train/train.pbr", Body=as_records(train))
            s3.put_object(Bucket=BUCKET, Key=f"{folder}/test/test.pbr", Body=as_records(test))
        if scenario.live:
            own = {"run": scenario.run} if scenario.live is OWN else {}
            item = {**scenario.live, **own}
            put(dynamodb, scenario, "live", **item)
            if scenario.tried:
                let_try(dynamodb, scenario)
        if scenario.pinned:
            put(dynamodb, scenario, "pin", since="2026-11-24T00:00:00Z", run=OLD)
        standing = {"run": scenario.run, "status": "Training"}
        put(dynamodb, scenario, f"run#{scenario.run}", **{**standing, **scenario.own})
    configure(aws.endpoint_url, _sfn_mock_config=mock_configuration(mocked_scenarios()))
    return {
        kind: aws.client("stepfunctions").create_state_machine(
            name=machine_name(kind),
            definition=json.dumps(
                substituted(
                    OF_NO_RUN.get(kind, RUN),
                    SUBSTITUTIONS | KINDS[kind],
                )
            ),
            roleArn=ROLE,
        )["stateMachineArn"]
        for kind in KINDS
    }


def put(dynamodb: Any, scenario: Scenario, sort: str, **item: str) -> None:
    """Put an item of a scenario's dataset into the registry."""
    values = {"dataset": scenario.dataset, "sort": sort, **item}
    dynamodb.put_item(TableName=TABLE, Item={name: {"S": text} for name, text in values.items()})


def let_try(dynamodb: Any, scenario: Scenario) -> None:
    """Let a model be tried beside the live one, the scenario's own or another."""
    own = {"run": scenario.run} if scenario.tried is ITSELF else {}
    canary = {name: {"S": text} for name, text in (scenario.tried | own).items()}
    dynamodb.update_item(
        TableName=TABLE,
        Key={"dataset": {"S": scenario.dataset}, "sort": {"S": "live"}},
        UpdateExpression="SET canary = :canary",
        ExpressionAttributeValues={":canary": {"M": canary}},
    )


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """An embedded AWS that notes what executions do in the file ``trace`` of its state."""
    folder = tmp_path_factory.mktemp("state-machine")
    environment = {
        "TRACE_FILE": str(folder / "trace"),
        "SFN_WAIT_SCALE": "0",
        "LOG_LEVEL": "WARNING",
        # A quarter of an hour, after which an idle endpoint goes to sleep, takes 4.5 seconds.
        "SAGEMAKER_TIME_SCALE": "0.005",
        # Of the jobs that really run the first two fail.
        "SAGEMAKER_TRAINING_FAULTS": "CapacityError,InternalServerError",
    }
    server = "tests.integration.traced_server"
    with running_embedded_aws(folder, environment, module=server) as aws:
        yield aws


@pytest.fixture(scope="module")
def executions(traced: EmbeddedAws) -> dict[str, Execution]:
    """All scenarios, run at once, by their names."""
    machines, states = prepare(traced), traced.client("stepfunctions")
    started = {
        scenario.name: states.start_execution(
            stateMachineArn=f"{machines[scenario.kind]}#{scenario.digest}",
            name=scenario.run,
            input=json.dumps(scenario.request),
        )["executionArn"]
        for scenario in SCENARIOS
    }

    def described(arn: str) -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    ended = {name: wait_for(lambda arn=arn: described(arn)) for name, arn in started.items()}
    entries = defaultdict(list)
    for line in (traced.state_dir / "trace").read_text().splitlines():
        entry = json.loads(line)
        entries[entry["execution"]].append(entry)
    return {s.name: Execution(ended[s.name] or {}, entries[started[s.name]]) for s in SCENARIOS}


# --- what must be true of them -----------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_run_ends_and_is_reported_as_it_should_be(
    executions: dict[str, Execution], scenario: Scenario
) -> None:
    execution = executions[scenario.name]
    assert execution.end == scenario.end, execution.description
    states = iter(execution.states)
    assert all(state in states for state in scenario.through), execution.states
    assert not set(scenario.not_through) & set(execution.states)
    if scenario.kind.endswith("deploy"):
        problem = json.loads(execution.description["output"])["problem"] or {}
        assert problem.get("code", problem.get("Error")) == scenario.problem
    if not scenario.is_of_a_run:
        return
    (told,) = {json.dumps(given["Payload"]) for given in execution.arguments("Report")}
    payload = json.loads(told)
    problem = payload["problem"] or {}
    assert payload["run"] == scenario.run
    assert payload["dataset"] == scenario.dataset
    assert payload["outcome"] == scenario.told_outcome
    assert problem.get("code", problem.get("Error")) == scenario.problem


def test_each_part_of_the_definition_is_gone_through(executions: dict[str, Execution]) -> None:
    gone_through = {part for execution in executions.values() for part in execution.parts()}
    entered = {state for execution in executions.values() for state in execution.states}
    assert entered == set(STATES)
    assert gone_through >= parts(STATES), sorted(parts(STATES) - gone_through)


def test_each_expression_is_evaluated(executions: dict[str, Execution]) -> None:
    evaluated = {
        (entry["state"], entry["expression"])
        for execution in executions.values()
        for entry in execution.trace
        if "expression" in entry
    }
    missing = [
        (name, expression)
        for name, state in STATES.items()
        for expression in expressions(state)
        if not any(
            (name, substituted(expression, SUBSTITUTIONS | KINDS[kind])) in evaluated
            for kind in KINDS
        )
    ]
    assert not missing


def test_no_expression_is_undefined_or_gives_now_a_value_and_now_a_list(
    executions: dict[str, Execution],
) -> None:
    """JSONata makes a list of one element its element; AWS fails on what is undefined."""
    errors = {e for execution in executions.values() for v in execution.visits for e in v.errors}
    assert not {error for error in errors if error.startswith("States.Query")}
    kinds = defaultdict(set)
    for execution in executions.values():
        for entry in execution.trace:
            if (value := entry.get("value")) is not None:
                kind = float if type(value) is int else type(value)
                kinds[entry["state"], entry["expression"]].add(kind)
    assert not {where: found for where, found in kinds.items() if len(found) > 1}


def test_conditions_are_true_or_false(executions: dict[str, Execution]) -> None:
    conditions = {
        (name, substituted(expression, SUBSTITUTIONS | KINDS[kind]))
        for name, state in STATES.items()
        for choice in state.get("Choices", [])
        for expression in expressions(choice["Condition"])
        for kind in KINDS
    }
    values = [
        value
        for execution in executions.values()
        for condition in conditions
        for value in execution.values(*condition)
    ]
    assert values
    assert all(isinstance(value, bool) for value in values)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_asks_for_what_its_service_takes(
    executions: dict[str, Execution], task: str
) -> None:
    asked = [given for execution in executions.values() for given in execution.arguments(task)]
    assert asked
    if task in FUNCTIONS:
        recorded = ROOT.glob(f"events/{task.lower()}-*.json")
        (members,) = {frozenset(json.loads(path.read_text())) for path in recorded}
        assert all(set(given) == {"FunctionName", "Payload"} for given in asked)
        assert all(set(given["Payload"]) == members for given in asked)
    elif task in STARTS:
        assert all(set(given) == {"StateMachineArn", "Name", "Input"} for given in asked)
        assert all(re.fullmatch("[a-z0-9TZ-]{1,80}", given["Name"]) for given in asked)
    else:
        shape = input_shape(*called(STATES[task]))
        assert [found for given in asked for found in problems(given, shape, task)] == []


def test_what_is_restored_is_the_model_that_was_copied_and_it_is_validated_as_such(
    executions: dict[str, Execution],
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "a model is restored without training"}
    execution = executions["a model is restored without training"]
    (asked,) = execution.arguments("Deploy endpoint")
    assert (
        asked["Input"]["model_uri"] == f"s3://{BUCKET}/runs/{run}/model/{run}/output/model.tar.gz"
    )
    assert (asked["Input"]["endpoint_kind"], asked["Input"]["restores"]) == ("realtime", OLDEST)
    (asked,) = execution.arguments("Validate")
    assert asked["Payload"] == {"run": run, "endpoint_kind": "realtime", "restores": OLDEST}


def test_a_promotion_is_one_transaction_that_tells_the_run_what_it_replaced(
    executions: dict[str, Execution],
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "a model is replaced"}
    (asked,) = executions["a model is replaced"].arguments("Promote")
    pointer, own, pin = (next(iter(item.values())) for item in asked["TransactItems"])
    assert pointer["ConditionExpression"] == "#run = :live AND dropped < :dropped"
    assert own["Key"]["sort"] == {"S": f"run#{run}"}
    assert own["ExpressionAttributeValues"][":live"] == {"S": OLD}
    assert pin["ConditionExpression"] == "attribute_not_exists(dataset)"
    (asked,) = executions["a rollback overrides a pin"].arguments("Promote")
    assert asked["TransactItems"][2]["Update"]["Key"]["sort"] == {"S": "pin"}


def test_a_job_trains_as_split_says(executions: dict[str, Execution]) -> None:
    asked, *_ = executions["a serverless endpoint goes live"].arguments("Train")
    assert asked["HyperParameters"] == OF_SPLIT


def test_jobs_that_sagemaker_fails_are_followed_by_others(
    traced: EmbeddedAws, executions: dict[str, Execution]
) -> None:
    jobs = [name for s in SCENARIOS if s.real for name in names_of_jobs(executions[s.name])]
    sagemaker = traced.client("sagemaker")
    described = [sagemaker.describe_training_job(TrainingJobName=name) for name in jobs]
    reasons = [job.get("FailureReason", "").partition(":")[0] for job in described]
    assert sorted(filter(None, reasons)) == ["CapacityError", "InternalServerError"]
    assert all(executions[s.name].end == s.end for s in SCENARIOS if s.real)


def names_of_jobs(execution: Execution) -> list[str]:
    return [given["TrainingJobName"] for given in execution.arguments("Train")]


@pytest.mark.parametrize(
    ("scenario", "ends"),
    [
        ("a job finds no instance, and another does", ["", "-2"]),
        ("the job of an earlier attempt broke, and another does not", ["", "-2"]),
        ("no job finds an instance", ["", "-2", "-3"]),
        ("the algorithm fails", [""]),
    ],
)
def test_what_is_not_the_algorithms_fault_is_tried_again_under_another_name(
    executions: dict[str, Execution], scenario: str, ends: list[str]
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == scenario}
    asked = executions[scenario].arguments("Train")
    assert names_of_jobs(executions[scenario]) == [f"{run}{end}" for end in ends]
    assert len({json.dumps(given | {"TrainingJobName": ""}) for given in asked}) == 1


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("a serverless endpoint goes live", "serverless"),
        ("an asynchronous endpoint goes live", "async"),
        ("a real-time endpoint goes live", "realtime"),
        ("an upload asked not to be promoted", "async"),
        ("a model is restored without training", "realtime"),
    ],
)
def test_a_run_has_an_endpoint_deployed_of_the_kind_that_is_asked(
    executions: dict[str, Execution], scenario: str, kind: str
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == scenario}
    (asked,) = executions[scenario].arguments("Deploy endpoint")
    assert (asked["Name"], asked["Input"]["run"]) == (run, run)
    assert asked["Input"]["endpoint_kind"] == kind


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("a deployment: serverless", "ServerlessConfig"),
        ("a deployment: async", "AsyncInferenceConfig"),
        ("a deployment: realtime", ""),
    ],
)
def test_an_endpoint_is_of_the_kind_that_is_asked(
    executions: dict[str, Execution], scenario: str, kind: str
) -> None:
    (config,) = executions[scenario].arguments("Create endpoint configuration")
    (variant,) = config["ProductionVariants"]
    assert ("ServerlessConfig" in variant) == (kind == "ServerlessConfig")
    assert ("InstanceType" in variant) == (kind != "ServerlessConfig")
    assert ("AsyncInferenceConfig" in config) == (kind == "AsyncInferenceConfig")


@pytest.mark.parametrize("task", [task for task in WELL if task not in (*FUNCTIONS, *STARTS)])
def test_what_is_mocked_is_what_the_service_gives(task: str) -> None:
    """Of which a mocked result is a part; a job that is waited for is described in the end."""
    service, operation = called(STATES[task])
    if STATES[task]["Resource"].endswith(".sync"):
        operation = operation.replace("Create", "Describe")
    shape = output_shape(service, operation)
    given = [WELL[task], *(a for s in SCENARIOS for a in s.answers.get(task, []))]
    for result in [answer["Return"] for answer in given if "Return" in answer]:
        found = problems(result, shape) if shape else iter(result)
        assert [problem for problem in found if not problem.endswith("is missing")] == []


@pytest.mark.parametrize(("task", "retry"), EXHAUSTED)
def test_retries_end(executions: dict[str, Execution], task: str, retry: dict[str, Any]) -> None:
    execution = executions[exhausted(task, retry).name]
    errors = [visit.errors for visit in execution.visits if visit.state == task]
    assert len(errors[0]) == retry["MaxAttempts"] + 1


@pytest.mark.parametrize(
    ("scenario", "state"),
    [
        ("the training of an earlier attempt never ends", "Describe training job"),
        ("an endpoint never gets into service", "Describe endpoint"),
    ],
)
def test_polling_ends(executions: dict[str, Execution], scenario: str, state: str) -> None:
    assert executions[scenario].states.count(state) == 180


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("a model is replaced", OLD),
        ("a run was promoted already", OLD),
        ("a run was promoted by a release that noted it on the pointer only", OLDEST),
        ("a run was interrupted when it was live", OLDEST),
        ("a run was interrupted between its promotion and the next", OLD),
        ("a model is restored without training", OLD),
        ("a model of a pinned dataset is held", ""),
        ("a promotion fails and its write has not come by then", ""),
        ("a later file is live", ""),
        ("the endpoint fails", ""),
        ("a run was interrupted early", ""),
    ],
)
def test_the_model_that_is_not_live_is_retired(
    executions: dict[str, Execution], scenario: str, name: str
) -> None:
    """The one that was replaced, or the run's own, here without a name."""
    (run,) = {s.run for s in SCENARIOS if s.name == scenario}
    (asked,) = executions[scenario].arguments("Retire")
    assert asked["Input"]["run"] == (name or run)


@pytest.mark.parametrize(
    ("scenario", "tells"),
    [
        ("a model is tried before it goes live", {"percent": 5, "minutes": 10, "requests": 200}),
        ("a model that is tried does badly", {"percent": 5, "minutes": 10, "requests": 200}),
        ("nothing is tried beside an asynchronous endpoint", {"skipped": "async"}),
        ("the first model of a dataset is not tried", None),
        ("a model is replaced", None),
    ],
)
def test_report_is_told_how_a_model_did_that_was_tried(
    executions: dict[str, Execution], scenario: str, tells: dict[str, Any] | None
) -> None:
    (asked,) = executions[scenario].arguments("Report")
    told = asked["Payload"]["canary"]
    assert told == tells if tells is None else told.items() >= tells.items()


def test_no_model_is_tried_after_its_trial_has_failed_or_its_run_has_ended(
    traced: EmbeddedAws, executions: dict[str, Execution]
) -> None:
    dynamodb = traced.client("dynamodb")

    def tried_run(scenario: Scenario) -> str:
        key = {"dataset": {"S": scenario.dataset}, "sort": {"S": "live"}}
        item = dynamodb.get_item(TableName=TABLE, Key=key).get("Item", {})
        return item["canary"]["M"]["run"]["S"] if "canary" in item else ""

    left = {s.name: tried_run(s) for s in SCENARIOS}
    names = {s.run: s.name for s in SCENARIOS}
    tried = {name: names.get(run, run) for name, run in left.items() if run}
    assert tried.pop("a model of a later file is tried") == LATER["run"]
    assert tried.pop("a model of a later file is tried already") == LATER["run"]
    # Those whose end the run's own state machine sees to, by its promotion.
    by_itself = {name for name in tried if tried[name] == name}
    assert by_itself == set(tried)
    assert not {"a model fails requests", "a model is slow", "an endpoint fails"} & by_itself
    assert not {"a rollback ends what is tried", "a model is tried before it goes live"} & by_itself
    assert "a run was interrupted while its model was tried" not in by_itself


@pytest.mark.parametrize("kind", KINDS_OF_ENDPOINTS)
def test_the_remedy_of_an_endpoint_that_fails_is_what_can_be_done_about_it(
    executions: dict[str, Execution], kind: str
) -> None:
    """Another kind than serverless, and a file only if there was one."""
    output = executions[f"an endpoint does not start: {kind}"].description["output"]
    problem = json.loads(output)["problem"]
    assert problem["message"] == "The endpoint did not start: No capacity"
    assert ("endpoint_kind=realtime" in problem["remedy"]) is (kind == "serverless")
    assert ("upload the file again." in problem["remedy"]) is (kind == "serverless")


@pytest.mark.parametrize("scenario", ["the endpoint fails", "the endpoint is not created"])
def test_report_is_told_of_a_failed_deployment_as_it_was(
    executions: dict[str, Execution], scenario: str
) -> None:
    (given,) = (s.answers["Deploy endpoint"][0] for s in SCENARIOS if s.name == scenario)
    (asked,) = executions[scenario].arguments("Report")
    assert asked["Payload"]["problem"] == given["Return"]["Output"]["problem"]


def test_a_run_that_was_interrupted_stops_what_deploys_its_endpoint(
    executions: dict[str, Execution],
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "a run was interrupted early"}
    (stopped,) = executions["a run was interrupted early"].arguments("Stop deploying")
    machine = machine_name("deploy")
    arn = f"arn:aws:states:us-east-1:000000000000:execution:{machine}:{run}"
    assert stopped == {"ExecutionArn": arn}


def test_what_is_retired_is_what_the_input_names(executions: dict[str, Execution]) -> None:
    (scenario,) = (s for s in SCENARIOS if s.name == "an endpoint is retired by hand")
    execution = executions[scenario.name]
    named = [given for task in DELETE for given in execution.arguments(task)]
    assert [list(given.values()) for given in named] == [[scenario.run]] * 3


def test_a_live_endpoint_is_let_scale_as_its_kind_does(executions: dict[str, Execution]) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "a model is replaced"}
    (asked,) = executions["a model is replaced"].arguments("Scale")
    assert (asked["Input"]["run"], asked["Input"]["endpoint_kind"]) == (run, "serverless")


def test_the_log_of_an_endpoint_expires(executions: dict[str, Execution]) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "the log of a serverless endpoint expires"}
    execution = executions["the log of a serverless endpoint expires"]
    (given,) = execution.arguments("Set log retention")
    assert given == {"LogGroupName": f"/aws/sagemaker/Endpoints/{run}", "RetentionInDays": 30}


def test_an_asynchronous_endpoint_sleeps_and_wakes_for_a_request(
    traced: EmbeddedAws, executions: dict[str, Execution]
) -> None:
    """That of a real run, which its execution has let scale; a minute takes 0.3 s here."""
    (run,) = {s.run for s in SCENARIOS if s.name == "an asynchronous endpoint goes live"}
    assert executions["an asynchronous endpoint goes live"].end == "Live"
    sagemaker, s3 = traced.client("sagemaker"), traced.client("s3")

    def instances() -> int:
        (variant,) = sagemaker.describe_endpoint(EndpointName=run)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    def answers() -> list[str]:
        folder = f"async/{run}/output/"
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", [])
        return [found["Key"] for found in listed]

    wait_for(lambda: instances() == 0)
    s3.put_object(Bucket=BUCKET, Key=f"async/{run}/input/1.csv", Body=b"5.1,3.5,1.4,0.2\n")
    traced.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=run,
        InputLocation=f"s3://{BUCKET}/async/{run}/input/1.csv",
        ContentType="text/csv",
    )
    wait_for(lambda: instances() == 1)
    wait_for(answers)
    wait_for(lambda: instances() == 0)


def test_retiring_an_endpoint_leaves_no_target_and_no_alarm(
    traced: EmbeddedAws, executions: dict[str, Execution]
) -> None:
    (run,) = {s.run for s in SCENARIOS if s.name == "an asynchronous endpoint goes live"}
    assert executions["an asynchronous endpoint goes live"].end == "Live"
    scaling, states = traced.client("application-autoscaling"), traced.client("stepfunctions")

    def left() -> list[str]:
        alarms = traced.client("cloudwatch").describe_alarms()["MetricAlarms"]
        targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
        found = [alarm["AlarmName"] for alarm in alarms]
        found += [target["ResourceId"] for target in targets["ScalableTargets"]]
        return [name for name in found if run in name]

    wait_for(lambda: len(left()) == 4)
    states.start_execution(
        stateMachineArn=SUBSTITUTIONS["RetireEndpointsArn"], input=json.dumps({"run": run})
    )
    wait_for(lambda: not left())


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [
        ("a model is replaced", 60),
        ("an asynchronous model is replaced", 2100),
        ("a run was interrupted between its promotion and the next", 2100),
        ("the endpoint fails", 0),
    ],
)
def test_a_replaced_endpoint_is_given_time_to_answer(
    executions: dict[str, Execution], scenario: str, seconds: int
) -> None:
    (asked,) = executions[scenario].arguments("Retire")
    assert asked["Input"]["drain_seconds"] == seconds


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [("an endpoint is retired by hand", 0), ("an endpoint is given time to answer", 1200)],
)
def test_an_endpoint_answers_for_as_long_as_the_input_says(
    executions: dict[str, Execution], scenario: str, seconds: int
) -> None:
    (expression,) = expressions(STATES["Let requests drain"]["Seconds"])
    assert executions[scenario].values("Let requests drain", expression) == [seconds]
