"""What each statement of each role of the stack is there for: what must fail without it.

The functions run in this process, in the environment and the role that they have been deployed
with; the state machine runs where it is, with its tasks mocked but for those that are looked at.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from types import ModuleType
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError

from embedded_aws.mocks import Answers, configure, fails, gives, mock_configuration
from tests.deployed import ROOT, Deployed, wait_for
from tests.e2e.mutations import Role, assert_network_interfaces_are_left_to_lambda
from tests.function_app import function_app, lambda_context
from tests.mocked_tasks import (
    NOT_FOUND,
    NOTHING,
    TAKEN,
    WELL,
    endpoint,
    job,
)
from tests.records import as_records

STACK = "knn-pipeline"
IRIS = (ROOT / "data/iris.csv").read_bytes()
IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1"
OWN = [{"Key": "Application", "Value": STACK}]
FIXED = {"k": 3, "standardisation": "none", "weights": "uniform", "metric": "L2"}
"""Nothing is left to cross-validation, which takes some seconds each time."""

HYPERPARAMETERS = {
    "predictor_type": "classifier",
    "k": "3",
    "feature_dim": "4",
    "sample_size": "112",
}
MANY_ROWS = 100 * as_records(b"".join(b"%d,%d.5,1,2,3\n" % (n % 3, n) for n in range(1000)))
SETOSA = b"5.1,3.5,1.4,0.2\n"
MANY_LINES = SETOSA * 50_000
NEW_ROWS = b"Sepal.Length,Sepal.Width,Petal.Length,Petal.Width\n5.1,3.5,1.4,0.2\n5.1,none at all\n"
WAIT_SCALE_OF_THE_COMMAND_LINE = 0.02
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
RULES = (
    "PreprocessFunctionFileDropped",
    "SplitFunctionDataPrepared",
    "RunInterrupted",
    "BatchInterrupted",
)


@contextmanager
def of_its_own(environment: dict[str, str]) -> Iterator[None]:
    """Let what is done in a function find its environment and its credentials, and no others."""
    # The default session keeps the credentials that it has found first.
    boto3.DEFAULT_SESSION = None
    try:
        with patch.dict(os.environ, environment):
            yield
    finally:
        boto3.DEFAULT_SESSION = None


# --- the stage ---------------------------------------------------------------------------------


@dataclass
class Stage:
    """The deployed stack with a live run, and another run whose endpoint is asynchronous."""

    deployed: Deployed
    roles: dict[str, Role]
    resources: dict[str, str]
    """Physical ids by logical ids."""
    run: str = ""
    later: str = ""
    former: str = ""
    """An asynchronous endpoint of the release before, which answers in its run's folder."""
    apps: dict[str, ModuleType] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    patience: float = 30
    """Seconds that something may take which may never come about."""

    def client(self, service: str) -> Any:
        """A client of the account's administrator."""
        return self.deployed.client(service)

    def credentials(self, role: str) -> dict[str, str]:
        """Credentials of a session in a role, which trusts its service only but for now."""
        iam, sts, name = self.client("iam"), self.client("sts"), self.roles[role].name
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        opened = json.dumps({**trust, "Statement": [*trust["Statement"], everybody]})
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=opened)
        try:
            session = {"RoleArn": self.roles[role].arn, "RoleSessionName": "least-privilege"}
            given = sts.assume_role(**session)["Credentials"]
        finally:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def client_as(self, role: str, service: str) -> Any:
        """A client in a role."""
        given = {name.lower(): value for name, value in self.credentials(role).items()}
        return boto3.session.Session().client(
            service, endpoint_url=self.deployed.endpoint_url, region_name="us-east-1", **given
        )

    def app(self, function: str, module: str = "app") -> ModuleType:
        """A function's module, with its deployed environment and role."""
        name = f"{function}/{module}"
        if name not in self.apps:
            of_parts = "" if module == "app" else "Parts"
            logical_id = f"{function.title()}{of_parts}Function"
            configuration = self.client("lambda").get_function_configuration(
                FunctionName=self.resources[logical_id]
            )
            environment = {
                **configuration["Environment"]["Variables"],
                **self.credentials(f"{logical_id}Role"),
                "AWS_ENDPOINT_URL": self.deployed.endpoint_url,
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            with of_its_own(environment), function_app(function, environment, module) as app:
                self.apps[name] = app
            self.environments[name] = environment
        return self.apps[name]

    def handle(self, function: str, event: dict[str, Any], module: str = "app") -> dict[str, Any]:
        """What a function answers."""
        app = self.app(function, module)
        with of_its_own(self.environments[f"{function}/{module}"]):
            answer: dict[str, Any] = app.handler(event, lambda_context())
        return answer

    @property
    def bucket(self) -> str:
        return self.resources["RunsBucket"]

    def copy_run(self, *names: str, dataset: str = "least") -> str:
        """A new run, with copies of some files of the live one."""
        run = new_run(dataset)
        for name in names:
            source = {"Bucket": self.bucket, "Key": f"runs/{self.run}/{name}"}
            self.client("s3").copy_object(
                Bucket=self.bucket, Key=f"runs/{run}/{name}", CopySource=source
            )
        return run

    def prepared_run(self) -> str:
        """A new run with the clean rows of the live one."""
        names = ("data.csv", "schema.json", "settings.json", "sample.json", "profile.json")
        return self.copy_run(*(f"clean/{name}" for name in names))

    def clean_part(self, run: str) -> dict[str, Any]:
        """The clean rows of a run, as a manifest lists them."""
        return {"data": f"runs/{run}/clean/data.csv", "classes": [50, 50, 50]}

    def write(self, key: str, body: bytes) -> None:
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def exists(self, key: str) -> bool:
        listing = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=key)
        return bool(listing.get("Contents"))

    def register(self, dataset: str, sort: str, **item: str) -> None:
        """Write an item of the registry."""
        values = {"dataset": dataset, "sort": sort, **item}
        self.client("dynamodb").put_item(
            TableName=self.resources["RegistryTable"],
            Item={name: {"S": value} for name, value in values.items()},
        )

    def register_run(self, run: str, status: str, rank: int) -> None:
        """Write where a run stands to the registry."""
        item = json.loads(self.deployed.read(self.run, "status.json"))
        source = {name: {"S": str(value)} for name, value in item["source"].items()}
        self.client("dynamodb").put_item(
            TableName=self.resources["RegistryTable"],
            Item={
                "dataset": {"S": "least"},
                "sort": {"S": f"run#{run}"},
                "run": {"S": run},
                "status": {"S": status},
                "rank": {"N": str(rank)},
                "source": {"M": source},
                "dropped": {"S": "2026-11-24T04:34:10Z#0"},
            },
        )

    def deploy(
        self,
        run: str,
        tags: list[dict[str, str]],
        client: Any = None,
        *,
        answers: str = "",
        **config: Any,
    ) -> str:
        """Make model, configuration and endpoint of a name; a serverless one, unless configured.

        An asynchronous one puts its answers into a folder.
        """
        sagemaker = client or self.client("sagemaker")
        capacity = config or {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}
        variant = {"VariantName": "AllTraffic", "ModelName": run, **capacity}
        output = {
            "S3OutputPath": f"s3://{self.bucket}/{answers}/output",
            "S3FailurePath": f"s3://{self.bucket}/{answers}/failure",
        }
        sagemaker.create_model(
            ModelName=run,
            ExecutionRoleArn=self.roles["SageMakerRole"].arn,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": self.artefact},
            Tags=tags,
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName=run,
            ProductionVariants=[variant],
            Tags=tags,
            **({"AsyncInferenceConfig": {"OutputConfig": output}} if answers else {}),
        )
        sagemaker.create_endpoint(EndpointName=run, EndpointConfigName=run, Tags=tags)
        return run

    @property
    def artefact(self) -> str:
        """The live run's model."""
        return f"s3://{self.bucket}/runs/{self.run}/model/{self.run}/output/model.tar.gz"

    def status(self, endpoint: str) -> str:
        described = self.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        return str(described["EndpointStatus"])

    def start(
        self, case: str, run: str, *, machine: str = "TrainDeployValidate", **more: Any
    ) -> str:
        """Start a mocked execution; its ARN."""
        return str(
            self.client("stepfunctions").start_execution(
                stateMachineArn=f"{self.resources[machine]}#{case}",
                name=f"{run}-{uuid.uuid4().hex[:6]}",
                input=json.dumps(
                    {"run": run, "dropped": "2026", "hyperparameters": HYPERPARAMETERS, **more}
                ),
            )["executionArn"]
        )

    def execute(self, case: str, run: str, error: str = "", **more: Any) -> str:
        """Run a mocked execution, but for some of its tasks, to its end, an error or none.

        Returns its ARN.
        """
        arn, states = self.start(case, run, **more), self.client("stepfunctions")

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        found = wait_for(ended)
        # What was interrupted is reported as failed.
        assert found.get("error", "") == error or "interrupted" in more, found
        assert "not authorized" not in str(found.get("cause")), found["cause"]
        return arn

    @property
    def machine(self) -> str:
        return self.resources["TrainDeployValidate"]


def new_run(dataset: str = "least") -> str:
    return f"{dataset}-20260101T000000Z-{uuid.uuid4().hex[:8]}"


def large_file(*answers: dict[str, Any]) -> Answers:
    """Answers for the tasks of a large file: to each question what is next, and of its parts."""
    return {
        "Ask what is next": list(answers),
        "Do a part": [gives({})],
        "Report the failure": [gives({})],
    }


def next_is(step: str, parts: int = 0) -> dict[str, Any]:
    """What a function of parts answers."""
    return gives({"StatusCode": 200, "Payload": {"step": step, "parts": parts}})


def without(*real: str) -> Answers:
    """Answers for all tasks but those that are to be run."""
    usual = WELL | {
        "Read registry": gives({"Responses": [{}, {}, {}]}),
        "Promote": gives({}),
        "Rule out promotion": gives({}),
    }
    return {name: [answer] for name, answer in usual.items() if name not in real}


def live_run(stage: Stage) -> str:
    """Drop iris, and wait until its run is live."""
    inbox = stage.resources["InboxBucket"]
    schema = {"Key": "least/schema.json", "Body": json.dumps(FIXED)}
    stage.client("s3").put_object(Bucket=inbox, **schema)
    put = stage.client("s3").put_object(Bucket=inbox, Key="least.csv", Body=IRIS)

    def live() -> list[str]:
        return [
            run["run"]
            for run in stage.deployed.runs("least")
            if run.get("status") == "Live" and run["source"].get("version") == put["VersionId"]
        ]

    return wait_for(live)[0]


@contextmanager
def nothing_happens_by_itself(stage: Stage) -> Iterator[None]:
    """No rule fires, no wait takes time, and executions may be mocked."""
    events, url = stage.client("events"), stage.deployed.endpoint_url
    scheduler, schedule = stage.client("scheduler"), stage.resources["SweepSchedule"]
    mocked = mock_configuration(
        {
            stage.resources[name].rpartition(":")[2]: of_machine
            for name, of_machine in {
                "TrainDeployValidate": cases(stage),
                "PrepareLargeFile": LARGE_FILE_CASES,
                "DeployEndpoint": DEPLOY_CASES,
                "Canary": CANARY_CASES,
                "ScaleEndpoint": SCALE_CASES,
                "RetireEndpoints": RETIRE_CASES,
                "ScoreBatch": score_cases(stage),
            }.items()
        }
    )
    configure(url, _sfn_mock_config=mocked, _SFN_WAIT_SCALE=0)
    for rule in RULES:
        events.disable_rule(Name=stage.resources[rule])
    whole = scheduler.get_schedule(Name=schedule)
    asked = {name: whole[name] for name in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(Name=schedule, State="DISABLED", **asked)
    try:
        yield
    finally:
        scheduler.update_schedule(Name=schedule, State="ENABLED", **asked)
        for rule in RULES:
            events.enable_rule(Name=stage.resources[rule])
        configure(url, _sfn_mock_config={}, _SFN_WAIT_SCALE=WAIT_SCALE_OF_THE_COMMAND_LINE)


def cases(stage: Stage) -> dict[str, Answers]:
    """What executions may be mocked but for, by the name of the test case."""
    in_progress = {"Train": [TAKEN], "Describe training job": [job("InProgress")]}
    model = job(
        ModelArtifacts={"S3ModelArtifacts": stage.artefact},
        FinalMetricDataList=[{"MetricName": "test:accuracy", "Value": 0.97}],
    )
    return {
        "nothing": without(),
        "waiting": without() | in_progress,
        # One that can't be followed is looked up, when its name is found to be taken.
        "training": without("Train") | {"Describe training job": [fails("NotFollowed")]},
        "deployment": without("Deploy endpoint") | {"Train": [model]},
        "stopping": without("Stop deploying"),
        "trial": without("Try on some requests") | {"Read registry": [LIVE_OF_BEFORE]},
        "scaling": without("Scale"),
        "retirement": without("Retire"),
        "validation": without("Validate"),
        "report": without("Report"),
        "promotion": without("Promote"),
        "lookup": without("Read registry", "Rule out promotion"),
    }


BEFORE = {"run": {"S": "before"}, "dropped": {"S": "2025"}, "endpoint_kind": {"S": "realtime"}}
LIVE_OF_BEFORE = gives({"Responses": [{"Item": BEFORE}, {}, {}]})
DEPLOY_CASES = {
    "creation": without("Create model", "Create endpoint configuration", "Create endpoint"),
    "description": without("Describe endpoint"),
    "waiting": without() | {"Describe endpoint": [endpoint("Creating")]},
}
CANARY_CASES = {
    "sharing": without(),
    "description": without("Look at tried endpoint"),
    "metrics": without("Read metrics"),
}
SCALE_CASES = {
    "expiry": without("Set log retention"),
    "scaling": without(
        "Register endpoint", "Let requests wake it", "Watch for requests", "Follow load"
    ),
    "changing": without()
    | {"Register endpoint": [fails("ApplicationAutoScaling.ConcurrentUpdateException")]},
}
RETIRE_CASES = {
    "nothing": without(),
    "changing": without() | {"Look for endpoint": [endpoint("Updating")]},
    "scaling": without("Stop scaling", "Delete wake alarm"),
    "description": without("Look for endpoint"),
    "listing": without("List endpoints") | {"Look for endpoint": [NOT_FOUND]},
    "expiry": without("Let its log expire"),
    "deletion": without("Delete endpoint", "Delete endpoint configuration", "Delete model"),
}

LARGE_FILE_CASES = {
    "nothing": large_file(next_is("done")),
    "failing": large_file(fails("Lambda.ServiceException")),
    # Each of the two functions is really asked once.
    "functions": large_file(NOTHING, next_is("split"), NOTHING, next_is("done")),
    "report": {"Ask what is next": [fails("States.Permissions")]},
}


def score_cases(stage: Stage) -> dict[str, Answers]:
    """The same of a batch, which goes through a transform job."""
    counts = {"rows": 1, "set_aside": 0, "parts": 1}
    payload = {"run": stage.run, "endpoint_name": None, "prepared": counts}
    well = {
        "Prepare": [gives({"StatusCode": 200, "Payload": payload})],
        "Transform": [gives({})],
        "Write result": [gives({"StatusCode": 200, "Payload": {"predicted": {"setosa": 1}}})],
        "Report": [gives({"StatusCode": 200, "Payload": {"status": "Scored"}})],
    }
    return {
        "nothing": well,
        "transform": well | {"Transform": [NOTHING]},
        "report": well | {"Report": [NOTHING]},
    }


# --- what the roles are for --------------------------------------------------------------------


def event(name: str, **changes: Any) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return recorded | changes


def dropped(stage: Stage, body: bytes, dataset: str = "least") -> dict[str, Any]:
    """Drop a file, and give its event."""
    bucket, key = stage.resources["InboxBucket"], f"{dataset}/{uuid.uuid4().hex}.csv"
    put = stage.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    created = event("preprocess-iris")
    created["detail"]["bucket"]["name"] = bucket
    created["detail"]["object"] |= {
        "key": key,
        "version-id": put["VersionId"],
        "etag": put["ETag"].strip('"'),
    }
    return created


def crashing(app: ModuleType, name: str) -> AbstractContextManager[None]:
    """Let a call of a module crash; what runs it must crash with it, and with nothing else."""
    return crashing_in(vars(app), name)


@contextmanager
def crashing_in(names: dict[str, Any], name: str) -> Iterator[None]:
    """Let a call crash by what a module's name is looked up in."""

    class Crash(Exception):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    function = names[name]
    names[name] = crash
    try:
        with pytest.raises(Crash):
            yield
    finally:
        names[name] = function


def a_file_is_preprocessed(stage: Stage) -> None:
    created = dropped(stage, IRIS)
    first = stage.handle("preprocess", created)
    assert first["rows"] == 150
    assert stage.handle("preprocess", created) == first


def a_file_without_a_version_is_preprocessed(stage: Stage) -> None:
    created = dropped(stage, IRIS)
    del created["detail"]["object"]["version-id"]
    assert stage.handle("preprocess", created)["rows"] == 150


def a_file_is_refused(stage: Stage) -> None:
    answer = stage.handle("preprocess", dropped(stage, b"a,b\n1.5,2.5\n3.5,4.5\n", "refused"))
    assert answer["refusal"]["code"] == "NoLabel"


def a_broken_file_is_refused(stage: Stage) -> None:
    """Where it is broken its first rows have been written already."""
    rows = b"x,label\n" + b"1.5,a\n2.5,b\n" * 400_000 + b'3.5,"a\n'
    answer = stage.handle("preprocess", dropped(stage, rows, "broken"))
    assert answer["refusal"]["code"] == "BrokenQuoting"


def a_large_file_is_started(stage: Stage) -> None:
    app, created = stage.app("preprocess"), dropped(stage, IRIS)
    run = app.layout.run_id(app.source_of(app.S3EventBridgeNotificationEvent(created)))
    # It has been started already, so that nothing runs.
    stage.client("stepfunctions").start_execution(
        stateMachineArn=f"{stage.resources['PrepareLargeFile']}#nothing",
        name=run,
        input=json.dumps({"run": run, "dataset": "least", "dropped": "2026", "source": {}}),
    )
    usual = app.environment
    app.environment = replace(usual, large_file_megabytes=0.001)
    try:
        assert stage.handle("preprocess", created)["size"] == len(IRIS)
    finally:
        app.environment = usual


def ask(stage: Stage, function: str, done: str, facts: dict[str, Any]) -> tuple[str, int]:
    """The step of a large file that a function says is next, and its parts."""
    payload = event(f"{function}-parts-begin", run=facts["run"], done=done, facts=facts)
    answer = stage.handle(function, payload, "parts")
    return answer["step"], answer["parts"]


def do(stage: Stage, function: str, step: str, run: str) -> None:
    """Do the only part of a step."""
    recorded = event("preprocess-parts-scan")
    assert stage.handle(function, recorded | {"run": run, "step": step}, "parts") == {}


def large(stage: Stage, dataset: str = "least") -> dict[str, Any]:
    """What the execution of a large file is started with."""
    detail = dropped(stage, IRIS)["detail"]
    source = {
        "bucket": detail["bucket"]["name"],
        "key": detail["object"]["key"],
        "version_id": detail["object"]["version-id"],
        "etag": detail["object"]["etag"],
    }
    return {"run": new_run(), "dataset": dataset, "dropped": "2026", "source": source}


def a_file_is_preprocessed_in_parts(stage: Stage) -> None:
    facts = large(stage, f"least-{uuid.uuid4().hex[:8]}")  # one whose classes are new
    facts["run"] = new_run(facts["dataset"])
    assert ask(stage, "preprocess", "", facts) == ("scan", 1)
    do(stage, "preprocess", "scan", facts["run"])
    assert ask(stage, "preprocess", "scan", facts) == ("survey", 1)
    do(stage, "preprocess", "survey", facts["run"])
    assert ask(stage, "preprocess", "survey", facts) == ("split", 0)


def a_large_file_of_a_dataset_with_a_live_model_is_opened(stage: Stage) -> None:
    assert ask(stage, "preprocess", "", large(stage)) == ("scan", 1)


def a_large_file_without_a_version_is_opened(stage: Stage) -> None:
    facts = large(stage)
    facts["source"]["version_id"] = None
    assert ask(stage, "preprocess", "", facts) == ("scan", 1)


def a_large_file_that_is_gone_is_refused(stage: Stage) -> None:
    facts = large(stage)
    source = facts["source"]
    stage.client("s3").delete_object(
        Bucket=source["bucket"], Key=source["key"], VersionId=source["version_id"]
    )
    assert ask(stage, "preprocess", "", facts) == ("done", 0)
    refusal = started(stage, facts["run"])["refusal"]
    assert refusal["code"] == "ObjectGone"


def started(stage: Stage, run: str) -> dict[str, Any]:
    """What the execution of a run was started with."""
    arn = f"{stage.machine.replace(':stateMachine:', ':execution:')}:{run}"
    described = stage.client("stepfunctions").describe_execution(executionArn=arn)
    said: dict[str, Any] = json.loads(described["input"])
    return said


def surveying_a_part_crashes(stage: Stage) -> None:
    facts = large(stage)
    ask(stage, "preprocess", "", facts)
    do(stage, "preprocess", "scan", facts["run"])
    ask(stage, "preprocess", "scan", facts)
    surveying = stage.app("preprocess", "parts").Survey.read.__globals__
    with crashing_in(surveying, "read_blocks"):
        do(stage, "preprocess", "survey", facts["run"])


def in_parts(stage: Stage) -> dict[str, Any]:
    """What the execution was started with of a large file whose rows are clean."""
    facts = {"run": stage.prepared_run(), "dataset": "least", "dropped": "2026"}
    parts = {"parts": [stage.clean_part(facts["run"])]}
    stage.write(f"runs/{facts['run']}/clean/parts.json", json.dumps(parts).encode())
    return facts


def rows_are_split_in_parts(stage: Stage) -> None:
    facts = in_parts(stage)
    started_already(stage, facts["run"])
    assert ask(stage, "split", "", facts) == ("write", 1)
    do(stage, "split", "write", facts["run"])
    assert ask(stage, "split", "write", facts) == ("done", 0)


def writing_a_part_crashes(stage: Stage) -> None:
    facts = in_parts(stage)
    ask(stage, "split", "", facts)
    writing = stage.app("split", "parts").SplitFolder.write_part.__globals__
    with crashing_in(writing, "write_part"):
        do(stage, "split", "write", facts["run"])


def a_file_that_is_gone_is_refused(stage: Stage) -> None:
    created = dropped(stage, IRIS)
    version = created["detail"]["object"]["version-id"]
    key = created["detail"]["object"]["key"]
    bucket = stage.resources["InboxBucket"]
    stage.client("s3").delete_object(Bucket=bucket, Key=key, VersionId=version)
    assert stage.handle("preprocess", created)["refusal"]["code"] == "ObjectGone"


def preprocess_crashes(stage: Stage) -> None:
    with crashing(stage.app("preprocess"), "prepare"):
        stage.handle("preprocess", dropped(stage, IRIS))


def started_already(stage: Stage, run: str) -> None:
    """Start an execution of which nothing comes, so that none is started that does something."""
    stage.client("stepfunctions").start_execution(
        stateMachineArn=f"{stage.machine}#nothing",
        name=run,
        input=json.dumps({"run": run, "refusal": {}}),
    )


def prepared(stage: Stage) -> dict[str, Any]:
    """The event of the manifest of a new run that has been started already."""
    run = stage.prepared_run()
    manifest = json.loads(stage.deployed.read(stage.run, "clean/manifest.json"))
    manifest |= {"run": run, "parts": [stage.clean_part(run)]}
    stage.write(f"runs/{run}/clean/manifest.json", json.dumps(manifest).encode())
    started_already(stage, run)
    created = event("split-manifest")
    created["detail"]["bucket"]["name"] = stage.bucket
    created["detail"]["object"]["key"] = f"runs/{run}/clean/manifest.json"
    return created


def clean_data_is_split(stage: Stage) -> None:
    created = prepared(stage)
    first = stage.handle("split", created)
    assert first["rows"] == {"train": 112, "test": 38}
    assert stage.handle("split", created) == first


def a_run_that_has_gone_on_is_left_as_it_is(stage: Stage) -> None:
    created = prepared(stage)
    run = created["detail"]["object"]["key"].split("/")[1]
    split = stage.deployed.read(stage.run, "split.json")
    stage.write(f"runs/{run}/split.json", split.encode())
    stage.register_run(run, "Live", 2)
    assert stage.handle("split", created)["rows"] == json.loads(split)["rows"]


def split_crashes(stage: Stage) -> None:
    with crashing(stage.app("split"), "record_status"):
        stage.handle("split", prepared(stage))


def split_crashes_while_it_writes(stage: Stage) -> None:
    with crashing_in(stage.app("split").SplitFolder.write_part.__globals__, "write_part"):
        stage.handle("split", prepared(stage))


def held_out_rows_are_validated(stage: Stage) -> None:
    asked = event("validate-serverless", run=stage.run)
    assert stage.handle("validate", asked)["rows"] == 38
    # It is the live run itself: the two models are the same.
    live = json.loads(stage.deployed.read(stage.run, "validation/metrics.json"))["live"]
    assert (live["rows"], live["better"], live["worse"]) == (38, 0, 0)
    assert live["drift"]["psi"].keys() == {
        *("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
    }
    wrong = json.loads(stage.deployed.read(stage.run, "validation/wrong.json"))
    assert wrong["rows"][0]["line"]


def held_out_rows_are_validated_later(stage: Stage) -> None:
    asked = event("validate-async", run=stage.later)
    assert stage.handle("validate", asked)["rows"] == 38


def a_failure_is_read(stage: Stage) -> None:
    """Where there is no answer, there is a failure."""
    run = stage.copy_run("clean/schema.json")
    app = stage.app("validate")
    names = app.HeldOut.neighbors.__globals__
    for folder in folders_of_answers(run):
        stage.write(f"{folder}/failure/1", b"it failed")
        pending = names["ask_async"].__globals__["PendingPrediction"](
            f"s3://{stage.bucket}/{folder}/output/1", f"s3://{stage.bucket}/{folder}/failure/1"
        )
        with pytest.raises(Exception, match="it failed"):
            names["async_answer"](app.s3, pending)


def folders_of_answers(run: str) -> tuple[str, str]:
    """Where asynchronous endpoints of a run answer: of this release, and of the one before."""
    return f"async/{run}", f"runs/{run}/async"


def damaged_rows_are_not_validated(stage: Stage) -> None:
    run = stage.copy_run("clean/schema.json", "split.json", "choice.json")
    stage.write(f"runs/{run}/test/test.pbr", b"none,5.1,3.5,1.4,0.2\n")
    stage.write(f"runs/{run}/validation/held_out.csv", b"5.1,3.5,1.4,0.2,setosa\n")
    with pytest.raises(ValueError, match="no records of"):
        stage.handle("validate", event("validate-serverless", run=run))


def reported(stage: Stage, *files: str) -> dict[str, Any]:
    """The payload of a report on a new run with these files."""
    run = stage.copy_run(*files)
    stage.register_run(run, "Training", 1)
    return event("report-live", run=run, dataset="least", replaced="")


def a_run_is_reported(stage: Stage) -> None:
    payload = reported(
        stage,
        "clean/manifest.json",
        "clean/profile.json",
        "clean/schema.json",
        "clean/settings.json",
        "split.json",
        "choice.json",
        "validation/metrics.json",
    )
    assert stage.handle("report", payload)["status"] == "Live"
    assert stage.handle("report", payload)["status"] == "Live"


def a_report_is_mailed(stage: Stage) -> None:
    payload = reported(stage)
    assert stage.handle("report", payload)["status"] == "Live"
    assert any(payload["run"] in mail["BodyText"] for mail in stage.deployed.mails())


def a_report_is_mailed_where_the_domain_is_verified(stage: Stage) -> None:
    ses, address = stage.client("sesv2"), stage.resources["ReportIdentity"]
    domain = address.partition("@")[2]
    ses.create_email_identity(EmailIdentity=domain)
    ses.delete_email_identity(EmailIdentity=address)
    # The embedded AWS keeps one for each version of the API.
    stage.client("ses").delete_identity(Identity=address)
    try:
        a_report_is_mailed(stage)
    finally:
        ses.create_email_identity(EmailIdentity=address)
        ses.delete_email_identity(EmailIdentity=domain)


def a_run_without_results_is_reported(stage: Stage) -> None:
    assert stage.handle("report", reported(stage))["status"] == "Live"


def mailing_crashes(stage: Stage) -> None:
    with crashing(stage.app("report"), "subject"):
        stage.handle("report", reported(stage))


def rows_to_score(stage: Stage, body: bytes = NEW_ROWS) -> dict[str, Any]:
    """Upload a file of rows; return what the steps of its batch are sent."""
    bucket, batch = stage.resources["InboxBucket"], new_run()
    key = f"score/least/{batch}.csv"
    put = stage.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    version = {"version_id": put["VersionId"], "etag": put["ETag"].strip('"')}
    return {"batch": batch, "file": {"bucket": bucket, "key": key, **version}}


def a_file_is_scored(stage: Stage) -> None:
    asked = rows_to_score(stage)
    done = stage.handle("score", asked | {"step": "prepare"})
    assert done["prepared"] == {"rows": 1, "set_aside": 1, "parts": 1}
    asked |= done | {"problem": None}
    asked |= stage.handle("score", asked | {"step": "write"})
    assert asked["predicted"] == {"setosa": 1}
    assert stage.handle("score", asked | {"step": "report"}) == {"status": "Scored"}
    assert stage.handle("score", asked | {"step": "report"}) == {"status": "Scored"}


def a_file_without_a_version_is_scored(stage: Stage) -> None:
    asked = rows_to_score(stage)
    asked["file"]["version_id"] = None
    assert "prepared" in stage.handle("score", asked | {"step": "prepare"})


def a_file_of_rows_that_is_gone_is_refused(stage: Stage) -> None:
    asked = rows_to_score(stage)
    file = asked["file"]
    stage.client("s3").delete_object(
        Bucket=file["bucket"], Key=file["key"], VersionId=file["version_id"]
    )
    found = stage.handle("score", asked | {"step": "prepare"})
    assert found["refusal"]["code"] == "ObjectGone"


def a_result_that_is_mailed(stage: Stage) -> None:
    asked = rows_to_score(stage) | {"problem": {"code": "a", "message": "b", "remedy": "c"}}
    stage.handle("score", asked | {"step": "report"})
    assert any(f"{asked['batch']}.csv was not" in m["Subject"] for m in stage.deployed.mails())


def mailing_a_result_crashes(stage: Stage) -> None:
    asked = rows_to_score(stage) | {"problem": {"code": "a", "message": "b", "remedy": "c"}}
    with crashing(stage.app("score"), "subject"):
        stage.handle("score", asked | {"step": "report"})


def writing_a_result_crashes(stage: Stage) -> None:
    asked = rows_to_score(stage)
    asked |= stage.handle("score", asked | {"step": "prepare"})
    with crashing_in(stage.app("score").BatchFiles.write_result.__globals__, "vote"):
        stage.handle("score", asked | {"step": "write"})


def rows_are_handed_on_to_be_scored(stage: Stage, function: str = "preprocess") -> None:
    created = dropped(stage, NEW_ROWS, "score/least")
    asked = event("failure-preprocess", requestPayload=created)
    answer = stage.handle(function, created if function == "preprocess" else asked)
    arn = stage.resources["ScoreBatch"].replace(":stateMachine:", ":execution:")
    states = stage.client("stepfunctions")
    # It may have come to its end.
    with suppress(states.exceptions.ClientError):
        states.stop_execution(executionArn=f"{arn}:{answer['batch']}")


def rows_that_were_not_handed_on_are_handed_on(stage: Stage) -> None:
    rows_are_handed_on_to_be_scored(stage, "failure")


def called(stage: Stage, name: str, dataset: str, path: str = "", **changes: Any) -> dict[str, Any]:
    """What the API answers, which must be no error."""
    # What never changes is kept in memory.
    models = stage.app("predict").models
    for cached in vars(models).values():
        if isinstance(cached, dict):
            cached.clear()
    asked = event(name) | changes
    asked |= {"path": f"/datasets/{dataset}{path}", "pathParameters": {"dataset": dataset}}
    answer = stage.handle("predict", asked)
    assert answer["statusCode"] < 400, answer["body"]
    is_json = answer["multiValueHeaders"]["Content-Type"] == ["application/json"]
    body: dict[str, Any] = json.loads(answer["body"]) if is_json else {"page": answer["body"]}
    return body


def datasets_are_listed_and_described(stage: Stage) -> None:
    answer = stage.handle("predict", event("predict-datasets"))
    assert stage.run in answer["body"]
    described = called(stage, "predict-dataset", "least")
    assert described["live"]["run"] == stage.run
    assert described["features"][0]["maximum"] == 7.9
    assert len(described["example"]) == 4


def runs_are_listed_described_and_reported(stage: Stage) -> None:
    listed = called(stage, "predict-runs", "least", "/runs")["runs"]
    assert stage.run in [run["run"] for run in listed]
    described = called(stage, "predict-run", "least", f"/runs/{stage.run}")
    assert all(described["stages"].values())
    assert described["rows"]["kept"] == 150
    assert "<html" in called(stage, "predict-report", "least", f"/runs/{stage.run}/report")["page"]


def rows_of_a_run_are_shown(stage: Stage) -> None:
    folder = f"/runs/{stage.run}"
    held_out = called(stage, "predict-held-out", "least", f"{folder}/held-out")["rows"]
    assert len(held_out[0]["instance"]) == 4
    sample = called(stage, "predict-training-sample", "least", f"{folder}/training-sample")
    assert len(sample["rows"]) == len(sample["mapped"]) > 100


def inbox_of(stage: Stage) -> dict[str, str]:
    """What Predict's stage tells it of the inbox."""
    return {
        "inbox_bucket": stage.resources["InboxBucket"],
        "upload_role": stage.roles["UploadRole"].arn,
    }


def a_batch_is_created_and_described(stage: Stage) -> None:
    given = called(stage, "predict-batch", "least", "/batches", stageVariables=inbox_of(stage))
    path = f"/batches/{given['batch']}"
    parameters = {"dataset": "least", "batch": given["batch"]}
    found = called(stage, "predict-batch-status", "least", path, pathParameters=parameters)
    assert found["status"] == "Waiting"


def a_result_is_downloaded(stage: Stage) -> None:
    asked = rows_to_score(stage)
    asked |= stage.handle("score", asked | {"step": "prepare"}) | {"problem": None}
    asked |= stage.handle("score", asked | {"step": "write"})
    stage.handle("score", asked | {"step": "report"})
    path = f"/batches/{asked['batch']}"
    parameters = {"dataset": "least", "batch": asked["batch"]}
    found = called(stage, "predict-batch-status", "least", path, pathParameters=parameters)
    for name in ("result", "rejects"):
        with urllib.request.urlopen(found[name], timeout=30) as answer:
            assert b"5.1" in answer.read()


def a_file_is_uploaded_by_a_presigned_url(stage: Stage) -> None:
    # A session is kept for as long as it outlasts a URL.
    stage.app("predict")._inbox_of.cache_clear()
    variables = inbox_of(stage)
    presigned = called(stage, "predict-upload", "least", "/uploads", stageVariables=variables)
    upload = presigned["upload"]
    request = urllib.request.Request(upload["url"], IRIS, upload["headers"], method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def a_run_that_is_under_way_is_described(stage: Stage) -> None:
    run = stage.copy_run("clean/manifest.json")
    stage.register_run(run, "Training", 1)
    described = called(stage, "predict-run", "least", f"/runs/{run}")
    done = [stage for stage, is_done in described["stages"].items() if is_done]
    assert done == ["preprocess"]


def a_prediction_is_made(stage: Stage) -> None:
    assert called(stage, "predict-json", "least", "/predictions")["run"] == stage.run


def a_prediction_is_made_later(stage: Stage) -> None:
    asked = called(stage, "predict-json", "least-later", "/predictions")["id"]
    wait_for(
        lambda: (
            "predictions" in called(stage, "predict-later", "least-later", f"/predictions/{asked}")
        ),
        seconds=5,
    )


def a_prediction_of_the_release_before_is_read(stage: Stage) -> None:
    number, (_, folder) = uuid.uuid4().hex, folders_of_answers(stage.later)
    answer = f"s3://{stage.bucket}/{folder}/output/{number}"
    ticket = {"asked": int(time.time()), "output": answer, "failure": f"{answer}.failure"}
    stage.write(f"{folder}/ticket/{number}.json", json.dumps(ticket).encode())
    written = {"predictions": [{"labels": [0.0], "distances": [0.0]}]}
    stage.write(f"{folder}/output/{number}", json.dumps(written).encode())
    path = f"/predictions/{stage.later}.{number}"
    assert "predictions" in called(stage, "predict-later", "least-later", path)


def a_prediction_that_is_not_there_is_not_found(stage: Stage) -> None:
    path = f"/datasets/least/predictions/{stage.run}.{'0' * 32}"
    answer = stage.handle("predict", event("predict-later", path=path))
    assert answer["statusCode"] == 404


def a_dataset_that_is_not_there_is_not_found(stage: Stage) -> None:
    asked = event("predict-unknown-dataset")
    assert stage.handle("predict", asked)["statusCode"] == 404


def executions_are_stopped(stage: Stage) -> None:
    arn = running(stage)
    app = stage.app("teardown")
    app.stop_runs(app.sfn, [stage.machine])
    states = stage.client("stepfunctions")
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def batches_are_stopped(stage: Stage) -> None:
    states, app = stage.client("stepfunctions"), stage.app("teardown")
    batch = rows_to_transform(stage, MANY_LINES)
    arn = stage.start("transform", batch, machine="ScoreBatch", **of_batch(stage, batch))
    app.stop_runs(app.sfn, [stage.resources["ScoreBatch"]])
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def network_interfaces_are_left_to_lambda(function: str) -> Callable[[Stage], None]:
    def a_function_makes_no_network_interfaces(stage: Stage) -> None:
        configuration = stage.client("lambda").get_function_configuration(
            FunctionName=stage.resources[function]
        )
        role = stage.roles[f"{function}Role"].name
        arn = configuration["FunctionArn"]
        assert_network_interfaces_are_left_to_lambda(stage.client("iam"), role, arn)

    return a_function_makes_no_network_interfaces


def executions_of_large_files_are_stopped(stage: Stage) -> None:
    # It tries again and again to open the file.
    an_execution_is_stopped(stage, "failing", "PrepareLargeFile", dataset="least", source={})


def retirements_are_stopped(stage: Stage) -> None:
    an_execution_is_stopped(stage, "changing", "RetireEndpoints")


def an_execution_is_stopped(stage: Stage, case: str, machine: str, **given: Any) -> None:
    states, app = stage.client("stepfunctions"), stage.app("teardown")
    with waits_as_long_as_on_aws(stage):
        arn = stage.start(case, new_run(), machine=machine, **given)
        app.stop_runs(app.sfn, [stage.resources[machine]])
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


@contextmanager
def waits_as_long_as_on_aws(stage: Stage) -> Iterator[None]:
    configure(stage.deployed.endpoint_url, _SFN_WAIT_SCALE=1)
    try:
        yield
    finally:
        configure(stage.deployed.endpoint_url, _SFN_WAIT_SCALE=0)


def running(stage: Stage) -> str:
    """An execution that runs for half a minute."""
    states, run = stage.client("stepfunctions"), new_run()

    def waits() -> bool:
        history = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)
        return bool(history["events"][0]["type"] == "WaitStateEntered")

    with waits_as_long_as_on_aws(stage):
        arn = stage.start("waiting", run)
        wait_for(waits)
    return arn


def deployments_are_found_and_deleted(stage: Stage) -> None:
    run = stage.deploy(new_run(), OWN)
    stage.register("least", f"run#{run}", run=run, status="Failed")
    app = stage.app("teardown")
    found = app.find_deployments(app.sagemaker, app.registry)
    assert run in found.runs
    found = type(found)([run], [run], [run])
    wait_for(lambda: stage.status(run) == "InService")
    app.delete_deployments(app.sagemaker, found, deadline=time.monotonic() + 10)
    assert deployed_kinds(stage, run) == set()


def nothing_is_swept(stage: Stage) -> None:
    found = stage.handle("sweep", {"dry_run": True})
    assert set(found) == {"orphans", "lost", "missing", "given_up", "expired", "tried"}


def the_schedule_sweeps(stage: Stage) -> None:
    scheduler, logs = stage.client("scheduler"), stage.client("logs")
    target = scheduler.get_schedule(Name=stage.resources["SweepSchedule"])["Target"]
    group, began = stage.resources["SweepLogGroup"], int(time.time() * 1000)
    scheduler.create_schedule(
        Name=f"once-{uuid.uuid4().hex}",
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    wait_for(
        lambda: logs.filter_log_events(
            logGroupName=group, startTime=began, filterPattern='"swept"'
        )["events"],
        seconds=stage.patience,
    )


def what_is_lost_or_orphaned_is_swept(stage: Stage) -> None:
    app, now = stage.app("sweep"), datetime.now(UTC)
    orphan, lost = new_run(), new_run()
    app.put_in_order(app.Findings(orphans=[orphan], lost=[lost]), {}, now, inf)
    for machine, run in ("RetireEndpoints", orphan), ("TrainDeployValidate", lost):
        arn = stage.resources[machine].replace(":stateMachine:", ":execution:")
        stage.client("stepfunctions").describe_execution(
            executionArn=f"{arn}:{app.execution_name(run, now)}"
        )


def a_missing_endpoint_is_deployed_again(stage: Stage) -> None:
    app = stage.app("sweep")
    key = {"dataset": "least", "sort": f"run#{stage.run}"}
    item = app.registry.get_item(Key=key)["Item"]
    redeployer = app.Redeployer(app.s3, app.registry, Stopped(), stage.bucket, stage.machine)
    with pytest.raises(ClientError, match="Stopped"):
        redeployer.redeploy(item, pins=False)


def an_old_run_expires(stage: Stage) -> None:
    run = stage.copy_run("clean/schema.json")
    stage.write(f"async/{run}/input/1.csv", SETOSA)
    stage.register("least", f"run#{run}", run=run, status="Retired")
    app = stage.app("sweep")
    app.expire(run, inf)
    assert not stage.exists(f"runs/{run}/")
    assert not stage.exists(f"async/{run}/")
    key = {"dataset": "least", "sort": f"run#{run}"}
    assert "expired" in app.registry.get_item(Key=key)["Item"]


class Stopped:
    """A Step Functions that starts nothing."""

    def start_execution(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "Stopped"}}, "StartExecution")


def deployed_kinds(stage: Stage, run: str) -> set[str]:
    """Which of endpoint, configuration and model of a run are there."""
    sagemaker = stage.client("sagemaker")
    there = set()
    for kind, call in {
        "endpoint": lambda: sagemaker.describe_endpoint(EndpointName=run),
        "configuration": lambda: sagemaker.describe_endpoint_config(EndpointConfigName=run),
        "model": lambda: sagemaker.describe_model(ModelName=run),
    }.items():
        with suppress(ClientError):
            if call().get("EndpointStatus") != "Deleting":
                there.add(kind)
    return there


def messages(sqs: Any, queue: str) -> list[str]:
    """Take what is in a queue."""
    taken = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in taken:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in taken]


@contextmanager
def never_tried_again(stage: Stage, *functions: str) -> Iterator[None]:
    """What these functions fail on is passed on at once."""
    client = stage.client("lambda")
    names = [
        {"FunctionName": stage.resources[function], "Qualifier": "$LATEST"}
        for function in functions
    ]
    usual = []
    for name in names:
        found = client.get_function_event_invoke_config(**name)
        usual.append({key: found[key] for key in ("MaximumRetryAttempts", "DestinationConfig")})
        client.put_function_event_invoke_config(**name, **usual[-1] | {"MaximumRetryAttempts": 0})
    try:
        yield
    finally:
        for name, before in zip(names, usual, strict=True):
            client.put_function_event_invoke_config(**name, **before)


def invoke_with_nonsense(stage: Stage, function: str) -> dict[str, Any]:
    """Let a function fail on an event, and return that."""
    nonsense = {"id": uuid.uuid4().hex}
    stage.client("lambda").invoke(
        FunctionName=stage.resources[function],
        InvocationType="Event",
        Payload=json.dumps(nonsense).encode(),
    )
    return nonsense


def failed_events_are_kept(function: str, queue: str) -> Callable[[Stage], None]:
    def failed_event_is_kept(stage: Stage) -> None:
        sqs, url = stage.client("sqs"), stage.resources[queue]
        with never_tried_again(stage, function):
            event = invoke_with_nonsense(stage, function)
            wait_for(
                lambda: event in [json.loads(m).get("requestPayload") for m in messages(sqs, url)],
                seconds=stage.patience,
            )

    return failed_event_is_kept


def failed_events_are_handed_on(function: str) -> Callable[[Stage], None]:
    """To the function that reports them, which fails on nonsense, too."""

    def failed_event_is_handed_on(stage: Stage) -> None:
        sqs, url = stage.client("sqs"), stage.resources["FailureDeadLetterQueue"]
        with never_tried_again(stage, function, "FailureFunction"):
            event = invoke_with_nonsense(stage, function)

            def is_kept() -> bool:
                records = [json.loads(message)["requestPayload"] for message in messages(sqs, url)]
                return event in [record.get("requestPayload") for record in records]

            wait_for(is_kept, seconds=stage.patience)

    return failed_event_is_handed_on


def a_file_that_was_not_prepared_is_reported(stage: Stage) -> None:
    failed = event("failure-preprocess", requestPayload=dropped(stage, IRIS))
    run = stage.handle("failure", failed)["run"]
    assert started(stage, run)["failure"]["code"] == "NotPrepared"


def an_interrupted_run_is_taken_up(stage: Stage) -> None:
    states, events, sqs = (stage.client(name) for name in ("stepfunctions", "events", "sqs"))
    rule, queue = (stage.resources[n] for n in ("RunInterrupted", "InterruptedRunDeadLetterQueue"))
    arn = running(stage)
    before = states.list_executions(stateMachineArn=stage.machine)["executions"]
    messages(sqs, queue)
    events.enable_rule(Name=rule)
    try:
        states.stop_execution(executionArn=arn)

        def taken_up() -> bool:
            assert not messages(sqs, queue), "the event is in the dead-letter queue"
            now = states.list_executions(stateMachineArn=stage.machine)["executions"]
            return len(now) > len(before)

        wait_for(taken_up)
    finally:
        events.disable_rule(Name=rule)


def an_interrupted_batch_is_taken_up(stage: Stage) -> None:
    states, events, sqs = (stage.client(name) for name in ("stepfunctions", "events", "sqs"))
    queue, machine = stage.resources["InterruptedRunDeadLetterQueue"], stage.resources["ScoreBatch"]
    batch = rows_to_transform(stage, MANY_LINES)
    arn = stage.start("transform", batch, machine="ScoreBatch", **of_batch(stage, batch))
    before = states.list_executions(stateMachineArn=machine)["executions"]
    messages(sqs, queue)
    events.enable_rule(Name=stage.resources["BatchInterrupted"])
    try:
        states.stop_execution(executionArn=arn)

        def taken_up() -> bool:
            assert not messages(sqs, queue), "the event is in the dead-letter queue"
            now = states.list_executions(stateMachineArn=machine)["executions"]
            return len(now) > len(before)

        wait_for(taken_up)
    finally:
        events.disable_rule(Name=stage.resources["BatchInterrupted"])


# The state machine's, each with one or a few tasks that are really run.


def a_model_is_trained(stage: Stage) -> None:
    stage.execute("training", stage.copy_run("train/train.pbr", "test/test.pbr"))


def a_training_is_stopped_with_its_execution(stage: Stage) -> None:
    sagemaker, run = stage.client("sagemaker"), new_run()
    stage.write(f"runs/{run}/train/train.pbr", MANY_ROWS)
    stage.write(f"runs/{run}/test/test.pbr", MANY_ROWS * 2)

    def status() -> str:
        with suppress(ClientError):
            described = sagemaker.describe_training_job(TrainingJobName=run)
            return str(described["TrainingJobStatus"])
        return ""

    arn = stage.start("training", run)
    try:
        wait_for(lambda: status() == "InProgress")
        stage.client("stepfunctions").stop_execution(executionArn=arn)
        wait_for(lambda: status() in ("Stopping", "Stopped"), seconds=stage.patience)
    finally:
        with suppress(ClientError):
            sagemaker.stop_training_job(TrainingJobName=run)


def a_model_is_deployed(stage: Stage) -> None:
    """By an execution of its own, which is followed to its end."""
    run = new_run()
    stage.execute("deployment", run)
    assert deployed_kinds(stage, run) == {"endpoint", "configuration", "model"}


def an_endpoint_is_created(stage: Stage) -> None:
    run = new_run()
    stage.execute("creation", run, machine="DeployEndpoint", **deployment_of(stage))
    assert deployed_kinds(stage, run) == {"endpoint", "configuration", "model"}


def an_endpoint_is_waited_for(stage: Stage) -> None:
    arn = stage.execute("description", stage.run, machine="DeployEndpoint", **deployment_of(stage))
    found = stage.client("stepfunctions").describe_execution(executionArn=arn)["output"]
    assert json.loads(found)["outcome"] == "InService"


def deployment_of(stage: Stage) -> dict[str, str]:
    return {"model_uri": stage.artefact, "endpoint_kind": "serverless", "restores": ""}


def a_deployment_is_stopped_for_a_run_that_was_interrupted(stage: Stage) -> None:
    states, run = stage.client("stepfunctions"), new_run()
    with waits_as_long_as_on_aws(stage):
        arn = states.start_execution(
            stateMachineArn=f"{stage.resources['DeployEndpoint']}#waiting",
            name=run,
            input=json.dumps({"run": run, **deployment_of(stage)}),
        )["executionArn"]
        stage.execute("stopping", run, error="RunFailed", interrupted="TIMED_OUT")
        assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def deployments_are_stopped(stage: Stage) -> None:
    an_execution_is_stopped(stage, "waiting", "DeployEndpoint", **deployment_of(stage))


def a_log_is_let_expire(stage: Stage) -> None:
    logs, run = stage.client("logs"), new_run()
    group = f"/aws/sagemaker/Endpoints/{run}"
    logs.create_log_group(logGroupName=group)
    for machine in ("ScaleEndpoint", "RetireEndpoints"):
        stage.execute("expiry", run, machine=machine, endpoint_kind="serverless")
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert found.get("retentionInDays") == 30
        logs.delete_retention_policy(logGroupName=group)


def a_log_is_let_expire_by_the_teardown(stage: Stage) -> None:
    logs, run, app = stage.client("logs"), new_run(), stage.app("teardown")
    group = f"/aws/sagemaker/Endpoints/{run}"
    logs.create_log_group(logGroupName=group)
    app.let_logs_expire(app.logs, [run], 30)
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found.get("retentionInDays") == 30


def scaling_of(stage: Stage, endpoint: str) -> list[str]:
    """The scalable target of an endpoint and its alarms, by their names."""
    alarms = stage.client("cloudwatch").get_paginator("describe_alarms").paginate()
    named = [alarm["AlarmName"] for page in alarms for alarm in page["MetricAlarms"]]
    targets = stage.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{endpoint}/variant/AllTraffic"]
    )["ScalableTargets"]
    return [*(each["ResourceId"] for each in targets), *(n for n in named if endpoint in n)]


def an_endpoint_is_let_scale(stage: Stage) -> None:
    # The role that the account's first one has made.
    with suppress(ClientError):
        stage.client("iam").delete_role(RoleName=SCALING_ROLE)
    with suppress(ClientError):
        stage.client("application-autoscaling").deregister_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{stage.later}/variant/AllTraffic",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        )
    stage.execute("scaling", stage.later, machine="ScaleEndpoint", endpoint_kind="async")
    assert len(scaling_of(stage, stage.later)) == 4


def an_endpoint_no_longer_scales(stage: Stage) -> None:
    an_endpoint_is_let_scale(stage)
    stage.execute("scaling", stage.later, machine="RetireEndpoints")
    assert scaling_of(stage, stage.later) == []


def scaling_is_torn_down(stage: Stage) -> None:
    an_endpoint_is_let_scale(stage)
    app = stage.app("teardown")
    app.stop_scaling(app.autoscaling, app.cloudwatch, [stage.later], STACK)
    assert scaling_of(stage, stage.later) == []


def a_canary(stage: Stage, case: str, run: str, live_run: str) -> None:
    """A model is tried beside the live one, on none of the requests, without any problem."""
    given = {"live_run": live_run, "percent": 0, "minutes": 1}
    with nothing_is_tried_in_the_end(stage, run):
        arn = stage.execute(case, run, machine="Canary", **given)
        found = stage.client("stepfunctions").describe_execution(executionArn=arn)["output"]
        assert (json.loads(found)["outcome"], json.loads(found)["problem"]) == ("Tried", None)


@contextmanager
def nothing_is_tried_in_the_end(stage: Stage, run: str) -> Iterator[None]:
    """Whatever happens, the pointer of the dataset is as it was."""
    try:
        yield
    finally:
        stage.client("dynamodb").update_item(
            TableName=stage.resources["RegistryTable"],
            Key={"dataset": {"S": run.rsplit("-", 2)[0]}, "sort": {"S": "live"}},
            UpdateExpression="REMOVE canary",
        )


def run_beside_another(stage: Stage) -> str:
    """A run of a dataset of its own, in which another is live."""
    run = new_run(f"tried-{uuid.uuid4().hex[:8]}")
    stage.register(run.rsplit("-", 2)[0], "live", run="before", dropped="2025")
    return run


def some_requests_are_shared(stage: Stage) -> None:
    a_canary(stage, "sharing", run_beside_another(stage), "before")


def metrics_are_read(stage: Stage) -> None:
    a_canary(stage, "metrics", run_beside_another(stage), "before")


def a_tried_endpoint_is_looked_at(stage: Stage) -> None:
    a_canary(stage, "description", stage.run, stage.run)


def a_model_is_tried(stage: Stage) -> None:
    """It fails, as it has no endpoint."""
    run, states = run_beside_another(stage), stage.client("stepfunctions")
    stage.execute("trial", run, canary={"percent": 5, "minutes": 5})
    listed = states.list_executions(stateMachineArn=stage.resources["Canary"])["executions"]
    assert [each for each in listed if each["name"].startswith(run)]


def a_trial_is_stopped_with_its_run(stage: Stage) -> None:
    run, states = run_beside_another(stage), stage.client("stepfunctions")
    machine = stage.resources["Canary"]

    def trials(status: str) -> list[str]:
        listed = states.list_executions(stateMachineArn=machine, statusFilter=status)
        return [each["name"] for each in listed["executions"] if each["name"].startswith(run)]

    with waits_as_long_as_on_aws(stage), nothing_is_tried_in_the_end(stage, run):
        arn = stage.start("trial", run, canary={"percent": 5, "minutes": 5})
        wait_for(lambda: trials("RUNNING"), seconds=stage.patience)
        states.stop_execution(executionArn=arn)
        wait_for(lambda: trials("ABORTED"), seconds=stage.patience)


def canaries_are_stopped(stage: Stage) -> None:
    with nothing_is_tried_in_the_end(stage, stage.run):
        given = {"live_run": stage.run, "percent": 0, "minutes": 5}
        an_execution_is_stopped(stage, "sharing", "Canary", **given)


def scaling_is_started(stage: Stage) -> None:
    states, run = stage.client("stepfunctions"), new_run()
    stage.execute("scaling", run)
    listed = states.list_executions(stateMachineArn=stage.resources["ScaleEndpoint"])["executions"]
    assert [each for each in listed if each["name"].startswith(run)]


def scalings_are_stopped(stage: Stage) -> None:
    an_execution_is_stopped(stage, "changing", "ScaleEndpoint", endpoint_kind="async")


def an_endpoint_is_retired(stage: Stage) -> None:
    states = stage.client("stepfunctions")
    machine, run = stage.resources["RetireEndpoints"], new_run()
    stage.execute("retirement", run, error="RunFailed", interrupted="ABORTED")
    listed = states.list_executions(stateMachineArn=machine)["executions"]
    assert [each for each in listed if each["name"].startswith(run)]


def a_deployment_is_deleted(stage: Stage) -> None:
    run = stage.deploy(new_run(), OWN)
    wait_for(lambda: stage.status(run) == "InService")
    stage.execute("deletion", run, machine="RetireEndpoints")
    assert deployed_kinds(stage, run) == set()


def an_endpoint_that_is_not_there_is_not_listed(stage: Stage) -> None:
    stage.execute("listing", new_run(), machine="RetireEndpoints")


def an_endpoint_is_looked_for(stage: Stage) -> None:
    """What can't be described is taken for gone, so that nothing else is left of it."""
    run = stage.deploy(new_run(), OWN)
    wait_for(lambda: stage.status(run) == "InService")
    arn = stage.execute("description", run, machine="RetireEndpoints")
    history = stage.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    entered = [event.get("stateEnteredEventDetails", {}).get("name") for event in history]
    assert "At rest?" in entered


def an_execution_of_the_release_before_deploys_and_deletes(stage: Stage) -> None:
    """By its own role; the definition that it goes on by is no more."""
    sagemaker = stage.client_as("TrainDeployValidateRole", "sagemaker")
    run = stage.deploy(new_run(), OWN, sagemaker)
    wait_for(lambda: stage.status(run) == "InService")
    sagemaker.describe_endpoint(EndpointName=run)
    sagemaker.delete_endpoint(EndpointName=run)
    sagemaker.delete_endpoint_config(EndpointConfigName=run)
    sagemaker.delete_model(ModelName=run)


def a_run_is_validated_and_reported(stage: Stage) -> None:
    stage.execute("validation", stage.run)
    stage.execute("report", stage.run)


def a_run_is_promoted(stage: Stage) -> None:
    """And by a rollback, which pins."""
    for more in ({}, {"pins": True}):
        # A dataset of its own: the pointer of the other stays as it is.
        run = new_run(f"promoted-{uuid.uuid4().hex[:8]}")
        dataset = run.rsplit("-", 2)[0]
        stage.register(dataset, f"run#{run}", run=run, status="Training")
        stage.execute("promotion", run, **more)


def the_registry_is_read(stage: Stage) -> None:
    run = new_run()
    stage.register_run(run, "Training", 1)
    arn = stage.execute("lookup", run, error="RunFailed", interrupted="ABORTED")
    history = stage.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    entered = [event.get("stateEnteredEventDetails", {}).get("name") for event in history]
    # What can't be asked, or written, leads straight to the report.
    assert "May it go live?" in entered


def is_deployed(machine: str) -> Callable[[Stage], None]:
    def a_state_machine_is_deployed(stage: Stage) -> None:
        stage.client("stepfunctions").update_state_machine(
            stateMachineArn=stage.resources[machine], roleArn=stage.roles[f"{machine}Role"].arn
        )

    return a_state_machine_is_deployed


def the_functions_of_parts_are_called(stage: Stage) -> None:
    facts = in_parts(stage) | {"source": large(stage)["source"]}
    stage.execute("functions", machine="PrepareLargeFile", **facts)
    # A retry of what was denied is mocked again.
    for found in ("file", "write"):
        assert stage.exists(f"runs/{facts['run']}/large/{found}.json")


def a_large_file_that_fails_is_reported(stage: Stage) -> None:
    run = new_run()
    started_already(stage, run)
    more = {"machine": "PrepareLargeFile", "dataset": "least", "source": {}}
    # An execution of another input has the name already: so it was started, as far as is known.
    stage.execute("report", run, error="LargeFileFailed", **more)


def of_batch(stage: Stage, batch: str) -> dict[str, Any]:
    return {"batch": batch, "dataset": "least", "file": {}}


def rows_to_transform(stage: Stage, lines: bytes = SETOSA) -> str:
    """What the model is to see of a batch's rows."""
    batch = new_run()
    stage.write(f"batches/least/{batch}/input/{stage.run}/part-00000.csv", lines)
    return batch


def rows_are_transformed(stage: Stage) -> None:
    batch = rows_to_transform(stage)
    stage.execute("transform", batch, machine="ScoreBatch", **of_batch(stage, batch))
    assert stage.exists(f"batches/least/{batch}/output/{stage.run}/part-00000.csv.out")


def a_transform_is_stopped_with_its_execution(stage: Stage) -> None:
    sagemaker, batch = stage.client("sagemaker"), rows_to_transform(stage, MANY_LINES)

    def status() -> str:
        with suppress(ClientError):
            described = sagemaker.describe_transform_job(TransformJobName=batch)
            return str(described["TransformJobStatus"])
        return ""

    arn = stage.start("transform", batch, machine="ScoreBatch", **of_batch(stage, batch))
    try:
        wait_for(lambda: status() == "InProgress")
        stage.client("stepfunctions").stop_execution(executionArn=arn)
        wait_for(lambda: status() in ("Stopping", "Stopped"), seconds=stage.patience)
    finally:
        with suppress(ClientError):
            sagemaker.stop_transform_job(TransformJobName=batch)


def score_is_called(stage: Stage) -> None:
    asked = rows_to_score(stage)
    given = {"batch": asked["batch"], "dataset": "least", "file": asked["file"]}
    stage.execute("report", asked["batch"], machine="ScoreBatch", **given)
    assert stage.exists(f"batches/least/{asked['batch']}/status.json")


# SageMaker's.


def create_training_job(stage: Stage, name: str, *, data: str, **more: Any) -> None:
    """Create a job that trains on the rows in a run's folder."""
    stage.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=stage.roles["SageMakerRole"].arn,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "Pipe"},
        HyperParameters={"k": "1", "sample_size": "1000", "predictor_type": "classifier"},
        InputDataConfig=[
            {
                "ChannelName": channel,
                "ContentType": "application/x-recordio-protobuf",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{stage.bucket}/runs/{data}/{channel}/",
                    }
                },
            }
            for channel in ("train", "test")
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{stage.bucket}/runs/{name}/model"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        **more,
    )


def a_job_runs(stage: Stage) -> None:
    sagemaker, name = stage.client("sagemaker"), new_run()
    logs, cloudwatch = stage.client("logs"), stage.client("cloudwatch")
    group = "/aws/sagemaker/TrainingJobs"
    with suppress(ClientError):
        logs.delete_log_group(logGroupName=group)
    create_training_job(stage, name, data=stage.run)

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return None if described["TrainingJobStatus"] == "InProgress" else described

    described = wait_for(ended)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    (stream, *_) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    lines = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert lines["events"]
    of_job = [{"Name": "TrainingJobName", "Value": name}]
    assert cloudwatch.list_metrics(Namespace=group, Dimensions=of_job)["Metrics"]


def an_endpoint_answers(stage: Stage) -> None:
    endpoint = stage.deploy(new_run(), OWN)
    wait_for(lambda: stage.status(endpoint) != "Creating")
    assert stage.status(endpoint) == "InService"


def an_endpoint_answers_later(stage: Stage) -> None:
    runtime = stage.client("sagemaker-runtime")
    now, former = folders_of_answers(stage.later)[0], folders_of_answers(stage.former)[1]
    for name, folder in ((stage.later, now), (stage.former, former)):
        for body, answer in ((SETOSA, "OutputLocation"), (b"no,numbers\n", "FailureLocation")):
            key = f"{folder}/input/{uuid.uuid4().hex}.csv"
            stage.write(key, body)
            asked = runtime.invoke_endpoint_async(
                EndpointName=name,
                InputLocation=f"s3://{stage.bucket}/{key}",
                ContentType="text/csv",
            )
            written = asked[answer].removeprefix(f"s3://{stage.bucket}/")
            wait_for(lambda written=written: stage.exists(written), seconds=stage.patience)


Needs = dict[str, list[Callable[[Stage], None]]]
"""By the name of a statement, what must fail without any part of it."""

NEEDS: dict[str, Needs] = {
    "PreprocessFunctionRole": {
        "ReadDroppedFiles": [a_file_is_preprocessed, a_file_without_a_version_is_preprocessed],
        "TellMissingFromForbidden": [a_file_that_is_gone_is_refused],
        "WriteCleanData": [a_file_is_preprocessed, a_broken_file_is_refused],
        "TagIntermediateFiles": [a_file_is_preprocessed],
        "RecordStatus": [a_file_is_preprocessed],
        "ReadLiveRunAndClasses": [a_file_is_preprocessed],
        "ReadLiveSchema": [a_file_is_preprocessed],
        "OnlyOnce": [a_file_is_preprocessed, preprocess_crashes],
        "StartRun": [a_file_is_refused],
        "StartLargeFile": [a_large_file_is_started],
        "StartBatch": [rows_are_handed_on_to_be_scored],
        "PreprocessFunctionEventInvokeConfigOnFailureLambdaPolicy": [
            failed_events_are_handed_on("PreprocessFunction")
        ],
    },
    "SplitFunctionRole": {
        "ReadCleanData": [clean_data_is_split, a_run_that_has_gone_on_is_left_as_it_is],
        "WriteTrainAndTest": [clean_data_is_split, split_crashes_while_it_writes],
        "TagIntermediateFiles": [clean_data_is_split],
        "RecordStatus": [clean_data_is_split],
        "OnlyOnce": [clean_data_is_split, split_crashes],
        "StartRun": [clean_data_is_split],
        "SplitFunctionEventInvokeConfigOnFailureLambdaPolicy": [
            failed_events_are_handed_on("SplitFunction")
        ],
    },
    "FailureFunctionRole": {
        "WriteStatus": [a_file_that_was_not_prepared_is_reported],
        "RecordStatus": [a_file_that_was_not_prepared_is_reported],
        "StartRun": [a_file_that_was_not_prepared_is_reported],
        "StartBatch": [rows_that_were_not_handed_on_are_handed_on],
        "FailureFunctionEventInvokeConfigOnFailureSQSPolicy": [
            failed_events_are_kept("FailureFunction", "FailureDeadLetterQueue")
        ],
    },
    "ValidateFunctionRole": {
        "ReadHeldOutRows": [
            held_out_rows_are_validated,
            held_out_rows_are_validated_later,
            a_failure_is_read,
        ],
        "TellMissingFromForbidden": [a_failure_is_read],
        "WriteValidation": [
            held_out_rows_are_validated,
            held_out_rows_are_validated_later,
            damaged_rows_are_not_validated,
        ],
        "FindLiveModel": [held_out_rows_are_validated],
        "AskEndpoints": [held_out_rows_are_validated, held_out_rows_are_validated_later],
    },
    "ReportFunctionRole": {
        "ReadResults": [a_run_is_reported],
        "TellMissingFromForbidden": [a_run_without_results_is_reported],
        "WriteReport": [a_run_is_reported],
        "ReadAndRecordStatus": [a_run_is_reported],
        "OnlyOnce": [a_run_is_reported, mailing_crashes],
        "Mail": [a_report_is_mailed, a_report_is_mailed_where_the_domain_is_verified],
    },
    "PredictFunctionRole": {
        "FindLiveModels": [
            datasets_are_listed_and_described,
            a_dataset_that_is_not_there_is_not_found,
            runs_are_listed_described_and_reported,
        ],
        "ReadModelsAndAnswers": [
            datasets_are_listed_and_described,
            runs_are_listed_described_and_reported,
            a_prediction_is_made,
            a_prediction_is_made_later,
            rows_of_a_run_are_shown,
            a_prediction_of_the_release_before_is_read,
        ],
        "TellMissingFromForbidden": [
            a_prediction_that_is_not_there_is_not_found,
            a_run_that_is_under_way_is_described,
        ],
        "QueueAsyncRequests": [a_prediction_is_made_later],
        "AskEndpoints": [a_prediction_is_made, a_prediction_is_made_later],
        "PresignUploads": [a_file_is_uploaded_by_a_presigned_url],
        "ReadBatches": [a_batch_is_created_and_described, a_result_is_downloaded],
        "CreateBatches": [a_batch_is_created_and_described],
    },
    "ScoreFunctionRole": {
        "ReadDroppedFiles": [a_file_is_scored, a_file_without_a_version_is_scored],
        "FindLiveModel": [a_file_is_scored],
        "ReadModel": [a_file_is_scored],
        "TellMissingFromForbidden": [a_file_of_rows_that_is_gone_is_refused],
        "ReadAndWriteBatches": [a_file_is_scored, writing_a_result_crashes],
        "AskEndpoints": [a_file_is_scored],
        "OnlyOnce": [a_file_is_scored, mailing_a_result_crashes],
        "Mail": [a_result_that_is_mailed],
    },
    "ScoreBatchRole": {
        "Transform": [rows_are_transformed],
        "Tag": [rows_are_transformed],
        "FollowTransform": [rows_are_transformed, a_transform_is_stopped_with_its_execution],
        "WaitForTransformJobs": [is_deployed("ScoreBatch")],
        "Score": [score_is_called],
        "DeliverLogs": [is_deployed("ScoreBatch")],
    },
    "UploadRole": {"Upload": [a_file_is_uploaded_by_a_presigned_url]},
    "TeardownFunctionRole": {
        "StopRuns": [
            executions_are_stopped,
            executions_of_large_files_are_stopped,
            deployments_are_stopped,
            canaries_are_stopped,
            scalings_are_stopped,
            retirements_are_stopped,
            batches_are_stopped,
        ],
        "TellOwnRunsFromOthers": [deployments_are_found_and_deleted],
        "FindDeployments": [deployments_are_found_and_deleted],
        "LetEndpointLogsExpire": [a_log_is_let_expire_by_the_teardown],
        "StopScaling": [scaling_is_torn_down],
        "DeleteAlarms": [scaling_is_torn_down],
        "DeleteDeployments": [deployments_are_found_and_deleted],
    },
    "SweepFunctionRole": {
        "FindExecutions": [nothing_is_swept],
        "FindDeployments": [nothing_is_swept],
        "ReadRegistry": [nothing_is_swept, a_missing_endpoint_is_deployed_again],
        "RecordRuns": [a_missing_endpoint_is_deployed_again, an_old_run_expires],
        "StartExecutions": [what_is_lost_or_orphaned_is_swept],
        "ListFiles": [a_missing_endpoint_is_deployed_again, an_old_run_expires],
        "CopyFiles": [a_missing_endpoint_is_deployed_again],
        "ExpireFiles": [an_old_run_expires],
    },
    "SweepScheduleRole": {"Sweep": [the_schedule_sweeps]},
    "TrainDeployValidateRole": {
        "Train": [a_model_is_trained],
        "FollowTraining": [a_model_is_trained, a_training_is_stopped_with_its_execution],
        "Tag": [a_model_is_trained],
        **{
            sid: [an_execution_of_the_release_before_deploys_and_deletes]
            for sid in ("Deploy", "TagDeployments", "LookForEndpoints", "DeleteDeployments")
        },
        "FollowExecutions": [
            a_model_is_deployed,
            a_model_is_tried,
            a_trial_is_stopped_with_its_run,
            a_deployment_is_stopped_for_a_run_that_was_interrupted,
        ],
        "DeployTryScaleAndRetire": [
            a_model_is_deployed,
            a_model_is_tried,
            scaling_is_started,
            an_endpoint_is_retired,
        ],
        "LetSageMakerRead": [a_model_is_trained],
        "WaitForOthers": [is_deployed("TrainDeployValidate")],
        "ValidateAndReport": [a_run_is_validated_and_reported],
        "Promote": [a_run_is_promoted, the_registry_is_read],
        "DeliverLogs": [is_deployed("TrainDeployValidate")],
    },
    "DeployEndpointRole": {
        "Deploy": [an_endpoint_is_created],
        "TagDeployments": [an_endpoint_is_created],
        "LetSageMakerRead": [an_endpoint_is_created],
        "LookForEndpoints": [an_endpoint_is_waited_for],
        "DeliverLogs": [is_deployed("DeployEndpoint")],
    },
    "CanaryRole": {
        "ShareRequests": [some_requests_are_shared],
        "LookForEndpoints": [a_tried_endpoint_is_looked_at],
        "ReadMetrics": [metrics_are_read],
        "DeliverLogs": [is_deployed("Canary")],
    },
    "ScaleEndpointRole": {
        "LetEndpointLogsExpire": [a_log_is_let_expire],
        "Scale": [an_endpoint_is_let_scale],
        "WakeForRequests": [an_endpoint_is_let_scale],
        "ScaleOwnEndpoints": [],
        "FollowLoad": [],
        "MakeServiceLinkedRole": [an_endpoint_is_let_scale],
        "DeliverLogs": [is_deployed("ScaleEndpoint")],
    },
    "RetireEndpointsRole": {
        "StopScaling": [an_endpoint_no_longer_scales],
        "DeleteAlarms": [an_endpoint_no_longer_scales],
        "LookForEndpoints": [an_endpoint_is_looked_for],
        "ListEndpoints": [an_endpoint_that_is_not_there_is_not_listed],
        "LetEndpointLogsExpire": [a_log_is_let_expire],
        "DeleteDeployments": [a_deployment_is_deleted],
        "DeliverLogs": [is_deployed("RetireEndpoints")],
    },
    "PreprocessPartsFunctionRole": {
        "ReadDroppedFiles": [
            a_file_is_preprocessed_in_parts,
            a_large_file_without_a_version_is_opened,
        ],
        "TellMissingFromForbidden": [a_large_file_that_is_gone_is_refused],
        "ReadFindings": [a_file_is_preprocessed_in_parts],
        "WriteCleanDataAndFindings": [a_file_is_preprocessed_in_parts, surveying_a_part_crashes],
        "TagIntermediateFiles": [a_file_is_preprocessed_in_parts],
        "ReadAndRegisterClasses": [a_file_is_preprocessed_in_parts],
        "ReadLiveSchema": [a_large_file_of_a_dataset_with_a_live_model_is_opened],
        "StartRun": [a_large_file_that_is_gone_is_refused],
    },
    "SplitPartsFunctionRole": {
        "ReadCleanDataAndFindings": [rows_are_split_in_parts],
        "WriteTrainAndTest": [rows_are_split_in_parts, writing_a_part_crashes],
        "WriteFindings": [rows_are_split_in_parts],
        "TagIntermediateFiles": [rows_are_split_in_parts],
        "RecordStatus": [rows_are_split_in_parts],
        "StartRun": [rows_are_split_in_parts],
    },
    "PrepareLargeFileRole": {
        "PreprocessAndSplit": [the_functions_of_parts_are_called],
        "RunParts": [the_functions_of_parts_are_called],
        "FollowParts": [the_functions_of_parts_are_called],
        "StartRun": [a_large_file_that_fails_is_reported],
        "DeliverLogs": [is_deployed("PrepareLargeFile")],
    },
    "RunInterruptedRole": {
        "StartRun": [an_interrupted_run_is_taken_up],
        "StartBatch": [an_interrupted_batch_is_taken_up],
    },
    "SageMakerRole": {
        "ReadRuns": [
            a_job_runs,
            an_endpoint_answers,
            an_endpoint_answers_later,
            rows_are_transformed,
        ],
        "WriteModelsAndAnswers": [a_job_runs, an_endpoint_answers_later, rows_are_transformed],
        "FindObjects": [a_job_runs],
        "Log": [a_job_runs],
        "Measure": [a_job_runs],
        "PullAlgorithm": [a_job_runs],
        "LogInToRegistry": [a_job_runs],
    },
}

for name, needs in NEEDS.items():
    if name.endswith("FunctionRole"):
        function = name.removesuffix("Role")
        needs["LeaveNetworkInterfacesToLambda"] = [network_interfaces_are_left_to_lambda(function)]

SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
ALARMS = "arn:aws:cloudwatch:us-east-1:000000000000:alarm"
EXECUTIONS = "arn:aws:states:us-east-1:000000000000:execution:knn-pipeline-prepare-large-file"

# What the embedded AWS doesn't need, but AWS does, with the page that says so.
ONLY_ON_AWS = {
    **dict.fromkeys(
        [
            *(
                ("ScaleEndpointRole", "ScaleOwnEndpoints", part)
                for part in (
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:DescribeEndpointConfig",
                    "sagemaker:UpdateEndpointWeightsAndCapacities",
                    f"{SAGEMAKER}:endpoint/*",
                    f"{SAGEMAKER}:endpoint-config/*",
                    f"aws:ResourceTag/Application {STACK}",
                )
            ),
            *(
                ("ScaleEndpointRole", "FollowLoad", f"cloudwatch:{action}")
                for action in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")
            ),
            *(
                (role, "DeleteAlarms", f"{ALARMS}:TargetTracking-endpoint/*")
                for role in ("RetireEndpointsRole", "TeardownFunctionRole")
            ),
        ],
        'SageMaker developer guide, "Auto scaling prerequisites"; Application Auto Scaling user '
        'guide, "Identity-based policy examples", permissions on target services and CloudWatch',
    ),
    **{
        ("PrepareLargeFileRole", "FollowParts", part): (
            'Step Functions developer guide, "IAM policies for using Distributed Map states"'
        )
        for part in (
            "states:DescribeExecution",
            "states:StopExecution",
            f"{EXECUTIONS}:*",
            f"{EXECUTIONS}/*",
        )
    },
    ("SageMakerRole", "Log", "logs:DescribeLogStreams"): (
        'SageMaker developer guide, "How to use SageMaker AI execution roles", CreateTrainingJob'
    ),
    ("SageMakerRole", "WriteModelsAndAnswers", "s3:AbortMultipartUpload"): (
        'SageMaker developer guide, asynchronous inference, "Complete the prerequisites"'
    ),
}
