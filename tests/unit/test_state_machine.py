"""The state machine, checked without running it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonata
import pytest
from cfnlint.api import ManualArgs, lint
from cfnlint.decode.cfn_yaml import load as load_template

from tests.states_language import (
    ROOT,
    branches,
    called,
    definition,
    expressions,
    input_shape,
    problems,
    substituted,
)

NAME = "train_deploy_validate.asl.json"
TEXT = (ROOT / "statemachine" / NAME).read_text()
MACHINE = definition(NAME)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = [name for name, state in STATES.items() if state["Type"] == "Task"]
TEMPLATE = load_template(str(ROOT / "template.yaml"))["Resources"]["TrainDeployValidate"]
# Source: Step Functions developer guide, "Create and manage Amazon SageMaker AI jobs with Step
# Functions", supported parameters. A definition with another is refused.
OPTIMISED = {
    "CreateTrainingJob": {
        "AlgorithmSpecification",
        "HyperParameters",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "RoleArn",
        "StoppingCondition",
        "Tags",
        "TrainingJobName",
        "VpcConfig",
    },
    "CreateModel": {
        "Containers",
        "EnableNetworkIsolation",
        "ExecutionRoleArn",
        "ModelName",
        "PrimaryContainer",
        "Tags",
        "VpcConfig",
    },
    "CreateEndpoint": {"EndpointConfigName", "EndpointName", "Tags"},
}


def successors(state: dict[str, Any]) -> list[str]:
    return [target for _, target in branches(state)]


def test_every_transition_leads_to_a_state():
    targets = {target for state in STATES.values() for target in successors(state)}
    assert targets <= set(STATES)


def test_every_state_is_reached_from_the_first():
    reached, todo = set(), [MACHINE["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += successors(STATES[name])
    assert reached == set(STATES)


def lint_findings(machine: dict[str, Any]) -> list[str]:
    """What cfn-lint's JSON schema of the Amazon States Language (E3601) finds."""
    definition = substituted(machine, dict.fromkeys(re.findall(r"\$\{(\w+)\}", TEXT), "aws"))
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/states", "Definition": definition}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = json.dumps({"Resources": {"Machine": resource}})
    return [match.message for match in lint(template, config=ManualArgs(regions=["us-east-1"]))]


def test_the_definition_is_valid_amazon_states_language():
    assert lint_findings(MACHINE) == []


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("Begin", {"Asign": {}}),
        ("Train", {"Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": "often"}]}),
    ],
)
def test_what_is_no_amazon_states_language_is_found(state, changes):
    assert lint_findings(MACHINE | {"States": STATES | {state: STATES[state] | changes}})


@pytest.mark.parametrize("name", STATES)
def test_every_expression_is_jsonata(name):
    for expression in expressions(STATES[name]):
        assert jsonata.Jsonata(expression)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_retries_what_is_transient_and_catches_the_rest(name):
    state = STATES[name]
    assert state["TimeoutSeconds"] > 0
    assert all(retry["MaxAttempts"] <= 6 for retry in state["Retry"])
    assert state["Retry"]
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_the_execution_as_a_whole_is_bounded():
    assert MACHINE["TimeoutSeconds"] <= 4 * 3600


@pytest.mark.parametrize("name", [n for n in TASKS if ":lambda:" not in STATES[n]["Resource"]])
def test_every_task_passes_what_the_service_asks_for(name):
    """As far as it stands in the definition; the integration tests look at what is computed."""
    assert list(problems(STATES[name]["Arguments"], input_shape(*called(STATES[name])))) == []


# A number will do for what the template substitutes, but for these.
SUBSTITUTED = dict.fromkeys(re.findall(r"\$\{(\w+)\}", TEXT), "2048") | {
    "TrainingInstanceType": "ml.m5.large",
    "EndpointInstanceType": "ml.m5.large",
    "SageMakerRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
}
NO_OPTIONS = SUBSTITUTED | {
    "EncryptionKeyArn": "",
    "VpcSubnetIds": "",
    "VpcSecurityGroupIds": "",
    "NetworkIsolation": "no",
}
ALL_OPTIONS = SUBSTITUTED | {
    "EncryptionKeyArn": "key",
    "VpcSubnetIds": "subnet-1",
    "VpcSecurityGroupIds": "sg-1,sg-2",
    "NetworkIsolation": "yes",
}
NETWORK = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1", "sg-2"]}


def asked_of(name: str, options: dict[str, str]) -> dict[str, Any]:
    """The arguments of a task, after the states that its variables come from."""
    variables = {"run": "iris-1", "model_uri": "s3://runs/model.tar.gz", "feature_dim": 4}
    for state in ("Begin", "Training job", "Asynchronous"):
        assigned = substituted(STATES[state]["Assign"], options)
        states = {"input": {"run": "iris-1", "feature_dim": 4}}
        variables |= evaluated(assigned, {**variables, "states": states})
    return evaluated(substituted(STATES[name]["Arguments"], options), variables)


@pytest.mark.parametrize("options", [NO_OPTIONS, ALL_OPTIONS], ids=["no options", "all options"])
@pytest.mark.parametrize(
    "name",
    ["Train", "Train isolated", "Create model", "Create endpoint configuration", "Create endpoint"],
)
def test_sagemaker_is_asked_for_what_it_takes(name, options):
    service, operation = called(STATES[name])
    arguments = asked_of(name, options)
    assert list(problems(arguments, input_shape(service, operation))) == []
    if ":aws-sdk:" not in STATES[name]["Resource"]:
        assert set(arguments) <= OPTIMISED[operation]


def test_without_options_there_is_neither_a_key_nor_a_network():
    for name in ("Train", "Create model", "Create endpoint configuration"):
        text = json.dumps(asked_of(name, NO_OPTIONS))
        assert "KmsKeyId" not in text
        assert "VpcConfig" not in text
    assert asked_of("Create model", NO_OPTIONS)["EnableNetworkIsolation"] is False


@pytest.mark.parametrize("name", ["Train", "Train isolated"])
def test_a_key_encrypts_what_training_keeps_and_a_vpc_is_its_network(name):
    asked = asked_of(name, ALL_OPTIONS)
    assert asked["OutputDataConfig"]["KmsKeyId"] == "key"
    assert asked["ResourceConfig"]["VolumeKmsKeyId"] == "key"
    assert asked["VpcConfig"] == NETWORK
    assert asked.get("EnableNetworkIsolation", False) is (name == "Train isolated")


def test_a_key_encrypts_what_an_endpoint_keeps_and_a_vpc_is_its_network():
    model = asked_of("Create model", ALL_OPTIONS)
    assert (model["VpcConfig"], model["EnableNetworkIsolation"]) == (NETWORK, True)
    config = asked_of("Create endpoint configuration", ALL_OPTIONS)
    assert config["KmsKeyId"] == "key"
    assert config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == "key"


def test_a_single_subnet_is_a_list_though_split_gave_its_only_part():
    """JSONata makes a list of one element its element in many places, AWS doesn't say in which."""
    (expression,) = expressions(substituted(STATES["Begin"]["Assign"]["network"], ALL_OPTIONS))
    collapsing = """
        ($parts := $split;
        $split := function($text, $by) {
            $count($parts($text, $by)) = 1 ? $parts($text, $by)[0] : $parts($text, $by)};
        %s)"""
    network = jsonata.Jsonata(collapsing % expression).evaluate(None)
    assert network == {"VpcConfig": NETWORK}


def test_what_is_made_in_sagemaker_is_tagged_with_its_run():
    for name in ("Train", "Create model", "Create endpoint configuration", "Create endpoint"):
        assert {"Key": "Run", "Value": "iris-1"} in asked_of(name, NO_OPTIONS)["Tags"]


def test_an_isolated_job_is_stopped_with_its_interrupted_run():
    assert STATES["Fail what was interrupted"]["Next"] == "Stop training job"


def evaluated(value: Any, variables: dict[str, Any]) -> Any:
    """The value with its JSONata evaluated."""
    if isinstance(value, dict):
        return {key: evaluated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluated(item, variables) for item in value]
    if not isinstance(value, str) or not value.startswith("{%"):
        return value
    return jsonata.Jsonata(value[2:-2].strip()).evaluate(None, variables)


def test_the_template_substitutes_just_what_the_definition_names():
    substitutions = TEMPLATE["Properties"]["DefinitionSubstitutions"]
    assert set(substitutions) == set(re.findall(r"\$\{(\w+)\}", TEXT))


def allowed_actions() -> Iterator[str]:
    """The actions that the state machine's role allows."""
    for statement in TEMPLATE["Properties"]["Policies"][0]["Statement"]:
        actions = statement["Action"]
        yield from actions if isinstance(actions, list) else [actions]


def test_the_state_machine_may_call_just_what_its_tasks_call():
    tasks = {":".join(called(STATES[name])) for name in TASKS} - {"lambda:Invoke"}
    # .sync reads the job's tags, and stops it when the execution is stopped; tags need AddTags.
    # Source: Step Functions developer guide, "IAM policies for calling Amazon SageMaker AI".
    extra = {"sagemaker:ListTags", "sagemaker:StopTrainingJob", "sagemaker:AddTags"}
    services = ("sagemaker:", "dynamodb:", "lambda:", "logs:PutRetention")
    allowed = {action for action in allowed_actions() if action.startswith(services)}
    assert allowed == tasks | extra | {"lambda:InvokeFunction"}
