"""State changes on EventBridge.

Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge";
the details as recorded in awslabs/mlspace, test_resource_metadata.py: the Describe answer with
epoch milliseconds, and tags as a map.
"""

from embedded_aws.aws import platform, protocol
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.requests import SERVICE


def publish(
    scope: Scope, detail_type: str, describe: str, document: Document, arn: str, **changes: str
) -> None:
    """Publish a resource as its Describe operation shows it, with some members changed."""
    shape = protocol.operation_model(SERVICE, describe).output_shape
    if shape is None:
        return
    with lock:
        detail = protocol.timestamps_in_milliseconds(document, shape)
        detail |= {**changes, "Tags": dict(store.tags.get(scope, arn) or {})}
    platform.publish_event(scope, "aws.sagemaker", detail_type, arn, detail)
