"""What templates make of Amazon EventBridge, in use."""

import json
from typing import Any

from embedded.tests.helpers.iris_jobs import unique, wait_for
from embedded.tests.helpers.webhook import listening
from embedded_aws.testing import EmbeddedAws


def webhook_template(source: str, url: str, value: str) -> dict[str, Any]:
    """A rule that posts a line of each event of a source to a URL."""
    transformed = {
        "InputPathsMap": {"verdict": "$.detail.verdict"},
        "InputTemplate": '{"text": <verdict>}',
    }
    key = {"ApiKeyName": "X-Key", "ApiKeyValue": value}
    return {
        "Resources": {
            "Connection": {
                "Type": "AWS::Events::Connection",
                "Properties": {
                    "AuthorizationType": "API_KEY",
                    "AuthParameters": {"ApiKeyAuthParameters": key},
                },
            },
            "Destination": {
                "Type": "AWS::Events::ApiDestination",
                "Properties": {
                    "ConnectionArn": {"Fn::GetAtt": ["Connection", "Arn"]},
                    "InvocationEndpoint": url,
                    "HttpMethod": "POST",
                },
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {"source": [source]},
                    "Targets": [
                        {
                            "Id": "webhook",
                            "Arn": {"Fn::GetAtt": ["Destination", "Arn"]},
                            "InputTransformer": transformed,
                        }
                    ],
                },
            },
        }
    }


def test_a_template_posts_events_to_a_webhook_and_to_another_one_after_an_update(
    embedded_aws: EmbeddedAws,
) -> None:
    cloudformation, events = embedded_aws.client("cloudformation"), embedded_aws.client("events")
    source = name = unique("webhook")
    entry = {"Source": source, "DetailType": "d", "Detail": json.dumps({"verdict": 'it is "ok"'})}
    with listening() as first, listening() as second:
        template = webhook_template(source, first.url, "one")
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        wait = {"StackName": name, "WaiterConfig": {"Delay": 1}}
        cloudformation.get_waiter("stack_create_complete").wait(**wait)
        events.put_events(Entries=[entry])
        wait_for(lambda: first.posted)

        template = webhook_template(source, second.url, "two")
        cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_update_complete").wait(**wait)
        events.put_events(Entries=[entry])
        wait_for(lambda: second.posted)

    for webhook, key in ((first, "one"), (second, "two")):
        ((headers, posted),) = webhook.posted
        assert posted == {"text": 'it is "ok"'}
        assert headers["x-key"] == key
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(**wait)
    assert events.list_api_destinations(NamePrefix=name)["ApiDestinations"] == []
    assert events.list_connections(NamePrefix=name)["Connections"] == []
