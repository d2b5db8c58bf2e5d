"""APIs that CloudFormation makes from OpenAPI documents."""

import json
from typing import Any

from embedded_aws.testing import EmbeddedAws

STACK = "documented-api"


def template(*paths: str) -> str:
    """A stack of one API that has these paths."""
    document = {
        "openapi": "3.0.1",
        "info": {"title": "Documented", "version": "1"},
        "paths": {path: {"get": {"responses": {}}} for path in paths},
    }
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": document}}
    return json.dumps({"Resources": {"Api": api}})


def deployed_api(aws: EmbeddedAws, state: str) -> str:
    """The id of the stack's API, once the stack is in this state."""
    cloudformation = aws.client("cloudformation")
    waiter = cloudformation.get_waiter(state)
    waiter.wait(StackName=STACK, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
    answer = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="Api")
    return answer["StackResourceDetail"]["PhysicalResourceId"]


def paths(aws: EmbeddedAws, api: str) -> set[str]:
    found: list[dict[str, Any]] = aws.client("apigateway").get_resources(restApiId=api)["items"]
    return {resource["path"] for resource in found if resource.get("resourceMethods")}


def test_an_api_whose_document_changes_keeps_its_id_and_takes_the_new_paths(embedded_aws):
    cloudformation = embedded_aws.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=template("/old", "/both"))
    api = deployed_api(embedded_aws, "stack_create_complete")
    assert paths(embedded_aws, api) == {"/old", "/both"}
    stage = {"restApiId": api, "stageName": "v1"}
    embedded_aws.client("apigateway").create_deployment(**stage)
    cloudformation.update_stack(StackName=STACK, TemplateBody=template("/both", "/new"))
    assert deployed_api(embedded_aws, "stack_update_complete") == api
    assert paths(embedded_aws, api) == {"/both", "/new"}
    assert embedded_aws.client("apigateway").get_stage(**stage)["stageName"] == "v1"
    apis = embedded_aws.client("apigateway").get_rest_apis()["items"]
    assert [item["id"] for item in apis if item["name"] == "Documented"] == [api]
