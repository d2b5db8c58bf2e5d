"""What the tasks of a state machine need permission for, and how a denial of it is reported.

Source: Step Functions developer guide, "Integrating services" (the pages of each service's IAM
policies) and "AWS SDK service integrations"; the names of errors as Retry blocks there spell them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import dynamodb, stepfunctions

from embedded_aws.autoscaling import permissions as autoscaling_permissions
from embedded_aws.aws import platform
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker import permissions
from embedded_aws.sagemaker.synchronous_tasks import with_execution_tags

RESOURCE = re.compile(
    r"arn:aws[a-z-]*:states:::(?:(?P<sdk>aws-sdk):)?(?P<service>[a-z0-9-]+):(?P<action>\w+)"
    r"(?P<pattern>\.sync(?::2)?)?(?:\.waitForTaskToken)?"
)

# By which managed rule ".sync" learns of a job's end.
MANAGED_RULES = {
    "createTrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "createTransformJob": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
    "createHyperParameterTuningJob": "StepFunctionsGetEventsForSageMakerTuningJobsRule",
    "startExecution": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
}

# How the optimised integrations name what the service model doesn't declare, and the service.
DENIED = {
    "lambda": ("Lambda.AWSLambdaException", "AWSLambda", 403),
    "dynamodb": ("DynamoDB.AmazonDynamoDBException", "AmazonDynamoDBv2", 400),
    "sagemaker": ("SageMaker.AmazonSageMakerException", "AmazonSageMaker", 400),
    "sqs": ("SQS.AmazonSQSException", "AmazonSQS", 403),
    "sns": ("SNS.AmazonSNSException", "AmazonSNS", 403),
    "events": ("EventBridge.AmazonEventBridgeException", "AmazonEventBridge", 400),
    "states": ("StepFunctions.AWSStepFunctionsException", "AWSStepFunctions", 400),
}
TRANSACTIONS = ("TransactGetItems", "TransactWriteItems")
# What reads or writes the items of tables.
ITEM_ACTIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", *TRANSACTIONS)
S3_ACTIONS = {"ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "HeadObject": "GetObject"}


def needs_of_task(scope: Scope, resource: str, arguments: Any) -> Iterator[Need]:
    """Yield what a task needs to begin, by its resource and arguments.

    A job of ``.sync`` gets tags of Step Functions' own, and needs permission for them. Source:
    aws/aws-cdk issue 26012.
    """
    arguments = arguments if isinstance(arguments, dict) else {}
    if re.match(r"arn:aws[a-z-]*:lambda:", resource):
        yield Need("lambda:InvokeFunction", resource)
        return
    match = RESOURCE.fullmatch(resource)
    if not match:
        # An activity, whose worker is what needs permission.
        return
    action = match["action"][0].upper() + match["action"][1:]
    if match["service"] == "sagemaker":
        request = with_execution_tags(arguments, "") if match["pattern"] else arguments
        yield from permissions.needs(scope, action, request)
    elif match["sdk"] and match["service"] == "dynamodb" and action in TRANSACTIONS:
        yield from transaction_needs(scope, action, arguments)
    elif match["service"] == "applicationautoscaling":
        yield from autoscaling_permissions.needs(scope, action, arguments)
    elif match["sdk"]:
        yield sdk_need(scope, match["service"], action, arguments)
    else:
        yield from optimised_needs(scope, match["service"], action, arguments)


def needs_to_follow(scope: Scope, action: str, name: dict[str, str]) -> Iterator[Need]:
    """Yield what ``.sync`` needs to learn of a job's end, once ``action`` has made the job."""
    described = list(permissions.needs(scope, action.replace("Create", "Describe"), name))
    yield from described
    yield from permissions.needs(scope, "ListTags", {"ResourceArn": described[0].resource})


def needs_to_stop(scope: Scope, action: str, name: dict[str, str]) -> Iterator[Need]:
    """Yield what ``.sync`` needs to stop a job whose execution or task has ended before it."""
    yield from permissions.needs(scope, action.replace("Create", "Stop"), name)


def optimised_needs(
    scope: Scope, service: str, action: str, arguments: dict[str, Any]
) -> Iterator[Need]:
    """Yield what an optimised integration of another service needs."""
    if service == "lambda":
        name = str(arguments.get("FunctionName", ""))
        arn = name if name.startswith("arn:") else scope.arn("lambda", f"function:{name}")
        yield Need("lambda:InvokeFunction", arn)
    elif service == "dynamodb":
        table = str(arguments.get("TableName", ""))
        arn = table if table.startswith("arn:") else scope.arn("dynamodb", f"table/{table}")
        yield Need(f"dynamodb:{action}", arn)
        if action in ITEM_ACTIONS:
            yield from key_needs(scope, table)
    elif service == "sqs":
        account, _, queue = str(arguments.get("QueueUrl", "")).rpartition("/")
        owner = account.rpartition("/")[2] or scope.account
        yield Need(f"sqs:{action}", f"arn:aws:sqs:{scope.region}:{owner}:{queue}")
    elif service == "sns":
        yield Need(f"sns:{action}", str(arguments.get("TopicArn", "*")))
    elif service == "events":
        for entry in arguments.get("Entries") or [{}]:
            bus = str(entry.get("EventBusName") or "default")
            arn = bus if bus.startswith("arn:") else scope.arn("events", f"event-bus/{bus}")
            yield Need("events:PutEvents", arn)
    elif service == "states":
        yield Need("states:StartExecution", str(arguments.get("StateMachineArn", "*")))
    else:
        yield Need(f"{service}:{action}", "*")


def transaction_needs(scope: Scope, action: str, arguments: dict[str, Any]) -> Iterator[Need]:
    """Yield what a transaction of DynamoDB needs: what each of its parts needs by itself.

    Source: DynamoDB developer guide, "Using IAM with DynamoDB transactions".
    """
    checks = iam_actions.dynamodb_transaction_checks(
        f"dynamodb:{action}", json.dumps(arguments).encode(), scope.region, scope.account
    )
    for of_item, table in checks:
        yield Need(of_item, table, {"dynamodb:EnclosingOperation": [action]})
    for table in tables_of(arguments):
        yield from key_needs(scope, table)


def tables_of(request: Mapping[str, Any]) -> set[str]:
    """The tables whose items a request reads or writes, by their names or ARNs."""
    if "TransactItems" not in request:
        return {str(request.get("TableName", ""))}
    return {
        str(part.get("TableName", ""))
        for item in request["TransactItems"] or ()
        for part in item.values()
    }


def key_needs(scope: Scope, table: str) -> Iterator[Need]:
    """Yield what the items of a table need besides, if it has a key of its own."""
    if key := table_key(table):
        service = f"dynamodb.{scope.region}.amazonaws.com"
        yield Need("kms:Decrypt", key, {"kms:ViaService": service})


def table_key(table: str) -> str | None:
    """The customer managed key of a table, by its name or ARN; None without one."""
    described = (dynamodb._tables.get(table.rpartition("/")[2]) or {}).get("SSEDescription") or {}
    key = str(described.get("KMSMasterKeyArn", ""))
    return key if ":key/" in key else None


def sdk_need(scope: Scope, service: str, action: str, arguments: dict[str, Any]) -> Need:
    """What an ``aws-sdk`` integration needs, by MiniStack's knowledge of each service."""
    info = stepfunctions._AWS_SDK_SERVICE_MAP.get(service, {})
    key = info.get("service_key", service)
    namespace = iam_actions.SERVICE_TO_IAM_NAMESPACE.get(key, key)
    if key == "s3":
        parts = [arguments.get("Bucket"), arguments.get("Key")]
        arn = "arn:aws:s3:::" + "/".join(str(part) for part in parts if part)
        return Need(f"s3:{S3_ACTIONS.get(action, action)}", arn)
    body = json.dumps(arguments | {name[0].lower() + name[1:]: v for name, v in arguments.items()})
    arn = iam_actions.extract_resource_arn(
        key,
        "POST",
        "/",
        {"x-amz-target": f"x.{action}"},
        body.encode(),
        arguments,
        scope.region,
        scope.account,
    )
    return Need(f"{namespace}:{action}", str(arn))


def denied_error(resource: str) -> str:
    """The name of the error that a denied task ends with."""
    match = RESOURCE.fullmatch(resource)
    if match and match["sdk"]:
        prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(
            match["service"], match["service"].capitalize()
        )
        return f"{prefix}.{prefix}Exception"
    service = match["service"] if match else "lambda"
    return DENIED.get(service, ("States.Permissions", "", 403))[0]


def denied_cause(resource: str, reason: str) -> str:
    """The cause of that error: the denial, as the SDK that Step Functions uses shows it."""
    match = RESOURCE.fullmatch(resource)
    request_id = platform.new_id()
    if match and match["sdk"]:
        prefix = denied_error(resource).partition(".")[0]
        return f"{reason} (Service: {prefix}, Status Code: 400, Request ID: {request_id})"
    service = match["service"] if match else "lambda"
    _, name, status = DENIED.get(service, ("", service, 403))
    return (
        f"{reason} (Service: {name}; Status Code: {status}; Error Code: AccessDeniedException; "
        f"Request ID: {request_id}; Proxy: null)"
    )


def managed_rules(definition: str) -> set[str]:
    """The managed rules that a state machine's definition makes Step Functions create."""
    return {
        MANAGED_RULES[match["action"]]
        for match in RESOURCE.finditer(definition)
        if match["pattern"] and match["action"] in MANAGED_RULES
    }
