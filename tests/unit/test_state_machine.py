"""The state machines of a run and of its endpoint, checked without running them."""

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
    flat,
    input_shape,
    problems,
    substituted,
)

RESOURCES = load_template(str(ROOT / "template.yaml"))["Resources"]
MACHINES = {
    "train_deploy_validate.asl.json": RESOURCES["TrainDeployValidate"],
    "deploy_endpoint.asl.json": RESOURCES["DeployEndpoint"],
    "canary.asl.json": RESOURCES["Canary"],
    "scale_endpoint.asl.json": RESOURCES["ScaleEndpoint"],
    "retire_endpoints.asl.json": RESOURCES["RetireEndpoints"],
}
"""Each definition's resource in the template."""

TEXTS = {name: (ROOT / "statemachine" / name).read_text() for name in MACHINES}
DEFINITIONS = {name: definition(name) for name in MACHINES}
RUN = DEFINITIONS["train_deploy_validate.asl.json"]
STATES: dict[str, dict[str, Any]] = {
    name: state for machine in DEFINITIONS.values() for name, state in machine["States"].items()
}
"""The states of all; no two have one name."""

TASKS = [name for name, state in STATES.items() if state["Type"] == "Task"]
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


ALGORITHM = MACHINES["train_deploy_validate.asl.json"]["Properties"]["DefinitionSubstitutions"][
    "Algorithm"
]
# A number will do for what the template substitutes, but for these.
SUBSTITUTED = dict.fromkeys(re.findall(r"\$\{(\w+)\}", "".join(TEXTS.values())), "2048") | {
    "TrainingInstanceType": "ml.m5.large",
    "EndpointInstanceType": "ml.m5.large",
    "EndpointKind": "async",
    "SageMakerRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
    "Algorithm": re.sub(r"\$\{[^}]+\}", "region", ALGORITHM["Fn::Sub"][0]),
}
NO_OPTIONS = SUBSTITUTED | {
    "EncryptionKeyArn": "",
    "VpcSubnetIds": "",
    "VpcSecurityGroupIds": "",
}
ALL_OPTIONS = SUBSTITUTED | {
    "EncryptionKeyArn": "key",
    "VpcSubnetIds": "subnet-1",
    "VpcSecurityGroupIds": "sg-1,sg-2",
}
NETWORK = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1", "sg-2"]}


@pytest.mark.parametrize("name", [path.name for path in (ROOT / "statemachine").iterdir()])
def test_a_state_machine_is_seen_at_a_glance(name):
    """With what is nested in its states; what would be more is a state machine of its own."""
    assert len(flat(definition(name)["States"])) <= 25


def test_no_two_states_have_one_name():
    assert len(STATES) == sum(len(machine["States"]) for machine in DEFINITIONS.values())


@pytest.mark.parametrize("name", MACHINES)
def test_every_transition_leads_to_a_state_of_its_machine(name):
    states = DEFINITIONS[name]["States"]
    assert {target for s in states.values() for _, target in branches(s)} <= set(states)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reached_from_the_first(name):
    states = DEFINITIONS[name]["States"]
    reached, todo = set(), [DEFINITIONS[name]["StartAt"]]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += [target for _, target in branches(states[state])]
    assert reached == set(states)


def lint_findings(machine: dict[str, Any]) -> list[str]:
    """What cfn-lint's JSON schema of the Amazon States Language (E3601) finds."""
    properties = {
        "RoleArn": "arn:aws:iam::123456789012:role/states",
        "Definition": substituted(machine, dict.fromkeys(SUBSTITUTED, "aws")),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = json.dumps({"Resources": {"Machine": resource}})
    return [match.message for match in lint(template, config=ManualArgs(regions=["us-east-1"]))]


@pytest.mark.parametrize("name", MACHINES)
def test_the_definition_is_valid_amazon_states_language(name):
    assert lint_findings(DEFINITIONS[name]) == []


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("Begin", {"Asign": {}}),
        ("Promote", {"Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": "often"}]}),
    ],
)
def test_what_is_no_amazon_states_language_is_found(state, changes):
    changed = RUN["States"] | {state: STATES[state] | changes}
    assert lint_findings(RUN | {"States": changed})


@pytest.mark.parametrize("name", STATES)
def test_every_expression_is_jsonata(name):
    for expression in expressions(substituted(STATES[name], SUBSTITUTED)):
        assert jsonata.Jsonata(expression)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_retries_what_is_transient_and_catches_the_rest(name):
    state = STATES[name]
    assert state["TimeoutSeconds"] > 0
    assert all(retry["MaxAttempts"] <= 6 for retry in state["Retry"])
    assert state["Retry"]
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", MACHINES)
def test_the_execution_as_a_whole_is_bounded(name):
    assert DEFINITIONS[name]["TimeoutSeconds"] <= 4 * 3600


@pytest.mark.parametrize(
    "name", [n for n in TASKS if STATES[n]["Resource"].split(":")[5] not in ("lambda", "states")]
)
def test_every_task_passes_what_the_service_asks_for(name):
    """As far as it stands in the definition; the integration tests look at what is computed."""
    assert list(problems(STATES[name]["Arguments"], input_shape(*called(STATES[name])))) == []


def asked_of(name: str, options: dict[str, str]) -> dict[str, Any]:
    """The arguments of a task, after the states that its variables come from."""
    given: dict[str, Any] = {"run": "iris-1", "hyperparameters": {"predictor_type": "classifier"}}
    given |= {"model_uri": "s3://runs/model.tar.gz", "endpoint_kind": "async", "restores": ""}
    variables: dict[str, Any] = {"states": {"input": given}}
    (training,) = (c for c in STATES["What is asked?"]["Choices"] if c["Next"] == "Train")
    before = [STATES["Begin"], training] if name == "Train" else [STATES["What to deploy"]]
    for state in before:
        variables |= evaluated(substituted(state["Assign"], options), variables)
    return evaluated(substituted(STATES[name]["Arguments"], options), variables)


@pytest.mark.parametrize("options", [NO_OPTIONS, ALL_OPTIONS], ids=["no options", "all options"])
@pytest.mark.parametrize(
    "name",
    ["Train", "Create model", "Create endpoint configuration", "Create endpoint"],
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


def test_a_key_encrypts_what_training_keeps_and_a_vpc_is_its_network():
    asked = asked_of("Train", ALL_OPTIONS)
    assert asked["OutputDataConfig"]["KmsKeyId"] == "key"
    assert asked["ResourceConfig"]["VolumeKmsKeyId"] == "key"
    assert asked["VpcConfig"] == NETWORK


def test_a_key_encrypts_what_an_endpoint_keeps_and_a_vpc_is_its_network():
    assert asked_of("Create model", ALL_OPTIONS)["VpcConfig"] == NETWORK
    config = asked_of("Create endpoint configuration", ALL_OPTIONS)
    assert config["KmsKeyId"] == "key"
    assert config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == "key"


@pytest.mark.parametrize("name", ["Begin", "What to deploy"])
def test_a_single_subnet_is_a_list_though_split_gave_its_only_part(name):
    """JSONata makes a list of one element its element in many places, AWS doesn't say in which."""
    (expression,) = expressions(substituted(STATES[name]["Assign"]["network"], ALL_OPTIONS))
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


def judged(**found: Any) -> tuple[str, str]:
    """Where the canary's state machine goes by what it has found, and the problem's message."""
    tried = {
        "percent": 5,
        "minutes": 5,
        "requests": 200,
        "errors": 0,
        "milliseconds": 21.5,
        "live_milliseconds": 20,
    }
    variables = {"run": "iris-1", "percent": 5, "minutes": 10, "minutes_gone": 5, "is_tried": True}
    variables |= {"endpoint_status": "InService"} | found | {"tried": tried | found}
    state = STATES["Good so far?"]
    for choice in state["Choices"]:
        if evaluated(choice["Condition"], variables):
            problem = evaluated(choice.get("Assign", {}), variables).get("problem", {})
            return choice["Next"], problem.get("message", "")
    return state["Default"], ""


@pytest.mark.parametrize(
    ("found", "then"),
    [
        ({}, "Let requests come"),
        ({"minutes_gone": 10}, "Tried"),
        ({"minutes_gone": 10, "requests": 0}, "Tried"),
        # One may fail by accident, or one of a hundred.
        ({"errors": 1}, "Let requests come"),
        ({"errors": 2}, "Let requests come"),
        ({"errors": 3}, "Stop sharing"),
        ({"errors": 1, "requests": 1}, "Let requests come"),
        ({"errors": 2, "requests": 2}, "Stop sharing"),
        # Twice as slow, if that is noticed.
        ({"milliseconds": 119}, "Let requests come"),
        ({"milliseconds": 121}, "Stop sharing"),
        ({"milliseconds": 390, "live_milliseconds": 200}, "Let requests come"),
        ({"milliseconds": 410, "live_milliseconds": 200}, "Stop sharing"),
        ({"milliseconds": 410, "live_milliseconds": 200, "requests": 19}, "Let requests come"),
        ({"milliseconds": 410, "live_milliseconds": 0}, "Let requests come"),
        ({"endpoint_status": "gone"}, "Stop sharing"),
        ({"endpoint_status": "Failed"}, "Stop sharing"),
        ({"endpoint_status": "Updating"}, "Let requests come"),
        # Whatever it did, nobody is to be told of a trial that ended for another reason.
        ({"is_tried": False, "errors": 100, "endpoint_status": "gone"}, "Overtaken"),
    ],
)
def test_a_model_that_is_tried_is_dropped_if_it_fails_or_is_slow(found, then):
    assert judged(**found)[0] == then


def test_both_numbers_are_told_of_a_model_that_is_dropped():
    assert "failed 3 of the 200 requests" in judged(errors=3)[1]
    message = judged(milliseconds=410.5, live_milliseconds=200)[1]
    assert "410.5 ms" in message
    assert "200 ms" in message


def test_metrics_without_values_count_as_none_and_minutes_add_up():
    read = {"Id": "requests", "Values": [3.0, 4.0]}, {"Id": "errors", "Values": []}
    times = {"Id": "latency", "Values": [4e4, 2e4]}, {"Id": "answers", "Values": [2.0, 1.0]}
    live = {"Id": "live_latency", "Values": []}, {"Id": "live_answers", "Values": [2.0]}
    results = [*read, *times, *live]
    variables = {"percent": 5, "minutes_gone": 5}
    variables |= {"states": {"result": {"MetricDataResults": results}}}
    tried = evaluated(STATES["Read metrics"]["Assign"]["tried"], variables)
    assert (tried["requests"], tried["errors"]) == (7, 0)
    assert (tried["milliseconds"], tried["live_milliseconds"]) == (20, 0)


def evaluated(value: Any, variables: dict[str, Any]) -> Any:
    """The value with its JSONata evaluated."""
    if isinstance(value, dict):
        return {key: evaluated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluated(item, variables) for item in value]
    if not isinstance(value, str) or not value.startswith("{%"):
        return value
    return jsonata.Jsonata(value[2:-2].strip()).evaluate(None, variables)


@pytest.mark.parametrize("name", MACHINES)
def test_the_template_substitutes_just_what_the_definition_names(name):
    substitutions = MACHINES[name]["Properties"]["DefinitionSubstitutions"]
    assert set(substitutions) == set(re.findall(r"\$\{(\w+)\}", TEXTS[name]))


def allowed_actions(machine: dict[str, Any]) -> Iterator[str]:
    """The actions that a state machine's role allows."""
    for statement in machine["Properties"]["Policies"][0]["Statement"]:
        actions = statement["Action"]
        yield from actions if isinstance(actions, list) else [actions]


# .sync reads the job's tags, and stops it when the execution is stopped; tags need AddTags.
# Source: Step Functions developer guide, "IAM policies for calling Amazon SageMaker AI".
OF_SYNC = {"sagemaker:ListTags", "sagemaker:StopTrainingJob", "sagemaker:AddTags"}
# Application Auto Scaling asks its caller for these. Source: SageMaker developer guide, "Auto
# scaling prerequisites".
OF_SCALING = {
    *(f"sagemaker:{name}" for name in ("DescribeEndpoint", "DescribeEndpointConfig")),
    "sagemaker:UpdateEndpointWeightsAndCapacities",
    *(f"cloudwatch:{name}" for name in ("DescribeAlarms", "DeleteAlarms")),
}
# ".sync" follows the execution, and stops it with its own. Source: Step Functions developer guide,
# "IAM policies for AWS Step Functions", synchronous.
OF_EXECUTIONS = {"states:DescribeExecution", "states:StopExecution"}
# Of executions that began with the release before: see the template.
OF_FORMER_RUNS = {
    "sagemaker:DescribeEndpoint",
    *(
        f"sagemaker:{action}{kind}"
        for action in ("Create", "Delete")
        for kind in ("Endpoint", "EndpointConfig", "Model")
    ),
}


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("train_deploy_validate.asl.json", OF_SYNC | OF_EXECUTIONS | OF_FORMER_RUNS),
        ("deploy_endpoint.asl.json", {"sagemaker:AddTags"}),
        ("canary.asl.json", set()),
        ("scale_endpoint.asl.json", OF_SCALING),
        ("retire_endpoints.asl.json", set()),
    ],
)
def test_a_state_machine_may_call_just_what_its_tasks_call(name, extra):
    states = DEFINITIONS[name]["States"]
    tasks = {":".join(called(states[task])) for task in states if task in TASKS}
    # Source: DynamoDB developer guide, "Using IAM with DynamoDB transactions".
    named = {
        "lambda:Invoke": {"lambda:InvokeFunction"},
        "stepfunctions:StopExecution": {"states:StopExecution"},
        "dynamodb:TransactGetItems": {"dynamodb:GetItem"},
        "dynamodb:TransactWriteItems": {"dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"},
    }
    services = ("sagemaker:", "dynamodb:", "lambda:", "logs:PutRetention", "states:")
    services += ("application-autoscaling:", "cloudwatch:")
    allowed = {a for a in allowed_actions(MACHINES[name]) if a.startswith(services)}
    assert allowed == {each for task in tasks for each in named.get(task, {task})} | extra


@pytest.mark.parametrize("name", STATES)
def test_no_state_leads_to_itself(name):
    """Without a wait between, it would end only with the history of the execution."""
    state = STATES[name]
    ways = [state, *state.get("Choices", ()), *state.get("Catch", ())]
    assert name not in {way.get("Next") for way in ways} | {state.get("Default")}
