"""What a CreateHyperParameterTuningJob request must satisfy beyond the service model.

Source, unless said otherwise: API reference, "CreateHyperParameterTuningJob" and the shapes that
it links; developer guide, "Tune a k-NN Model" and "Resource Limits for Automatic Model Tuning".
"""

import math

from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.job_metrics import METRIC_DEFINITIONS
from embedded_aws.sagemaker.jobs import TUNING
from embedded_aws.sagemaker.training.request import check_training_job, with_defaults
from embedded_aws.sagemaker.tuning.ranges import NumericRange, Range, combinations, parse_ranges

# What of k-NN can be tuned, as which kind of number, and the recommended range.
TUNABLE = {"k": (1, 1024), "sample_size": (256, 20_000_000)}
OBJECTIVES = {"test:accuracy": "Maximize", "test:mse": "Minimize"}
OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
MAX_TRAINING_JOBS = 750
MAX_PARALLEL_TRAINING_JOBS = 100
# Around a hint, where Autotune is left to choose; what SageMaker chooses isn't documented.
HINT_FACTOR = 10

# Members of a training job's definition that its training jobs are created with as they are.
HANDED_ON = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)


def definitions_of(request: Document) -> list[Document]:
    """The definitions of the training jobs, one or several."""
    single = request.get("TrainingJobDefinition")
    several: list[Document] = request.get("TrainingJobDefinitions", [])
    return ([single] if single else []) + several


def check_tuning_job(scope: Scope, request: Document) -> None:
    """Refuse what SageMaker refuses, and what only this SageMaker can't do.

    Raises ServiceError: ValidationException, or ResourceLimitExceeded.
    """
    if bool(request.get("TrainingJobDefinition")) == bool(request.get("TrainingJobDefinitions")):
        raise validation_error("Give either a TrainingJobDefinition or TrainingJobDefinitions")
    definitions = definitions_of(request)
    if "TrainingJobDefinitions" in request:
        names = [definition.get("DefinitionName") for definition in definitions]
        if None in names or len(set(names)) < len(names):
            raise validation_error("Each of several definitions needs a DefinitionName of its own")
    for definition in definitions:
        check_definition(scope, request, definition)
    check_strategy(request)
    check_limits(request)
    if "WarmStartConfig" in request:
        check_warm_start(scope, request)


def check_definition(scope: Scope, request: Document, definition: Document) -> None:
    """Refuse a definition whose training jobs would be refused, or that tunes what can't be."""
    check_training_job(scope, training_request(definition))
    objective = objective_of(request, definition)
    image = definition["AlgorithmSpecification"]["TrainingImage"]
    name, direction = objective["MetricName"], objective["Type"]
    if name not in OBJECTIVES:
        raise validation_error(
            f"The objective metric, [{name}], isn't valid for the [{image}] algorithm. Choose a "
            f"valid objective metric: {', '.join(OBJECTIVES)}."
        )
    if direction != OBJECTIVES[name]:
        raise validation_error(
            f"The objective metric type, [{direction}], that you specified for objective metric, "
            f"[{name}], isn't valid for the [{image}] algorithm. Choose a valid objective metric "
            f"type: {OBJECTIVES[name]}."
        )
    ranges = ranges_of(request, definition)
    if not ranges:
        raise validation_error("A tuning job needs at least one hyperparameter range")
    for item in ranges:
        if item.name not in TUNABLE:
            raise validation_error(
                f"The hyperparameter [{item.name}] isn't tunable for the [{image}] algorithm. "
                f"Tunable are: {', '.join(TUNABLE)}."
            )
        if isinstance(item, NumericRange) and not item.whole:
            raise validation_error(
                f"The hyperparameter [{item.name}] of the [{image}] algorithm is an integer: give "
                "it an IntegerParameterRange"
            )
        if item.name in definition.get("StaticHyperParameters", {}):
            raise validation_error(
                f"The hyperparameter [{item.name}] can't be both static and tuned"
            )


def training_request(definition: Document) -> Document:
    """A definition as the CreateTrainingJob request that it stands for, but for what is tuned."""
    request = {member: definition[member] for member in HANDED_ON if member in definition}
    flexible = definition.get("HyperParameterTuningResourceConfig")
    if flexible:
        chosen = {**flexible, **(flexible.get("InstanceConfigs") or [{}])[0]}
        request["ResourceConfig"] = {
            member: chosen[member]
            for member in ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
            if member in chosen
        }
    return request


def objective_of(request: Document, definition: Document) -> Document:
    """The objective that the definition's training jobs are measured by."""
    objective: Document | None = definition.get("TuningObjective") or request[
        "HyperParameterTuningJobConfig"
    ].get("HyperParameterTuningJobObjective")
    if objective is None:
        raise validation_error(
            "A metric is required for this hyperparameter tuning job objective. Provide a "
            "HyperParameterTuningJobObjective or a TuningObjective."
        )
    return objective


def ranges_of(request: Document, definition: Document) -> list[Range]:
    """The ranges that are searched for the definition; Autotune fills in those left to it."""
    config = request["HyperParameterTuningJobConfig"]
    given = definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
    hinted = given.get("AutoParameters", [])
    if hinted and "Autotune" not in request:
        raise validation_error("AutoParameters need Autotune")
    integers = given.get("IntegerParameterRanges", []) + [range_around(item) for item in hinted]
    return parse_ranges({**given, "IntegerParameterRanges": integers})


def range_around(hint: Document) -> Document:
    """A range about the example value that Autotune was given."""
    name = hint["Name"]
    lowest, highest = TUNABLE.get(name, (1, 1))
    try:
        value = int(hint["ValueHint"])
    except ValueError:
        raise validation_error(
            f"[{hint['ValueHint']}], a hint for [{name}], is no integer"
        ) from None
    return {
        "Name": name,
        "MinValue": str(max(lowest, value // HINT_FACTOR)),
        "MaxValue": str(max(lowest, min(highest, value * HINT_FACTOR))),
        "ScalingType": "Logarithmic",
    }


def check_strategy(request: Document) -> None:
    """Refuse ranges and settings that a strategy can't work with."""
    config = request["HyperParameterTuningJobConfig"]
    strategy = config["Strategy"]
    if strategy == "Hyperband" and config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise validation_error("TrainingJobEarlyStoppingType must be Off with Hyperband")
    if "StrategyConfig" in config and strategy != "Hyperband":
        raise validation_error("StrategyConfig is for the Hyperband strategy only")
    total = total_combinations(request)
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        for definition in definitions_of(request):
            if any(isinstance(item, NumericRange) for item in ranges_of(request, definition)):
                raise validation_error(
                    "Only categorical parameters are supported when using the grid search strategy"
                )
        if wanted not in (None, total):
            raise validation_error(
                f"With the grid search strategy MaxNumberOfTrainingJobs, [{wanted}], must equal "
                f"the number of distinct categorical combinations, [{total:g}]"
            )
    elif wanted is not None and total < wanted:
        # Source of the words: aws/amazon-sagemaker-operator-for-k8s issue 123.
        raise validation_error(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(total)}] must be equal "
            f"or greater than the value of MaxNumberOfJobs, [{wanted}]. Provide additional ranges."
        )


def total_combinations(request: Document) -> float:
    """How many combinations all definitions have together."""
    return sum(
        combinations(ranges_of(request, definition)) for definition in definitions_of(request)
    )


def check_limits(request: Document) -> None:
    """Refuse more training jobs than an account may have."""
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    for member, most in (
        ("MaxNumberOfTrainingJobs", MAX_TRAINING_JOBS),
        ("MaxParallelTrainingJobs", MAX_PARALLEL_TRAINING_JOBS),
    ):
        if limits.get(member, 0) > most:
            raise limit_exceeded(member, limits[member], most)
    total = total_combinations(request)
    if request["HyperParameterTuningJobConfig"]["Strategy"] == "Grid" and total > MAX_TRAINING_JOBS:
        raise limit_exceeded("The number of combinations", int(total), MAX_TRAINING_JOBS)


def limit_exceeded(what: str, given: int, most: int) -> ServiceError:
    """The error for more than an account may have."""
    return ServiceError(
        "ResourceLimitExceeded",
        f"{what} of a hyperparameter tuning job, [{given}], exceeds the limit of {most}",
    )


def job_limit(request: Document) -> int:
    """How many training jobs a tuning job may launch at the most."""
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    total = total_combinations(request)
    most = limits.get("MaxNumberOfTrainingJobs", MAX_TRAINING_JOBS)
    return int(min(most, total)) if math.isfinite(total) else int(most)


def check_warm_start(scope: Scope, request: Document) -> None:
    """Refuse parents that can't be started from.

    Source: developer guide, "Run a Warm Start Hyperparameter Tuning Job", restrictions.
    """
    names: list[str] = [
        parent.get("HyperParameterTuningJobName", "")
        for parent in request["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    ]
    own = definitions_of(request)[0]
    objective, hyperparameters = objective_of(request, own), hyperparameter_names(request, own)
    for name in names:
        parent = store.tuning_jobs.get(scope, name)
        if parent is None:
            raise validation_error(f"The parent tuning job [{name}] does not exist")
        if not TUNING.has_ended(parent):
            raise validation_error(
                f"The parent tuning job [{name}] must be in a terminal state, but is "
                f"{parent[TUNING.status]}"
            )
        theirs = definitions_of(parent)[0]
        if objective_of(parent, theirs) != objective:
            raise validation_error(
                f"The objective metric must be the same as that of the parent tuning job [{name}]"
            )
        if len(hyperparameter_names(parent, theirs)) != len(hyperparameters):
            raise validation_error(
                "The total number of static plus tunable hyperparameters must be the same as in "
                f"the parent tuning job [{name}]"
            )


def hyperparameter_names(request: Document, definition: Document) -> set[str]:
    """The names of a definition's hyperparameters, static and tuned."""
    static = set(definition.get("StaticHyperParameters", {})) - {OBJECTIVE_HYPERPARAMETER}
    return static | {item.name for item in ranges_of(request, definition)}


def config_with_defaults(config: Document) -> Document:
    """The configuration of a tuning job as Describe shows it.

    Source: API reference, "HyperParameterTuningJobConfig" and "IntegerParameterRange" (defaults);
    SageMaker SDK 2, sagemaker/tuner.py, which reads all three lists of ranges, whatever was sent.
    """
    shown = {"TrainingJobEarlyStoppingType": "Off", **config}
    if "ParameterRanges" in config:
        shown["ParameterRanges"] = ranges_with_defaults(config["ParameterRanges"])
    return shown


def ranges_with_defaults(ranges: Document) -> Document:
    """Ranges as Describe shows them: of each kind a list, each number with its scale."""
    integers, floats = (
        [{"ScalingType": "Auto", **item} for item in ranges.get(member, [])]
        for member in ("IntegerParameterRanges", "ContinuousParameterRanges")
    )
    return {
        "CategoricalParameterRanges": [],
        **ranges,
        "IntegerParameterRanges": integers,
        "ContinuousParameterRanges": floats,
    }


def definition_with_defaults(request: Document, definition: Document) -> Document:
    """A definition as Describe shows it: with the objective named to the algorithm.

    Source: the state of a tuning job of a built-in algorithm as Step Functions handed it on. For
    the ResourceConfig, SageMaker SDK 2, sagemaker/tuner.py and estimator.py: ``attach`` reads it
    of every job, also of those that it made itself with a HyperParameterTuningResourceConfig only.
    """
    objective = objective_of(request, definition)["MetricName"]
    completed = with_defaults(training_request(definition))
    shown = {member: completed[member] for member in HANDED_ON if member in completed}
    if "HyperParameterRanges" in definition:
        shown["HyperParameterRanges"] = ranges_with_defaults(definition["HyperParameterRanges"])
    shown["AlgorithmSpecification"] = {
        **shown["AlgorithmSpecification"],
        "MetricDefinitions": [
            *METRIC_DEFINITIONS,
            *(
                {**metric, "Name": "ObjectiveMetric"}
                for metric in METRIC_DEFINITIONS
                if metric["Name"] == objective
            ),
        ],
    }
    return {
        **definition,
        **shown,
        "StaticHyperParameters": {
            **definition.get("StaticHyperParameters", {}),
            OBJECTIVE_HYPERPARAMETER: objective,
        },
    }
