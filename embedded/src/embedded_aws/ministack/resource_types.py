"""What MiniStack's CloudFormation lacks: resource types, properties, mappings in conditions.

Like the server this takes hold of MiniStack's internals, and the same test watches over it.
"""

import copy
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from ministack.core.responses import (
    AccountRegionScopedDict,
    error_response_json,
    get_region,
    new_uuid,
)
from ministack.services import (
    apigateway_v1,
    budgets,
    cloudwatch_logs,
    dynamodb,
    lambda_svc,
    s3,
    sns,
)
from ministack.services.cloudformation import (
    changesets,
    engine,
    handlers,
    provisioners,
    stacks,
)

Properties = Mapping[str, Any]

query_definitions = AccountRegionScopedDict()
"""Saved queries of CloudWatch Logs Insights, by id."""


def install() -> None:
    """Complete what is there, and add what isn't."""
    look_up_mappings_in_conditions()
    name_tables_anew()
    complete("AWS::S3::Bucket", keep_bucket_encryption)
    complete("AWS::SNS::Topic", keep_topic_encryption)
    complete("AWS::Lambda::Function", keep_network_and_key)
    complete("AWS::DynamoDB::Table", keep_table_encryption)
    complete("AWS::ApiGateway::Stage", keep_access_log)
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": lambda _, properties, __: put_query(new_uuid(), properties),
        "update": lambda name, _, properties, __: put_query(name, properties),
        "delete": lambda name, _: query_definitions.pop(name, None),
    }
    provisioners._RESOURCE_HANDLERS["AWS::Budgets::Budget"] = {
        "create": create_budget,
        "update": update_budget,
        "delete": lambda name, _: budgets._delete_budget({"BudgetName": name}),
    }
    answer_query_definitions()


def name_tables_anew() -> None:
    """Give a table a name that no table of a deleted stack has, as buckets have here.

    A table that was retained would be replaced by an empty one otherwise. Source: CloudFormation
    template reference, AWS::DynamoDB::Table, TableName: a unique physical id.
    """
    handler = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = handler["create"]

    def create_anew(logical_id: str, properties: Properties, stack_name: str) -> Any:
        if not provisioners._NAME_SEED.get():
            # It is kept with the resource, so that updates keep the name.
            provisioners._NAME_SEED.set(new_uuid()[:8])
        return create(logical_id, properties, stack_name)

    handler["create"] = create_anew


def complete(resource_type: str, keep: Callable[[str, Properties], None]) -> None:
    """Let `keep` see a resource's name and properties after each creation and update."""
    handler = provisioners._RESOURCE_HANDLERS[resource_type]
    create, update = handler["create"], handler["update"]

    def create_and_keep(logical_id: str, properties: Properties, stack_name: str) -> Any:
        created = create(logical_id, properties, stack_name)
        keep(created[0], properties)
        return created

    def update_and_keep(name: str, old: Properties, new: Properties, *rest: Any) -> Any:
        updated = update(name, old, new, *rest)
        keep(updated[0], new)
        return updated

    handler["create"], handler["update"] = create_and_keep, update_and_keep


def look_up_mappings_in_conditions() -> None:
    """Let conditions use Fn::FindInMap, and there the region.

    Source: CloudFormation user guide, "Condition functions", supported functions.
    """
    evaluate_conditions = engine._evaluate_conditions

    def evaluate_with_mappings(template: dict[str, Any], params: Any) -> Any:
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
        return evaluate_conditions({**template, "Conditions": conditions}, params)

    # Each has imported the function by its name.
    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = evaluate_with_mappings


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


def keep_topic_encryption(arn: str, properties: Properties) -> None:
    """The KMS key of a topic."""
    sns._topics[arn]["attributes"]["KmsMasterKeyId"] = properties.get("KmsMasterKeyId", "")


def keep_network_and_key(name: str, properties: Properties) -> None:
    """The VPC and the KMS key of a function."""
    config = lambda_svc._functions[name]["config"]
    config["VpcConfig"] = lambda_svc._vpc_config_with_id(properties.get("VpcConfig"))
    config["KMSKeyArn"] = properties.get("KmsKeyArn", "")


def keep_table_encryption(name: str, properties: Properties) -> None:
    """How a table is encrypted; CloudFormation has another name for one of the members."""
    specification = dict(properties.get("SSESpecification") or {})
    if specification:
        specification["Enabled"] = specification.pop("SSEEnabled")
        described = dynamodb._sse_description_from_spec(specification)
        dynamodb._tables[name]["SSEDescription"] = described


def keep_access_log(name: str, properties: Properties) -> None:
    """Where a stage's access log goes. Nothing writes it here."""
    setting = properties.get("AccessLogSetting") or {}
    stage = apigateway_v1._stages_v1[properties["RestApiId"]][name]
    stage["accessLogSettings"] = {key[0].lower() + key[1:]: v for key, v in setting.items()}


# --- budgets -------------------------------------------------------------------------------


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


# --- saved queries --------------------------------------------------------------------------


def put_query(query_id: str, properties: Properties) -> tuple[str, dict[str, str]]:
    """Keep a saved query under its id."""
    query_definitions[query_id] = {
        "queryDefinitionId": query_id,
        "name": properties["Name"],
        "queryString": properties["QueryString"],
        "logGroupNames": list(properties.get("LogGroupNames") or []),
        "lastModified": int(time.time() * 1000),
    }
    return query_id, {"QueryDefinitionId": query_id}


def answer_query_definitions() -> None:
    """Answer DescribeQueryDefinitions, and keep saved queries over a restart.

    Source: CloudWatch Logs API reference, "DescribeQueryDefinitions".
    """
    handle_request = cloudwatch_logs.handle_request
    get_state, restore = cloudwatch_logs.get_state, cloudwatch_logs.load_persisted_state

    async def handle(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Any
    ) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action == "DescribeQueryDefinitions":
            return describe_queries(json.loads(body or b"{}"))
        return await handle_request(method, path, headers, body, query_params)

    def get_state_with_queries() -> dict[str, Any]:
        return {**get_state(), "query_definitions": copy.deepcopy(query_definitions)}

    def restore_with_queries(state: dict[str, Any]) -> None:
        restore(state)
        query_definitions.update(state.get("query_definitions", {}))

    cloudwatch_logs.handle_request = handle
    cloudwatch_logs.get_state = get_state_with_queries
    cloudwatch_logs.load_persisted_state = restore_with_queries


def describe_queries(request: Mapping[str, Any]) -> Any:
    """DescribeQueryDefinitions, in one page."""
    if "nextToken" in request:
        return error_response_json("InvalidParameterException", "There is one page only.", 400)
    prefix = request.get("queryDefinitionNamePrefix", "")
    found = [query for query in query_definitions.values() if query["name"].startswith(prefix)]
    body = json.dumps({"queryDefinitions": sorted(found, key=lambda query: query["name"])})
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, body.encode()
