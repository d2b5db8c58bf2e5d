"""The operations of the control plane by name."""

from embedded_aws.aws.http import Api, Operation
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import models, permissions, roles, tagging
from embedded_aws.sagemaker.hosting import endpoint_configs, endpoints
from embedded_aws.sagemaker.requests import SERVICE, TARGET_PREFIX
from embedded_aws.sagemaker.training import jobs as training_jobs
from embedded_aws.sagemaker.training import run as training_run
from embedded_aws.sagemaker.transform import jobs as transform_jobs
from embedded_aws.sagemaker.transform import run as transform_run
from embedded_aws.sagemaker.tuning import jobs as tuning_jobs
from embedded_aws.sagemaker.tuning import run as tuning_run

OPERATIONS: dict[str, Operation] = {
    "CreateTrainingJob": training_run.create_and_start,
    "DescribeTrainingJob": training_jobs.describe_training_job,
    "StopTrainingJob": training_jobs.stop_training_job,
    "UpdateTrainingJob": training_jobs.update_training_job,
    "DeleteTrainingJob": training_jobs.delete_training_job,
    "ListTrainingJobs": training_jobs.list_training_jobs,
    "CreateHyperParameterTuningJob": tuning_run.create_and_start,
    "DescribeHyperParameterTuningJob": tuning_jobs.describe_tuning_job,
    "StopHyperParameterTuningJob": tuning_jobs.stop_tuning_job,
    "DeleteHyperParameterTuningJob": tuning_jobs.delete_tuning_job,
    "ListHyperParameterTuningJobs": tuning_jobs.list_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": tuning_jobs.list_training_jobs_of,
    "CreateTransformJob": transform_run.create_and_start,
    "DescribeTransformJob": transform_jobs.describe_transform_job,
    "StopTransformJob": transform_jobs.stop_transform_job,
    "ListTransformJobs": transform_jobs.list_transform_jobs,
    "CreateModel": models.create_model,
    "DescribeModel": models.describe_model,
    "DeleteModel": models.delete_model,
    "ListModels": models.list_models,
    "CreateEndpointConfig": endpoint_configs.create_endpoint_config,
    "DescribeEndpointConfig": endpoint_configs.describe_endpoint_config,
    "DeleteEndpointConfig": endpoint_configs.delete_endpoint_config,
    "ListEndpointConfigs": endpoint_configs.list_endpoint_configs,
    "CreateEndpoint": endpoints.create_endpoint,
    "UpdateEndpoint": endpoints.update_endpoint,
    "UpdateEndpointWeightsAndCapacities": endpoints.update_endpoint_weights_and_capacities,
    "DescribeEndpoint": endpoints.describe_endpoint,
    "DeleteEndpoint": endpoints.delete_endpoint,
    "ListEndpoints": endpoints.list_endpoints,
    # Nothing can be monitored, so nothing is; SDKs ask before they delete an endpoint.
    "ListMonitoringSchedules": lambda scope, request: {"MonitoringScheduleSummaries": []},
    "AddTags": tagging.add_tags,
    "ListTags": tagging.list_tags,
    "DeleteTags": tagging.delete_tags,
}


def check(scope: Scope, request: Document) -> None:
    """Refuse bad tags, and roles that SageMaker can't use."""
    tagging.check_tags(request.get("Tags", []))
    for role in permissions.passed_roles(request):
        roles.require_assumable(scope, role)
        roles.require_permissions(scope, role, permissions.needs_of_role(request))


API = Api(SERVICE, "SageMaker", TARGET_PREFIX, OPERATIONS, check)
