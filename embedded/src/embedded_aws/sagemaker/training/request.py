"""What a CreateTrainingJob request must satisfy beyond the service model, and its defaults.

Source, unless said otherwise: API reference, "CreateTrainingJob" and the shapes that it links.
"""

from embedded_aws.aws import platform
from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker.image import require_known_image
from embedded_aws.sagemaker.job_metrics import METRIC_DEFINITIONS

DEFAULT_MAX_RUNTIME = 86400
LONGEST_RUNTIME = 28 * 86400
# k-NN writes no checkpoints, and such algorithms may not wait longer for spot instances.
# Source: developer guide, "Managed Spot Training in Amazon SageMaker".
LONGEST_SPOT_WAIT_WITHOUT_CHECKPOINTS = 3600

# Members that say how and where to train on something else than instances with S3 data.
NOT_BUILT = ("ServerlessJobConfig",)


def check_training_job(scope: Scope, request: Document) -> None:
    """Refuse what SageMaker refuses, and what only this SageMaker can't do.

    Raises ServiceError: ValidationException that says what is wrong.
    """
    for member in NOT_BUILT:
        if request.get(member):
            raise validation_error(f"The embedded SageMaker does not have {member}")
    check_algorithm(request.get("AlgorithmSpecification", {}))
    check_resources(request.get("ResourceConfig", {}))
    check_output(request["OutputDataConfig"])
    check_stopping_condition(request)
    check_channels(scope, request)


def check_algorithm(algorithm: Document) -> None:
    """Refuse what is not the built-in k-NN."""
    if algorithm.get("AlgorithmName"):
        raise validation_error(
            "The embedded SageMaker has no algorithm resources: give the TrainingImage of the "
            "built-in k-NN instead of an AlgorithmName"
        )
    require_known_image(algorithm.get("TrainingImage"))
    if algorithm.get("MetricDefinitions"):
        # Source of the words: awslabs/mlspace issue 68.
        raise validation_error(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please "
            "retry the request without specifying metric definitions."
        )


def check_resources(resources: Document) -> None:
    """Refuse a cluster that isn't described."""
    groups = resources.get("InstanceGroups")
    preferences = resources.get("InstancePreferences")
    if groups and (resources.get("InstanceType") or resources.get("InstanceCount")):
        raise validation_error("InstanceGroups can't be combined with InstanceType, InstanceCount")
    if groups or preferences:
        return
    if not resources.get("InstanceType") or not resources.get("InstanceCount"):
        raise validation_error("ResourceConfig needs an InstanceType and an InstanceCount above 0")


def check_output(output: Document) -> None:
    """Refuse an output path that is no S3 URI, which the model's pattern lets through."""
    try:
        platform.split_s3_uri(output["S3OutputPath"])
    except platform.DataError as error:
        raise validation_error(f"OutputDataConfig.S3OutputPath: {error}") from error


def check_stopping_condition(request: Document) -> None:
    """Refuse times that exceed limits or don't fit together."""
    condition = request.get("StoppingCondition", {})
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    wait = condition.get("MaxWaitTimeInSeconds")
    if runtime > LONGEST_RUNTIME:
        raise validation_error(f"MaxRuntimeInSeconds must not be above {LONGEST_RUNTIME}")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise validation_error(
                "Invalid MaxWaitTimeInSeconds. It is for managed spot training: set "
                "EnableManagedSpotTraining too"
            )
        return
    if wait is None or wait < runtime:
        raise validation_error(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    if wait > LONGEST_SPOT_WAIT_WITHOUT_CHECKPOINTS:
        raise validation_error(
            "Invalid MaxWaitTimeInSeconds. k-NN does not checkpoint, so it must not be above "
            f"{LONGEST_SPOT_WAIT_WITHOUT_CHECKPOINTS}"
        )


def check_channels(scope: Scope, request: Document) -> None:
    """Refuse channels that clash, or whose data isn't there or can't be read here."""
    channels = request.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) != len(names):
        raise validation_error("Channel names must be unique within a training job")
    for channel in channels:
        mode = input_mode(request, channel)
        source = s3_source(channel)
        if source["S3DataType"] == "AugmentedManifestFile" and mode != "Pipe":
            raise validation_error(
                "AugmentedManifestFile can only be used if the Channel's input mode is Pipe"
            )
        if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise validation_error(
                f"k-NN does not read channels of S3DataType {source['S3DataType']}, as "
                f"{channel['ChannelName']!r} is; S3Prefix and ManifestFile are available"
            )
        require_objects(scope, source["S3Uri"], request["RoleArn"])


def s3_source(channel: Document) -> Document:
    """The S3 source of a channel; file systems and data sets are refused."""
    source: Document | None = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise validation_error(
            f"The embedded SageMaker reads channels from S3 only: {channel['ChannelName']!r} "
            "needs an S3DataSource"
        )
    return source


def input_mode(request: Document, channel: Document) -> str:
    """A channel's own input mode, or the job's."""
    return str(channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"])


def require_objects(scope: Scope, uri: str, role: str) -> None:
    """Refuse an S3 URI with nothing below it, in SageMaker's words.

    Source of the words: aws/sagemaker-python-sdk issue 1073 and others; CreateTrainingJob and
    CreateHyperParameterTuningJob answer alike.
    """
    try:
        bucket, _ = platform.split_s3_uri(uri)
    except platform.DataError as error:
        raise validation_error(str(error)) from error
    try:
        found = any(platform.list_keys(scope.acting_as(role), uri))
    except platform.DataError:
        found = False
    if not found:
        raise validation_error(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure '
            f"that the bucket exists in the selected region ({scope.region}), that objects exist "
            f'under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions '
            f'on bucket "{bucket}".'
        )


def with_defaults(request: Document) -> Document:
    """The request as Describe shows it: defaults filled in, the algorithm's metrics named.

    Source: answers of DescribeTrainingJob for built-in algorithms. Only a tuning job's training
    jobs come with metrics of their own, the algorithm's and ``ObjectiveMetric``.
    """
    profiler = request.get("ProfilerConfig")
    return {
        **request,
        "HyperParameters": request.get("HyperParameters", {}),
        "AlgorithmSpecification": {
            "EnableSageMakerMetricsTimeSeries": False,
            "MetricDefinitions": METRIC_DEFINITIONS,
            **request["AlgorithmSpecification"],
        },
        "InputDataConfig": [
            channel_with_defaults(channel) for channel in request.get("InputDataConfig", [])
        ],
        "OutputDataConfig": {
            "KmsKeyId": "",
            "CompressionType": "GZIP",
            **request["OutputDataConfig"],
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME,
            **request.get("StoppingCondition", {}),
        },
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": request.get(
            "EnableInterContainerTrafficEncryption", False
        ),
        "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
        "ProfilingStatus": "Enabled"
        if profiler and not profiler.get("DisableProfiler")
        else "Disabled",
    }


def channel_with_defaults(channel: Document) -> Document:
    """A channel as Describe shows it."""
    source = {"S3DataDistributionType": "FullyReplicated", **channel["DataSource"]["S3DataSource"]}
    return {
        "CompressionType": "None",
        "RecordWrapperType": "None",
        **channel,
        "DataSource": {**channel["DataSource"], "S3DataSource": source},
    }
