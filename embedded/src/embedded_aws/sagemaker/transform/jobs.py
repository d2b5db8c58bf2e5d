"""Batch transform jobs: their records, and what clients can ask of them.

How a job transforms is in ``transform_run``.
"""

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import DataError, Scope, split_s3_uri
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.jobs import TRANSFORM, now
from embedded_aws.sagemaker.listing import list_page
from embedded_aws.sagemaker.models import find_model, primary_container
from embedded_aws.sagemaker.transform.data_processing import (
    CSV,
    FORMATS,
    media_type,
    parse_data_processing,
)
from embedded_aws.sagemaker.transform.json_path import (
    OPERATORS,
    JsonPathError,
    unexpected_character,
)

MAX_PAYLOAD_MB = 100
DEFAULT_PAYLOAD_MB = 6


def create_transform_job(scope: Scope, request: Document) -> Document:
    """CreateTransformJob: keep the record; the caller starts the run."""
    check_transform_job(scope, request)
    name = request["TransformJobName"]
    created = now()
    # It may be deleted while the job runs.
    model = find_model(scope, request["ModelName"])
    document: Document = {
        **request,
        "TransformInput": {
            "CompressionType": "None",
            "SplitType": "None",
            **request["TransformInput"],
        },
        "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
        "DataProcessing": {
            "InputFilter": "$",
            "OutputFilter": "$",
            "JoinSource": "None",
            **request.get("DataProcessing", {}),
        },
        "TransformJobArn": store.arn(scope, "transform-job", name),
        "TransformJobStatus": "InProgress",
        "CreationTime": created,
        "LastModifiedTime": created,
        "Container": primary_container(model),
        "RoleArn": model.get("ExecutionRoleArn"),
    }
    response = TRANSFORM.keep(scope, document)
    TRANSFORM.set_status(scope, name, "InProgress")
    return response


def check_transform_job(scope: Scope, request: Document) -> None:
    """Refuse what SageMaker refuses, and what only this SageMaker can't do.

    Source: API reference, "CreateTransformJob" and the shapes that it links; developer guide,
    "Associate Prediction Results with Input Records"; for the ModelDataSource,
    aws/sagemaker-python-sdk issues 4777 and 5160.
    """
    if "ModelDataUrl" not in primary_container(find_model(scope, request["ModelName"])):
        raise validation_error(
            "SageMaker Batch currently doesn't support Model entity with container definitions "
            "which use ModelDataSource attribute."
        )
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise validation_error(
            f"S3DataType {source['S3DataType']} is not compatible with batch transform: use "
            "S3Prefix or ManifestFile"
        )
    for uri in (source["S3Uri"], request["TransformOutput"]["S3OutputPath"]):
        try:
            split_s3_uri(uri)
        except DataError as error:
            raise validation_error(str(error)) from error
    check_payload(request)
    check_data_processing(request)


def check_payload(request: Document) -> None:
    """Refuse payloads that are too large, together or alone, or of no limit."""
    payload = request.get("MaxPayloadInMB")
    if payload == 0:
        raise validation_error(
            "MaxPayloadInMB 0 is for algorithms that support HTTP chunked encoding, which k-NN "
            "does not"
        )
    payload = payload or DEFAULT_PAYLOAD_MB
    together = payload * max(1, request.get("MaxConcurrentTransforms", 1))
    if together > MAX_PAYLOAD_MB:
        raise validation_error(
            f"MaxPayloadInMB, and MaxConcurrentTransforms * MaxPayloadInMB, must not be above "
            f"{MAX_PAYLOAD_MB} MB"
        )


def check_data_processing(request: Document) -> None:
    """Refuse filters that aren't any, and formats that can't be filtered or joined."""
    given = request.get("DataProcessing", {})
    source, output = request["TransformInput"], request["TransformOutput"]
    content_type, accept = source.get("ContentType", ""), output.get("Accept", "")
    for member, kind in (("InputFilter", content_type), ("OutputFilter", accept)):
        check_characters(member, given.get(member, ""), media_type(kind))
    try:
        processing = parse_data_processing(given, content_type, accept)
    except JsonPathError as error:
        raise validation_error(f"Invalid JSONPath: {error}") from error
    if not processing.filters_input and not processing.changes_output:
        return
    if media_type(content_type) not in FORMATS or processing.accept not in FORMATS:
        raise validation_error(
            f"With DataProcessing, ContentType and Accept must be one of {', '.join(FORMATS)}"
        )
    if media_type(content_type) == CSV and source.get("SplitType") != "Line":
        raise validation_error(f"With DataProcessing of {CSV}, SplitType must be Line")
    if (
        processing.changes_output
        and source.get("SplitType", "None") != "None"
        and output.get("AssembleWith") != "Line"
    ):
        raise validation_error("With DataProcessing of split records, AssembleWith must be Line")


def check_characters(member: str, expression: str, kind: str) -> None:
    """Refuse a filter with a character that SageMaker's JSONPath doesn't know, ``_`` say.

    Source of the words: aws/aws-sdk issue 184, for JSON lines.
    """
    character = unexpected_character(expression)
    if character:
        quoted = ", ".join(f"'{operator}'" for operator in OPERATORS)
        raise validation_error(
            f'Invalid {member}: "{expression}". Unexpected "{character}" in JsonPath. Supported '
            f'operators for "{kind}" are [{quoted}]'
        )


def find(scope: Scope, name: str, wanted: str = "find requested job") -> Document:
    """The job of that name.

    Source of the words: kubeflow/pipelines, the SageMaker components; StopTransformJob's differ.
    """
    job = store.transform_jobs.get(scope, name)
    if job is None:
        raise validation_error(f"Could not {wanted} with name: {name}")
    return job


def describe_transform_job(scope: Scope, request: Document) -> Document:
    """DescribeTransformJob."""
    return find(scope, request["TransformJobName"])


def stop_transform_job(scope: Scope, request: Document) -> Document:
    """StopTransformJob: the run sees the status and leaves off."""
    job = find(scope, request["TransformJobName"], "find job to update")
    return TRANSFORM.stop(scope, job, TRANSFORM.set_status)


def list_transform_jobs(scope: Scope, request: Document) -> Document:
    """ListTransformJobs."""
    page, token = list_page(
        request, store.transform_jobs.all(scope), "TransformJobName", "TransformJobStatus"
    )
    return {"TransformJobSummaries": page, "NextToken": token}
