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


@pytest.mark.parametrize("name", [n for n in TASKS if ":::sagemaker:" in STATES[n]["Resource"]])
def test_optimised_integrations_are_given_what_they_support(name):
    assert set(STATES[name]["Arguments"]) <= OPTIMISED[called(STATES[name])[1]]


def test_the_template_substitutes_just_what_the_definition_names():
    substitutions = TEMPLATE["Properties"]["DefinitionSubstitutions"]
    assert set(substitutions) == set(re.findall(r"\$\{(\w+)\}", TEXT))


def test_no_account_region_or_partition_is_written_out():
    template = (ROOT / "template.yaml").read_text()
    images = template[template.index("  KnnImage:") : template.index("  # End of what scripts")]
    for text in (TEXT, template.replace(images, ""), (ROOT / "api/openapi.yaml").read_text()):
        assert not re.search(r"\b\d{12}\b|\barn:aws\b|(us|eu|ap|cn)-[a-z]+-\d", text)


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
