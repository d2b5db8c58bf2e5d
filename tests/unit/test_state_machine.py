"""The state machine, checked without running it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import jsonata
import pytest
from botocore.model import ListShape, Shape, StructureShape
from cfnlint.decode.cfn_yaml import load as load_template

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachine/train_deploy_validate.asl.json").read_text()
MACHINE = json.loads(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = [name for name, state in STATES.items() if state["Type"] == "Task"]
# The name of a service in Step Functions, where it is another than botocore's.
SERVICES = {"cloudwatchlogs": "logs"}
# Source: Step Functions developer guide, "Create and manage Amazon SageMaker AI jobs with Step
# Functions", supported parameters. A definition with another is refused.
OPTIMISED = {
    "createTrainingJob.sync": {
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
    "createModel": {
        "Containers",
        "EnableNetworkIsolation",
        "ExecutionRoleArn",
        "ModelName",
        "PrimaryContainer",
        "Tags",
        "VpcConfig",
    },
    "createEndpoint": {"EndpointConfigName", "EndpointName", "Tags"},
}


def successors(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (branch["Next"] for branch in state.get("Choices", []) + state.get("Catch", []))


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


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_retries_what_is_transient_and_catches_the_rest(name):
    state = STATES[name]
    assert state["TimeoutSeconds"] > 0
    assert all(retry["MaxAttempts"] <= 6 for retry in state["Retry"])
    assert state["Retry"]
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_the_execution_as_a_whole_is_bounded():
    assert MACHINE["TimeoutSeconds"] <= 4 * 3600


@pytest.mark.parametrize("name", [n for n in TASKS if isinstance(STATES[n]["Arguments"], dict)])
def test_every_task_passes_what_the_service_asks_for_under_its_names(name):
    *_, service, action = STATES[name]["Resource"].split(":")
    if service == "lambda":
        assert set(STATES[name]["Arguments"]) == {"FunctionName", "Payload"}
    else:
        check(STATES[name]["Arguments"], input_shape(service, action), name)


@pytest.mark.parametrize("name", [n for n in TASKS if ":::sagemaker:" in STATES[n]["Resource"]])
def test_optimised_integrations_are_given_what_they_support(name):
    action = STATES[name]["Resource"].rpartition(":")[2]
    assert set(STATES[name]["Arguments"]) <= OPTIMISED[action]


@pytest.mark.parametrize("kind", ["Serverless", "Asynchronous", "Real-time"])
def test_the_endpoint_configuration_of_each_kind_is_what_the_service_asks_for(kind):
    variables = {"run": "iris-1", "tags": [{"Key": "Dataset", "Value": "iris"}]}
    variables |= evaluated(substituted(STATES[kind]["Assign"]), variables)
    arguments = evaluated(STATES["Create endpoint configuration"]["Arguments"], variables)
    check(arguments, input_shape("sagemaker", "createEndpointConfig"), kind)
    (variant,) = arguments["ProductionVariants"]
    assert ("ServerlessConfig" in variant) == (kind == "Serverless")
    assert ("InstanceType" in variant) == (kind != "Serverless")
    assert ("AsyncInferenceConfig" in arguments) == (kind == "Asynchronous")


def input_shape(service: str, action: str) -> Shape:
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    return model.operation_model(operation_name(action)).input_shape


def operation_name(action: str) -> str:
    return action[0].upper() + action[1:].removesuffix(".sync")


def substituted(value: Any) -> Any:
    """The value with something for each of the template's substitutions, a number mostly."""
    text = json.dumps(value).replace("${EndpointInstanceType}", "ml.m5.large")
    return json.loads(re.sub(r"\$\{\w+\}", "2048", text))


def evaluated(value: Any, variables: dict[str, Any]) -> Any:
    """The value with its JSONata evaluated."""
    if isinstance(value, dict):
        return {key: evaluated(item, variables) for key, item in value.items()}
    if not isinstance(value, str) or not value.startswith("{%"):
        return value
    return jsonata.Jsonata(value[2:-2].strip()).evaluate(None, variables)


def check(value: Any, shape: Shape, path: str) -> None:
    """Names and required members at all depths; the type of what JSONata doesn't compute."""
    if isinstance(value, str) and value.startswith("{%"):
        return
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict), path
        # Step Functions writes members with a capital, whatever the service does.
        members = {key[0].upper() + key[1:]: member for key, member in shape.members.items()}
        required = {key[0].upper() + key[1:] for key in shape.required_members}
        assert required <= set(value) <= set(members), path
        for key, item in value.items():
            check(item, members[key], f"{path}.{key}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list), path
        for item in value:
            check(item, shape.member, f"{path}[]")
    elif shape.type_name in ("integer", "long"):
        assert isinstance(value, int), path
    elif shape.type_name == "string":
        assert isinstance(value, str), path
        if getattr(shape, "enum", None) and "${" not in value:
            assert value in shape.enum, path


def test_the_template_substitutes_just_what_the_definition_names():
    template = load_template(str(ROOT / "template.yaml"))
    machine = template["Resources"]["TrainDeployValidate"]["Properties"]
    assert set(machine["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", TEXT))


def test_no_account_region_or_partition_is_written_out():
    template = (ROOT / "template.yaml").read_text()
    images = template[template.index("  KnnImage:") : template.index("  # End of what scripts")]
    for text in (TEXT, template.replace(images, ""), (ROOT / "api/openapi.yaml").read_text()):
        assert not re.search(r"\b\d{12}\b|\barn:aws\b|(us|eu|ap|cn)-[a-z]+-\d", text)


def test_the_state_machine_may_call_just_what_its_tasks_call():
    template = load_template(str(ROOT / "template.yaml"))
    policies = template["Resources"]["TrainDeployValidate"]["Properties"]["Policies"]
    allowed = {
        action
        for statement in policies[0]["Statement"]
        for action in [statement["Action"]]
        for action in (action if isinstance(action, list) else [action])
        if action.startswith(("sagemaker:", "dynamodb:", "lambda:", "logs:PutRetention"))
    }
    called = set()
    for name in TASKS:
        *_, service, action = STATES[name]["Resource"].split(":")
        called.add(f"{SERVICES.get(service, service)}:{operation_name(action)}")
    # .sync reads the job's tags, and stops it when the execution is stopped; tags need AddTags.
    # Source: Step Functions developer guide, "IAM policies for calling Amazon SageMaker AI".
    extra = {"sagemaker:ListTags", "sagemaker:StopTrainingJob", "sagemaker:AddTags"}
    assert allowed == (called - {"lambda:Invoke"}) | extra | {"lambda:InvokeFunction"}
