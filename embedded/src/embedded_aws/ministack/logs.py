"""Amazon CloudWatch Logs: saved queries of Logs Insights, and metrics in log events."""

import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, error_response_json, new_uuid
from ministack.services import cloudwatch_logs
from ministack.services.cloudformation import provisioners

from embedded_aws.ministack.authorization import current_scope
from embedded_aws.ministack.cloudwatch import publish_metric
from embedded_aws.ministack.patch import Function, add, patch

query_definitions = AccountRegionScopedDict()
"""Saved queries, by id."""
NO_QUERIES = "CloudWatch Logs has no saved queries"
QUERIES_REFERENCE = 'CloudWatch Logs API reference, "DescribeQueryDefinitions"'


@patch(cloudwatch_logs, "handle_request", fixes=NO_QUERIES, source=QUERIES_REFERENCE)
async def handle_request(
    original: Function,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Any,
) -> Any:
    """Answer DescribeQueryDefinitions."""
    if headers.get("x-amz-target", "").rpartition(".")[2] == "DescribeQueryDefinitions":
        return describe_queries(json.loads(body or b"{}"))
    return await original(method, path, headers, body, query_params)


@patch(cloudwatch_logs, "get_state", fixes=NO_QUERIES, source=QUERIES_REFERENCE)
def get_state(original: Function) -> dict[str, Any]:
    """The state with the queries."""
    return {**original(), "query_definitions": copy.deepcopy(query_definitions)}


@patch(cloudwatch_logs, "load_persisted_state", fixes=NO_QUERIES, source=QUERIES_REFERENCE)
def load_persisted_state(original: Function, data: dict[str, Any]) -> None:
    """Put the queries back, too."""
    original(data)
    query_definitions.update(data.get("query_definitions", {}))


def describe_queries(request: Mapping[str, Any]) -> Any:
    """DescribeQueryDefinitions, in one page."""
    if "nextToken" in request:
        return error_response_json("InvalidParameterException", "There is one page only.", 400)
    prefix = request.get("queryDefinitionNamePrefix", "")
    found = [query for query in query_definitions.values() if query["name"].startswith(prefix)]
    body = json.dumps({"queryDefinitions": sorted(found, key=lambda query: query["name"])})
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, body.encode()


def put_query(query_id: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Keep a saved query under its id."""
    query_definitions[query_id] = {
        "queryDefinitionId": query_id,
        "name": properties["Name"],
        "queryString": properties["QueryString"],
        "logGroupNames": list(properties.get("LogGroupNames") or []),
        "lastModified": int(time.time() * 1000),
    }
    return query_id, {"QueryDefinitionId": query_id}


add(
    provisioners._RESOURCE_HANDLERS,
    "AWS::Logs::QueryDefinition",
    {
        "create": lambda _, properties, __: put_query(new_uuid(), properties),
        "update": lambda name, _, properties, __: put_query(name, properties),
        "delete": lambda name, _: query_definitions.pop(name, None),
    },
    fixes=NO_QUERIES,
    source="CloudFormation template reference, AWS::Logs::QueryDefinition",
)


@patch(
    cloudwatch_logs,
    "_append_log_events",
    fixes="metrics in log events are no metrics",
    source='CloudWatch user guide, "Specification: Embedded metric format"',
)
def append_events(
    original: Function, stream: dict[str, Any], events: Sequence[Mapping[str, Any]]
) -> None:
    """Publish what is logged in the embedded metric format."""
    original(stream, events)
    scope = current_scope()
    for event in events:
        # Most are none: they aren't worth parsing.
        if '"CloudWatchMetrics"' in event["message"]:
            for metric in embedded_metrics(event["message"]):
                publish_metric(scope, *metric)


def embedded_metrics(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Yield the metrics in a line, with namespace, name, value, unit and dimensions of each."""
    try:
        logged = json.loads(line)
        for directive in logged["_aws"]["CloudWatchMetrics"]:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(logged[name]) for name in names}
                for metric in directive["Metrics"]:
                    values = logged[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        unit = metric.get("Unit", "None")
                        yield directive["Namespace"], metric["Name"], float(value), unit, dimensions
    # What breaks the specification is a line of a log and no more.
    except (ValueError, LookupError, TypeError):
        return
