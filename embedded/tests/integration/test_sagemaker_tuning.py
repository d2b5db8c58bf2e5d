"""Hyperparameter tuning jobs on the embedded AWS, as boto3 sees them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, Workshop, unique, wait_for
from embedded.tests.integration.test_sagemaker_training import MANY, put_many_rows
from embedded_aws.sagemaker.tuning.ranges import parse_ranges
from embedded_aws.sagemaker.tuning.search import BayesianSearch

ACCURACY = {"Type": "Maximize", "MetricName": "test:accuracy"}
MSE = {"Type": "Minimize", "MetricName": "test:mse"}
K_FROM_1_TO_60 = {"IntegerParameterRanges": [{"Name": "k", "MinValue": "1", "MaxValue": "60"}]}
STATIC = {"sample_size": "1000", "predictor_type": "classifier"}
ENDED = ("Completed", "Failed", "Stopped")


def categories(**values: list[str]) -> dict[str, Any]:
    """ParameterRanges of categories."""
    ranges = [{"Name": name, "Values": given} for name, given in values.items()]
    return {"CategoricalParameterRanges": ranges}


def definition(workshop: Workshop, **changes: Any) -> dict[str, Any]:
    """The training jobs of a tuning job: those of the bucket's ``train/`` and ``test/``."""
    job = workshop.job("unused")
    members = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig")
    members += ("ResourceConfig", "StoppingCondition")
    request = {member: job[member] for member in members}
    return {**request, "StaticHyperParameters": STATIC, **changes}


def slow_definition(workshop: Workshop) -> dict[str, Any]:
    """Training jobs that need some seconds each."""
    put_many_rows(workshop)
    return definition(
        workshop,
        InputDataConfig=[workshop.channel("train", MANY), workshop.channel("test", MANY)],
        StaticHyperParameters={**STATIC, "sample_size": "60000", "mini_batch_size": "1"},
    )


def tuning_job(
    workshop: Workshop,
    name: str,
    jobs: int | None = 3,
    parallel: int = 2,
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request."""
    limits = {"MaxParallelTrainingJobs": parallel}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": ACCURACY,
            "ResourceLimits": {**limits, **({"MaxNumberOfTrainingJobs": jobs} if jobs else {})},
            "ParameterRanges": K_FROM_1_TO_60,
            **(config or {}),
        },
        "TrainingJobDefinition": definition(workshop),
        **changes,
    }


def described(workshop: Workshop, name: str) -> dict[str, Any]:
    """The description of a tuning job."""
    job: dict[str, Any] = workshop.sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return job


def ended(workshop: Workshop, name: str) -> dict[str, Any]:
    """The description of a tuning job once it has ended."""
    wait_for(lambda: described(workshop, name)["HyperParameterTuningJobStatus"] in ENDED)
    return described(workshop, name)


def tune(workshop: Workshop, **options: Any) -> dict[str, Any]:
    """Run a tuning job to its end, and describe it."""
    name = unique("tune")
    workshop.sagemaker.create_hyper_parameter_tuning_job(**tuning_job(workshop, name, **options))
    return ended(workshop, name)


def training_jobs(workshop: Workshop, name: str, **request: Any) -> list[dict[str, Any]]:
    """The training jobs of a tuning job."""
    found: list[dict[str, Any]] = (
        workshop.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **request
        )["TrainingJobSummaries"]
    )
    return found


@pytest.fixture(scope="module")
def grid(workshop: Workshop) -> dict[str, Any]:
    """A grid of three k, of which the largest, all rows, can only guess."""
    config = {"Strategy": "Grid", "ParameterRanges": categories(k=["112", "5", "110"])}
    return tune(
        workshop,
        jobs=None,
        config=config,
        Tags=[{"Key": "dataset", "Value": "iris"}],
    )


def test_a_grid_tries_every_combination_and_the_best_job_is_found(
    workshop: Workshop, grid: dict[str, Any]
) -> None:
    name = grid["HyperParameterTuningJobName"]
    assert grid["HyperParameterTuningJobStatus"] == "Completed"
    tried = {
        job["TunedHyperParameters"]["k"]: job["FinalHyperParameterTuningJobObjectiveMetric"][
            "Value"
        ]
        for job in training_jobs(workshop, name)
    }
    assert set(tried) == {"112", "5", "110"}
    best = grid["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"k": "5"}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "MetricName": "test:accuracy",
        "Value": max(tried.values()),
    }
    assert max(tried.values()) > 0.9 > min(tried.values())


def test_jobs_are_counted_by_status_and_objective(grid: dict[str, Any]) -> None:
    assert grid["TrainingJobStatusCounters"] == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert grid["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}


def test_a_training_job_knows_its_tuning_job_and_what_it_is_measured_by(
    workshop: Workshop, grid: dict[str, Any]
) -> None:
    client, best = workshop.sagemaker, grid["BestTrainingJob"]
    name = grid["HyperParameterTuningJobName"]
    assert best["TrainingJobName"].startswith(f"{name}-00")
    job = client.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert job["TuningJobArn"] == grid["HyperParameterTuningJobArn"]
    assert job["HyperParameters"] == {
        **STATIC,
        "k": "5",
        "_tuning_objective_metric": "test:accuracy",
    }
    assert [metric["MetricName"] for metric in job["FinalMetricDataList"]] == [
        "test:accuracy",
        "ObjectiveMetric",
    ]
    assert workshop.exists(job["ModelArtifacts"]["S3ModelArtifacts"])
    tags = client.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "dataset", "Value": "iris"}]


def test_a_tuning_job_describes_its_definition_with_the_objective_in_it(
    grid: dict[str, Any],
) -> None:
    shown = grid["TrainingJobDefinition"]
    assert shown["StaticHyperParameters"]["_tuning_objective_metric"] == "test:accuracy"
    metrics = [item["Name"] for item in shown["AlgorithmSpecification"]["MetricDefinitions"]]
    assert metrics == ["test:accuracy", "test:mse", "ObjectiveMetric"]


def test_a_tuning_job_describes_the_resources_of_a_job_and_what_was_left_out(
    workshop: Workshop,
) -> None:
    resources = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    asked = definition(workshop, HyperParameterTuningResourceConfig=resources)
    del asked["ResourceConfig"]
    job = tune(workshop, jobs=1, TrainingJobDefinition=asked)
    shown, config = job["TrainingJobDefinition"], job["HyperParameterTuningJobConfig"]
    assert shown["ResourceConfig"] == shown["HyperParameterTuningResourceConfig"] == resources
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [
            {"Name": "k", "MinValue": "1", "MaxValue": "60", "ScalingType": "Auto"}
        ],
        "ContinuousParameterRanges": [],
        "CategoricalParameterRanges": [],
    }


def test_training_jobs_are_listed_by_objective_value_status_and_in_pages(
    workshop: Workshop, grid: dict[str, Any]
) -> None:
    name = grid["HyperParameterTuningJobName"]
    by_value = training_jobs(
        workshop, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending"
    )
    assert by_value[0]["TunedHyperParameters"] == {"k": "5"}
    names = [job["TrainingJobName"] for job in training_jobs(workshop, name)]
    assert names == sorted(names)
    assert not training_jobs(workshop, name, StatusEquals="Failed")
    paginator = workshop.sagemaker.get_paginator(
        "list_training_jobs_for_hyper_parameter_tuning_job"
    )
    pages = paginator.paginate(HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 2})
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]


def test_tuning_jobs_are_listed(workshop: Workshop, grid: dict[str, Any]) -> None:
    name = grid["HyperParameterTuningJobName"]
    operation = "list_hyper_parameter_tuning_jobs"
    (listed,) = workshop.listed(operation, NameContains=name, StatusEquals="Completed")
    assert listed["Strategy"] == "Grid"
    assert listed["TrainingJobStatusCounters"]["Completed"] == 3
    assert not workshop.listed(operation, NameContains=name, StatusEquals="Failed")


def test_the_state_of_a_tuning_job_is_an_event(workshop: Workshop) -> None:
    queue = workshop.events("SageMaker HyperParameter Tuning Job State Change")
    config = {"Strategy": "Grid", "ParameterRanges": categories(k=["1"])}
    job = tune(workshop, jobs=1, config=config)
    name = job["HyperParameterTuningJobName"]

    def statuses() -> list[str]:
        details = [event["detail"] for event in queue()]
        return [
            detail["HyperParameterTuningJobStatus"]
            for detail in details
            if detail["HyperParameterTuningJobName"] == name
        ]

    wait_for(lambda: "Completed" in statuses())
    assert statuses() == ["InProgress", "Completed"]
    last = queue()[-1]["detail"]
    assert last["BestTrainingJob"]["TrainingJobName"].startswith(name)
    assert last["TrainingJobStatusCounters"]["Completed"] == 1


def ks(workshop: Workshop, job: dict[str, Any]) -> list[str]:
    """The values of k that a tuning job tried, in order."""
    found = training_jobs(workshop, job["HyperParameterTuningJobName"])
    return [item["TunedHyperParameters"]["k"] for item in found]


def test_a_random_seed_repeats_a_random_search(workshop: Workshop) -> None:
    first, second = (
        tune(workshop, jobs=2, config={"RandomSeed": 7, "Strategy": strategy})
        for strategy in ("Random", "Hyperband")
    )
    assert ks(workshop, first) == ks(workshop, second)
    assert len(set(ks(workshop, first))) == 2


def test_a_bayesian_search_starts_from_what_its_parent_found(
    workshop: Workshop, grid: dict[str, Any]
) -> None:
    parent = grid["HyperParameterTuningJobName"]
    job = tune(
        workshop,
        jobs=1,
        config={
            "Strategy": "Bayesian",
            "RandomSeed": 0,
            "ParameterRanges": {
                "IntegerParameterRanges": [{"Name": "k", "MinValue": "80", "MaxValue": "112"}]
            },
        },
        WarmStartConfig={
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}],
            "WarmStartType": "IdenticalDataAndAlgorithm",
        },
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    overall = job["OverallBestTrainingJob"]
    assert overall["TrainingJobName"] == grid["BestTrainingJob"]["TrainingJobName"]
    assert overall["TuningJobName"] == parent
    (own,) = training_jobs(workshop, job["HyperParameterTuningJobName"])
    assert own["TrainingJobName"] != overall["TrainingJobName"]
    ranges = parse_ranges(
        {"IntegerParameterRanges": [{"Name": "k", "MinValue": "80", "MaxValue": "112"}]}
    )
    known = [
        (
            found["TunedHyperParameters"],
            found["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
        )
        for found in training_jobs(workshop, parent)
    ]
    assert own["TunedHyperParameters"] == BayesianSearch(ranges, 0).propose(known, [])
    assert own["TunedHyperParameters"] != BayesianSearch(ranges, 0).propose([], [])


def test_several_definitions_take_turns_each_with_its_own_objective(workshop: Workshop) -> None:
    definitions = [
        definition(
            workshop,
            DefinitionName="classifier",
            TuningObjective=ACCURACY,
            HyperParameterRanges=categories(k=["3"]),
        ),
        definition(
            workshop,
            DefinitionName="regressor",
            TuningObjective=MSE,
            HyperParameterRanges=categories(k=["3"]),
            StaticHyperParameters={**STATIC, "predictor_type": "regressor"},
        ),
    ]
    request = tuning_job(workshop, unique("tune"), jobs=None, TrainingJobDefinitions=definitions)
    config = request["HyperParameterTuningJobConfig"]
    del request["TrainingJobDefinition"], config["ParameterRanges"]
    del config["HyperParameterTuningJobObjective"]
    config["Strategy"] = "Grid"
    workshop.sagemaker.create_hyper_parameter_tuning_job(**request)
    job = ended(workshop, request["HyperParameterTuningJobName"])
    found = training_jobs(workshop, request["HyperParameterTuningJobName"])
    assert [
        (
            item["TrainingJobDefinitionName"],
            item["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"],
        )
        for item in found
    ] == [("classifier", "test:accuracy"), ("regressor", "test:mse")]
    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "classifier"


def test_the_search_ends_once_the_target_is_reached(workshop: Workshop) -> None:
    criteria = {"TargetObjectiveMetricValue": 0.5}
    config = {"TuningJobCompletionCriteria": criteria}
    job = tune(workshop, jobs=20, parallel=1, config=config)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert sum(job["TrainingJobStatusCounters"].values()) < 20


def test_the_search_ends_once_it_no_longer_improves(workshop: Workshop) -> None:
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    ranges = {"IntegerParameterRanges": [{"Name": "k", "MinValue": "1", "MaxValue": "8"}]}
    config = {"TuningJobCompletionCriteria": criteria, "ParameterRanges": ranges}
    job = tune(workshop, jobs=8, config=config)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    details = job["TuningJobCompletionDetails"]
    assert details["NumberOfTrainingJobsObjectiveNotImproving"] >= 3


def test_a_stopped_tuning_job_stops_its_training_jobs(workshop: Workshop) -> None:
    client, name = workshop.sagemaker, unique("tune")
    slow = slow_definition(workshop)
    client.create_hyper_parameter_tuning_job(
        **tuning_job(workshop, name, jobs=6, parallel=4, TrainingJobDefinition=slow)
    )
    wait_for(lambda: len(training_jobs(workshop, name)) == 4)
    with pytest.raises(client.exceptions.ResourceInUse):
        client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = ended(workshop, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 4
    with pytest.raises(ClientError, match="tuning job is in status Stopped"):
        client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_a_tuning_job_gives_up_when_its_first_training_jobs_all_fail(workshop: Workshop) -> None:
    broken = definition(workshop, StaticHyperParameters={**STATIC, "predictor_type": "guesser"})
    job = tune(workshop, jobs=10, parallel=2, TrainingJobDefinition=broken)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] >= 5
    (failed, *_) = training_jobs(workshop, job["HyperParameterTuningJobName"])
    assert failed["FailureReason"].startswith("ClientError:")
    assert failed["ObjectiveStatus"] == "Failed"


def test_without_a_test_channel_there_is_no_objective_and_no_best_job(workshop: Workshop) -> None:
    blind = definition(workshop, InputDataConfig=[workshop.channel("train")])
    job = tune(workshop, jobs=1, TrainingJobDefinition=blind)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 1
    assert job["ObjectiveStatusCounters"]["Failed"] == 1
    assert "BestTrainingJob" not in job


def test_autotune_searches_around_the_example_values(workshop: Workshop) -> None:
    hints = {"AutoParameters": [{"Name": "k", "ValueHint": "3"}]}
    job = tune(workshop, jobs=1, config={"ParameterRanges": hints}, Autotune={"Mode": "Enabled"})
    assert job["Autotune"] == {"Mode": "Enabled"}
    assert 1 <= int(job["BestTrainingJob"]["TunedHyperParameters"]["k"]) <= 30


def test_a_deleted_tuning_job_leaves_its_training_jobs(workshop: Workshop) -> None:
    client = workshop.sagemaker
    job = tune(workshop, jobs=1)
    name = job["HyperParameterTuningJobName"]
    client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(client.exceptions.ResourceNotFound, match="can't find a tuning job"):
        described(workshop, name)
    best = job["BestTrainingJob"]["TrainingJobName"]
    assert client.describe_training_job(TrainingJobName=best)["TrainingJobStatus"] == "Completed"


def test_a_name_in_use_is_refused(workshop: Workshop, grid: dict[str, Any]) -> None:
    client = workshop.sagemaker
    words = "A hyperparameter tuning job with the name, .*, already exists. Choose a different"
    with pytest.raises(client.exceptions.ResourceInUse, match=words):
        client.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, grid["HyperParameterTuningJobName"])
        )


def test_more_jobs_than_an_account_may_have_exceed_a_limit(workshop: Workshop) -> None:
    client = workshop.sagemaker
    with pytest.raises(client.exceptions.ResourceLimitExceeded, match="MaxParallelTrainingJobs"):
        client.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, unique("tune"), jobs=60, parallel=101)
        )


def integers(**bounds: tuple[int, int]) -> dict[str, Any]:
    """ParameterRanges of integers."""
    ranges = [
        {"Name": name, "MinValue": str(low), "MaxValue": str(high)}
        for name, (low, high) in bounds.items()
    ]
    return {"ParameterRanges": {"IntegerParameterRanges": ranges}}


RATE = {"ContinuousParameterRanges": [{"Name": "k", "MinValue": "1", "MaxValue": "2"}]}
NOT_AN_OBJECTIVE = {"Type": "Maximize", "MetricName": "test:macro_f1"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"HyperParameterTuningJobObjective": NOT_AN_OBJECTIVE},
            f"The objective metric, [test:macro_f1], isn't valid for the [{IMAGE}] algorithm",
        ),
        (
            {"HyperParameterTuningJobObjective": {**ACCURACY, "Type": "Minimize"}},
            "Choose a valid objective metric type: Maximize",
        ),
        (integers(mini_batch_size=(1, 9)), "hyperparameter [mini_batch_size] isn't tunable"),
        (integers(sample_size=(256, 512)), "[sample_size] can't be both static and tuned"),
        (integers(k=(9, 1)), "must not be greater than MaxValue"),
        ({"ParameterRanges": RATE}, "is an integer: give it an IntegerParameterRange"),
        ({"ParameterRanges": {}}, "needs at least one hyperparameter range"),
        (
            integers(k=(1, 2)),
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            "hyperparameter combinations for the provided ranges [2.0] must be equal or greater "
            "than the value of MaxNumberOfJobs, [3]. Provide additional ranges.",
        ),
        (
            {"Strategy": "Grid"},
            "Only categorical parameters are supported when using the grid search strategy",
        ),
        (
            {"Strategy": "Grid", "ParameterRanges": categories(k=["1", "2"])},
            "must equal the number of distinct categorical combinations, [2]",
        ),
        (
            {"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"},
            "TrainingJobEarlyStoppingType must be Off",
        ),
        (
            {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1}}},
            "for the Hyperband strategy only",
        ),
        (
            {"ParameterRanges": {"AutoParameters": [{"Name": "k", "ValueHint": "3"}]}},
            "AutoParameters need Autotune",
        ),
    ],
)
def test_a_search_that_k_nn_can_not_make_is_refused(
    workshop: Workshop, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError) as refused:
        workshop.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, unique("tune"), config=config)
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert message in refused.value.response["Error"]["Message"]


def test_training_jobs_that_would_be_refused_are_refused_at_once(workshop: Workshop) -> None:
    nothing = definition(workshop, InputDataConfig=[workshop.channel("train", "nothing/")])
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        workshop.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, unique("tune"), TrainingJobDefinition=nothing)
        )


def test_a_warm_start_has_as_many_hyperparameters_as_its_parent(
    workshop: Workshop, grid: dict[str, Any]
) -> None:
    static = {**STATIC, "index_type": "faiss.Flat"}
    parents = [{"HyperParameterTuningJobName": grid["HyperParameterTuningJobName"]}]
    with pytest.raises(ClientError, match="total number of static plus tunable hyperparameters"):
        workshop.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_job(
                workshop,
                unique("tune"),
                TrainingJobDefinition=definition(workshop, StaticHyperParameters=static),
                WarmStartConfig={
                    "ParentHyperParameterTuningJobs": parents,
                    "WarmStartType": "IdenticalDataAndAlgorithm",
                },
            )
        )


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        ({}, {"HyperParameterTuningJobObjective": MSE}, "objective metric must be the same"),
        ({"parent": "no-such-job"}, {}, "does not exist"),
    ],
)
def test_a_parent_that_can_not_be_started_from_is_refused(
    workshop: Workshop,
    grid: dict[str, Any],
    changes: dict[str, str],
    config: dict[str, Any],
    message: str,
) -> None:
    parent = changes.get("parent", grid["HyperParameterTuningJobName"])
    warm_start = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}],
        "WarmStartType": "TransferLearning",
    }
    with pytest.raises(ClientError, match=message):
        workshop.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_job(workshop, unique("tune"), config=config, WarmStartConfig=warm_start)
        )
