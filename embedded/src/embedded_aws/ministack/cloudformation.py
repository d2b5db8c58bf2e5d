"""AWS CloudFormation: properties and resource types that are lacking, mappings in conditions."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import (
    apigateway_v1,
    budgets,
    dynamodb,
    eventbridge,
    iam,
    lambda_svc,
    s3,
    sns,
)
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from embedded_aws.ministack import keys
from embedded_aws.ministack.patch import Function, add, patch

Properties = Mapping[str, Any]
Keep = Callable[[str, Properties], None]

# Source: CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS KMS".
LOG_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey")
SAME_NAME = "a table that a deleted stack has retained is replaced by an empty one"


def completes(
    resource_type: str,
    *,
    fixes: str | tuple[str, ...],
    source: str = "",
    prepare: Callable[[], None] = lambda: None,
    auth: bool = False,
) -> Callable[[Keep], Keep]:
    """Let the decorated function see a resource's name and properties after creation and update."""
    handler = provisioners._RESOURCE_HANDLERS[resource_type]
    source = source or f"CloudFormation template reference, {resource_type}"

    def declare(keep: Keep) -> Keep:
        @patch(handler, "create", fixes=fixes, source=source, auth=auth)
        def create(original: Function, logical_id: str, props: Properties, stack_name: str) -> Any:
            prepare()
            created = original(logical_id, props, stack_name)
            keep(created[0], props)
            return created

        @patch(handler, "update", fixes=fixes, source=source, auth=auth)
        def update(
            original: Function,
            physical_id: str,
            old_props: Properties,
            new_props: Properties,
            *rest: Any,
        ) -> Any:
            updated = original(physical_id, old_props, new_props, *rest)
            keep(updated[0], new_props)
            return updated

        return keep

    return declare


@completes(
    "AWS::S3::Bucket",
    fixes=(
        "templates' BucketEncryption has no effect",
        "templates' LifecycleConfiguration has no effect",
    ),
)
def keep_bucket(name: str, properties: Properties) -> None:
    """How a bucket encrypts objects, and for how long it keeps them."""
    keep_bucket_encryption(name, properties)
    keep_bucket_lifecycle(name, properties)


def keep_bucket_encryption(name: str, properties: Properties) -> None:
    """How a bucket encrypts what is put without a word on that."""
    rules = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration")
    if not rules:
        return
    default = rules[0]["ServerSideEncryptionByDefault"]
    members = "".join(f"<{member}>{escape(value)}</{member}>" for member, value in default.items())
    body = (
        f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule>'
        f"<ApplyServerSideEncryptionByDefault>{members}</ApplyServerSideEncryptionByDefault>"
        f"<BucketKeyEnabled>{str(rules[0].get('BucketKeyEnabled', False)).lower()}"
        "</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )
    s3._put_bucket_encryption(name, body.encode())


def keep_bucket_lifecycle(name: str, properties: Properties) -> None:
    """For how long a bucket keeps its objects."""
    rules = (properties.get("LifecycleConfiguration") or {}).get("Rules")
    if not rules:
        s3._delete_bucket_lifecycle(name)
        return
    content = "".join(f"<Rule>{as_xml(lifecycle_rule(rule))}</Rule>" for rule in rules)
    body = f'<LifecycleConfiguration xmlns="{s3.S3_NS}">{content}</LifecycleConfiguration>'
    s3._put_bucket_lifecycle(name, body.encode())


def lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """A rule of a template as S3's API has it; rules about storage classes are left out."""
    tags, prefix = rule.get("TagFilters") or [], rule.get("Prefix")
    if len(tags) > 1 or (tags and prefix is not None):
        selected: dict[str, Any] = {"And": {"Prefix": prefix or "", "Tag": tags}}
    else:
        selected = {"Tag": tags[0]} if tags else {"Prefix": prefix or ""}
    found: dict[str, Any] = {"Filter": selected}
    for name in ("Id", "Status", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if name in rule:
            found["ID" if name == "Id" else name] = rule[name]
    if "ExpirationInDays" in rule:
        found["Expiration"] = {"Days": rule["ExpirationInDays"]}
    elif "ExpiredObjectDeleteMarker" in rule:
        is_expired = str(rule["ExpiredObjectDeleteMarker"]).lower()
        found["Expiration"] = {"ExpiredObjectDeleteMarker": is_expired}
    return found


def as_xml(value: Any) -> str:
    """A structure as elements; a list as one element for each of its items."""
    if not isinstance(value, dict):
        return escape(str(value))
    return "".join(
        f"<{name}>{as_xml(item)}</{name}>"
        for name, items in value.items()
        for item in (items if isinstance(items, list) else [items])
    )


@completes("AWS::SNS::Topic", fixes="templates' KmsMasterKeyId of a topic has no effect")
def keep_topic_encryption(arn: str, properties: Properties) -> None:
    """The KMS key of a topic."""
    sns._topics[arn]["attributes"]["KmsMasterKeyId"] = properties.get("KmsMasterKeyId", "")


@completes(
    "AWS::Lambda::Function", fixes="templates' VpcConfig and KmsKeyArn of a function have no effect"
)
def keep_network_and_key(name: str, properties: Properties) -> None:
    """The VPC and the KMS key of a function."""
    config = lambda_svc._functions[name]["config"]
    config["VpcConfig"] = lambda_svc._vpc_config_with_id(properties.get("VpcConfig"))
    config["KMSKeyArn"] = properties.get("KmsKeyArn", "")


def seed_name() -> None:
    """Give a table a name that no table of a deleted stack has, as buckets have here."""
    if not provisioners._NAME_SEED.get():
        # It is kept with the resource, so that updates keep the name.
        provisioners._NAME_SEED.set(new_uuid()[:8])


@completes(
    "AWS::DynamoDB::Table",
    fixes=(SAME_NAME, "templates' SSESpecification of a table has no effect"),
    source="CloudFormation template reference, AWS::DynamoDB::Table, TableName: a unique physical "
    "id; SSESpecification",
    prepare=seed_name,
)
def keep_table_encryption(name: str, properties: Properties) -> None:
    """How a table is encrypted; CloudFormation has another name for one of the members."""
    specification = dict(properties.get("SSESpecification") or {})
    if specification:
        specification["Enabled"] = specification.pop("SSEEnabled")
        described = dynamodb._sse_description_from_spec(specification)
        dynamodb._tables[name]["SSEDescription"] = described


@completes("AWS::ApiGateway::Stage", fixes="templates' AccessLogSetting of a stage has no effect")
def keep_access_log(name: str, properties: Properties) -> None:
    """Where a stage's access log goes. Nothing writes it here."""
    setting = properties.get("AccessLogSetting") or {}
    stage = apigateway_v1._stages_v1[properties["RestApiId"]][name]
    stage["accessLogSettings"] = {key[0].lower() + key[1:]: v for key, v in setting.items()}


@completes(
    "AWS::Logs::LogGroup",
    fixes="log groups take KMS keys that don't let CloudWatch Logs use them",
    source='CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS KMS"',
    auth=True,
)
def check_log_group(name: str, properties: Properties) -> None:
    """Refuse a log group whose key doesn't let CloudWatch Logs use it, in its words."""
    key = properties.get("KmsKeyId")
    if not key:
        return
    region, account = get_region(), get_account_id()
    arn = f"arn:aws:logs:{region}:{account}:log-group:{name}"
    context = {"kms:encryptioncontext:aws:logs:arn": arn}
    principal = f"logs.{region}.amazonaws.com"
    if not all(keys.policy_allows(key, principal, action, context) for action in LOG_ACTIONS):
        raise ValueError(
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'"
        )


def evaluate_conditions(original: Function, template: dict[str, Any], params: Any) -> Any:
    """Look up mappings in conditions, and there the region."""
    mappings = template.get("Mappings", {})
    names = {name: parameter["Value"] for name, parameter in params.items()}
    names["AWS::Region"] = get_region()

    def resolved(node: Any) -> Any:
        return names[node["Ref"]] if isinstance(node, dict) else node

    def looked_up(node: Any) -> Any:
        if isinstance(node, list):
            return [looked_up(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "Fn::FindInMap" in node:
            return engine.find_in_map(node["Fn::FindInMap"], mappings, resolved)
        return {key: looked_up(item) for key, item in node.items()}

    conditions = looked_up(template.get("Conditions", {}))
    return original({**template, "Conditions": conditions}, params)


# Each has imported the function by its name.
for module in (engine, changesets, handlers, stacks):
    patch(
        module,
        "_evaluate_conditions",
        fixes="conditions of templates can't use Fn::FindInMap",
        source='CloudFormation user guide, "Condition functions", supported functions',
    )(evaluate_conditions)


def apply_transforms(
    original: Function, template: Any, provided_params: Any = None, previous_params: Any = None
) -> Any:
    """Transform with the operation's parameters; as defaults, which are all that SAM is given."""
    if not isinstance(template.get("Parameters"), dict):
        return original(template, provided_params, previous_params)
    declared = template["Parameters"]
    values = engine._transform_parameters(template, provided_params, previous_params)
    given = {
        name: {**parameter, "Default": values[name]} if name in values else parameter
        for name, parameter in declared.items()
    }
    transformed = original({**template, "Parameters": given}, provided_params, previous_params)
    if "Parameters" in transformed:
        transformed["Parameters"] = declared
    return transformed


for module in (changesets, handlers):
    patch(
        module,
        "_apply_transforms",
        fixes="SAM templates are transformed with the parameters' defaults, not with their values",
        source="aws/serverless-application-model, transform(): parameter_values, which it resolves "
        "in a usage plan's Throttle for one",
    )(apply_transforms)


def create_budget(logical_id: str, properties: Properties, stack_name: str) -> Any:
    """Create the budget of a template, whose amounts are numbers where the API's are text."""
    budget = copy.deepcopy(dict(properties["Budget"]))
    name = budget.setdefault(
        "BudgetName", provisioners._physical_name(stack_name, logical_id, max_len=100)
    )
    if limit := budget.get("BudgetLimit"):
        limit["Amount"] = str(limit["Amount"])
    notifications = copy.deepcopy(properties.get("NotificationsWithSubscribers") or [])
    for entry in notifications:
        entry["Notification"]["Threshold"] = float(entry["Notification"]["Threshold"])
    status, _, body = budgets._create_budget(
        {"Budget": budget, "NotificationsWithSubscribers": notifications}
    )
    if status >= 400:
        raise ValueError(f"AWS::Budgets::Budget creation failed: {body!r}")
    return name, {}


def update_budget(name: str, _: Properties, new: Properties, stack_name: str) -> Any:
    """Make the budget anew under its name; nothing of it is measured here that could be lost."""
    budgets._delete_budget({"BudgetName": name})
    return create_budget(name, {**new, "Budget": {**new["Budget"], "BudgetName": name}}, stack_name)


add(
    provisioners._RESOURCE_HANDLERS,
    "AWS::Budgets::Budget",
    {
        "create": create_budget,
        "update": update_budget,
        "delete": lambda name, _: budgets._delete_budget({"BudgetName": name}),
    },
    fixes="templates can't have budgets",
    source="CloudFormation template reference, AWS::Budgets::Budget",
)


ROLE_POLICY = provisioners._RESOURCE_HANDLERS["AWS::IAM::Policy"]


def of_one_role(properties: Properties) -> dict[str, Any]:
    """Return a role policy as a policy of that role alone."""
    return {**properties, "Roles": [properties["RoleName"]]}


add(
    provisioners._RESOURCE_HANDLERS,
    "AWS::IAM::RolePolicy",
    {
        "create": lambda name, new, stack: ROLE_POLICY["create"](name, of_one_role(new), stack),
        "update": lambda name, old, new, *rest: ROLE_POLICY["update"](
            name, of_one_role(old), of_one_role(new), *rest
        ),
        "delete": lambda name, old: ROLE_POLICY["delete"](name, of_one_role(old)),
    },
    fixes="templates can't have policies of a role",
    source="CloudFormation template reference, AWS::IAM::RolePolicy",
)


def create_provider(_: str, properties: Properties, __: str) -> tuple[str, dict[str, str]]:
    """Create an identity provider, and return its ARN."""
    lists = {
        f"{member}.member.{number}": value
        for member in ("ClientIDList", "ThumbprintList")
        for number, value in enumerate(properties.get(member.replace("ID", "Id"), []), 1)
    }
    status, _, body = iam._create_oidc_provider({"Url": properties["Url"], **lists})
    if status >= 400:
        raise ValueError(f"the identity provider could not be created: {body!r}")
    arn = next(a for a, p in iam._oidc_providers.items() if p["Url"] == properties["Url"])
    return arn, {"Arn": arn}


add(
    provisioners._RESOURCE_HANDLERS,
    "AWS::IAM::OIDCProvider",
    {
        "create": create_provider,
        "delete": lambda arn, _: iam._delete_oidc_provider({"OpenIDConnectProviderArn": arn}),
    },
    fixes="templates can't have identity providers of OpenID Connect",
    source="CloudFormation template reference, AWS::IAM::OIDCProvider",
)


# --- API destinations ------------------------------------------------------------------------


def called(function: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> dict[str, Any]:
    """Return what an operation of EventBridge answers; an error fails the resource."""
    status, _, body = function(request)
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise ValueError(answer.get("message") or answer.get("Message") or str(answer))
    return answer


def create_connection(logical_id: str, properties: Properties, stack_name: str) -> Any:
    """Create a connection, whose properties are the API's members."""
    name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    made = called(eventbridge._create_connection, {**properties, "Name": name})
    return name, {"Arn": made["ConnectionArn"]}


def update_connection(name: str, _: Properties, new: Properties, *__: Any) -> Any:
    """Update a connection under its name."""
    made = called(eventbridge._update_connection, {**new, "Name": name})
    return name, {"Arn": made["ConnectionArn"]}


def create_api_destination(logical_id: str, properties: Properties, stack_name: str) -> Any:
    """Create an API destination, whose properties are the API's members."""
    name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    made = called(eventbridge._create_api_destination, {**properties, "Name": name})
    return name, {"Arn": made["ApiDestinationArn"]}


def update_api_destination(name: str, _: Properties, new: Properties, *__: Any) -> Any:
    """Update an API destination under its name."""
    made = called(eventbridge._update_api_destination, {**new, "Name": name})
    return name, {"Arn": made["ApiDestinationArn"]}


for resource_type, functions in {
    "AWS::Events::Connection": (
        create_connection,
        update_connection,
        eventbridge._delete_connection,
    ),
    "AWS::Events::ApiDestination": (
        create_api_destination,
        update_api_destination,
        eventbridge._delete_api_destination,
    ),
}.items():
    create, update, delete = functions
    add(
        provisioners._RESOURCE_HANDLERS,
        resource_type,
        {
            "create": create,
            "update": update,
            "delete": lambda name, _, delete=delete: delete({"Name": name}),
        },
        fixes="templates can't have API destinations and their connections",
        source=f"CloudFormation template reference, {resource_type}",
    )
