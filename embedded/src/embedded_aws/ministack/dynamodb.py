"""Amazon DynamoDB: who may use the keys of tables."""

import json
from collections.abc import Mapping
from typing import Any

from ministack import app

from embedded_aws.ministack import keys, tasks
from embedded_aws.ministack.patch import Function, patch


@patch(
    app.SERVICE_HANDLERS,
    "dynamodb",
    fixes="DynamoDB asks nobody for the KMS key of a table",
    source='DynamoDB developer guide, "How DynamoDB encryption at rest uses AWS KMS": it uses a '
    "key on behalf of the user who is accessing the table",
    auth=True,
)
async def handle_request(
    original: Function,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Any,
) -> Any:
    """Ask whoever reads or writes a table's items for its key."""
    if headers.get("x-amz-target", "").rpartition(".")[2] in tasks.ITEM_ACTIONS:
        for table in tasks.tables_of(read(body)):
            key = tasks.table_key(table)
            refused = key and keys.refusal("dynamodb", headers, query_params, key, ["kms:Decrypt"])
            if refused:
                return refused
    return await original(method, path, headers, body, query_params)


def read(body: bytes) -> dict[str, Any]:
    """What a request says; nothing if it can't be read, which DynamoDB itself refuses."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
