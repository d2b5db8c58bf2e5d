"""The operations of Application Auto Scaling by name."""

from embedded_aws.autoscaling import policies, scaling, targets
from embedded_aws.aws.http import Api, Operation

SERVICE = "application-autoscaling"
TARGET_PREFIX = "AnyScaleFrontendService."

OPERATIONS: dict[str, Operation] = {
    "RegisterScalableTarget": scaling.register,
    "DescribeScalableTargets": targets.describe,
    "DeregisterScalableTarget": policies.deregister,
    "PutScalingPolicy": policies.put,
    "DescribeScalingPolicies": policies.describe,
    "DeleteScalingPolicy": policies.delete,
    "DescribeScalingActivities": scaling.describe_activities,
    "TagResource": targets.tag_resource,
    "ListTagsForResource": targets.list_tags,
    "UntagResource": targets.untag_resource,
}

API = Api(SERVICE, "Application Auto Scaling", TARGET_PREFIX, OPERATIONS)
