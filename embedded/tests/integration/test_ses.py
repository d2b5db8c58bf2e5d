"""Amazon SES as a client of version 2 of its API uses it."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import unique, wait_for
from embedded_aws.ministack.ses_events import EICAR
from embedded_aws.testing import ACCOUNT, REGION, EmbeddedAws, running_embedded_aws

SENDER = "reports@example.com"
PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff"
PLACE = f"{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def ses(embedded_aws: EmbeddedAws) -> Any:
    client = embedded_aws.client("sesv2")
    client.create_email_identity(EmailIdentity=SENDER)
    return client


def content(**more: Any) -> dict[str, Any]:
    """A simple message."""
    body = {"Text": {"Data": "text"}, "Html": {"Data": "<img src='cid:plot'>"}}
    return {"Simple": {"Subject": {"Data": "A subject"}, "Body": body, **more}}


def send(ses: Any, *recipients: str, attachments: Any = (), **more: Any) -> str:
    """Send an email; its message id."""
    parts = {"Attachments": list(attachments)} if attachments else {}
    answer: dict[str, str] = ses.send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": recipients or ["you@example.com"]},
        Content=content(**parts),
        **more,
    )
    return answer["MessageId"]


def kept(aws: EmbeddedAws, message_id: str) -> dict[str, Any] | None:
    """An email as the server keeps it."""
    with urllib.request.urlopen(f"{aws.endpoint_url}/_ministack/ses/messages") as answer:
        by_account: dict[str, list[dict[str, Any]]] = json.load(answer)["messages"]
    mails = [mail for mails in by_account.values() for mail in mails]
    return next((mail for mail in mails if mail["MessageId"] == message_id), None)


def refusal(call: Any) -> tuple[str, str]:
    """The code and the message of an error."""
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


# --- what is kept ----------------------------------------------------------------------------


def test_an_email_is_kept_with_all_that_it_was_sent_with(embedded_aws: EmbeddedAws) -> None:
    ses = embedded_aws.client("sesv2")
    ses.create_email_identity(EmailIdentity=SENDER)
    name = unique("set")
    ses.create_configuration_set(ConfigurationSetName=name)
    message = content(
        Headers=[{"Name": "X-Run", "Value": "iris-1"}],
        Attachments=[
            {
                "FileName": "plot.png",
                "RawContent": PICTURE,
                "ContentDisposition": "INLINE",
                "ContentId": "plot",
                "ContentTransferEncoding": "BASE64",
            },
            {"FileName": "rows.csv", "RawContent": b"a,b\n"},
        ],
    )
    message_id = ses.send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": ["a@example.com", "b@example.com"]},
        ReplyToAddresses=["answers@example.com"],
        ConfigurationSetName=name,
        EmailTags=[{"Name": "kind", "Value": "report"}],
        Content=message,
    )["MessageId"]
    mail = kept(embedded_aws, message_id)
    assert mail
    assert mail["To"] == ["a@example.com", "b@example.com"]
    assert (mail["BodyText"], mail["BodyHtml"]) == ("text", "<img src='cid:plot'>")
    assert mail["Headers"] == [{"Name": "X-Run", "Value": "iris-1"}]
    assert mail["ReplyTo"] == ["answers@example.com"]
    assert mail["ConfigurationSetName"] == name
    assert mail["EmailTags"] == [{"Name": "kind", "Value": "report"}]
    picture, rows = mail["Attachments"]
    assert base64.b64decode(picture.pop("RawContent")) == PICTURE
    assert picture == {
        "FileName": "plot.png",
        "ContentType": "image/png",
        "ContentDisposition": "INLINE",
        "ContentId": "plot",
        "ContentTransferEncoding": "BASE64",
    }
    assert (rows["ContentType"], rows["ContentDisposition"]) == ("text/csv", "ATTACHMENT")


def test_attachments_survive_a_restart(tmp_path: Path) -> None:
    with running_embedded_aws(tmp_path) as aws:
        client = aws.client("sesv2")
        client.create_email_identity(EmailIdentity=SENDER)
        part = {"FileName": "plot.png", "RawContent": PICTURE}
        message_id = send(client, attachments=[part])
    with running_embedded_aws(tmp_path) as aws:
        mail = kept(aws, message_id)
    assert mail
    assert [base64.b64decode(part["RawContent"]) for part in mail["Attachments"]] == [PICTURE]


# --- what is refused -------------------------------------------------------------------------


def test_an_unknown_configuration_set_is_refused(ses: Any) -> None:
    code, message = refusal(lambda: send(ses, ConfigurationSetName="nowhere"))
    assert code == "NotFoundException"
    assert message == "Configuration set <nowhere> does not exist."


def test_a_set_that_may_not_send_sends_nothing(ses: Any) -> None:
    name = unique("set")
    ses.create_configuration_set(
        ConfigurationSetName=name, SendingOptions={"SendingEnabled": False}
    )
    code, _ = refusal(lambda: send(ses, ConfigurationSetName=name))
    assert code == "SendingPausedException"


def test_an_email_to_more_than_fifty_is_refused(ses: Any) -> None:
    recipients = [f"u{number}@example.com" for number in range(51)]
    assert refusal(lambda: send(ses, *recipients))[0] == "BadRequestException"
    assert send(ses, *recipients[:50])


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ({"FileName": "x" * 252 + ".png"}, "fileName"),
        ({"ContentId": "x" * 79}, "contentId"),
        ({"ContentDescription": "x" * 1001}, "contentDescription"),
        ({"ContentDisposition": "inline"}, "contentDisposition"),
        ({"ContentTransferEncoding": "base64"}, "contentTransferEncoding"),
    ],
)
def test_an_attachment_that_is_out_of_bounds_is_refused(
    ses: Any, part: dict[str, str], what: str
) -> None:
    given = {"FileName": "plot.png", "RawContent": PICTURE, **part}
    code, message = refusal(lambda: send(ses, attachments=[given]))
    assert code == "BadRequestException"
    assert f"attachments.1.member.{what}'" in message


def test_an_email_of_more_than_40_megabytes_is_refused(ses: Any) -> None:
    thirty = {"FileName": "a.bin", "RawContent": bytes(30 * 1024 * 1024)}
    code, message = refusal(lambda: send(ses, attachments=[thirty]))
    # In base64 it is longer by a third.
    assert code == "BadRequestException"
    assert "more than 41943040 bytes" in message


# --- what event destinations are told --------------------------------------------------------


@pytest.fixture
def queue(embedded_aws: EmbeddedAws) -> Iterator[tuple[str, str]]:
    """The URL and the ARN of a queue."""
    sqs = embedded_aws.client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    yield url, f"arn:aws:sqs:{PLACE}:{url.rpartition('/')[2]}"
    sqs.delete_queue(QueueUrl=url)


def received(aws: EmbeddedAws, url: str, number: int) -> list[dict[str, Any]]:
    """So many messages of a queue, as JSON."""
    sqs, found = aws.client("sqs"), []

    def all_there() -> bool:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(message["Body"]) for message in messages)
        return len(found) >= number

    wait_for(all_there)
    assert len(found) == number
    return found


def configured(ses: Any, types: list[str], **destination: Any) -> str:
    """A configuration set with one event destination."""
    name = unique("set")
    ses.create_configuration_set(ConfigurationSetName=name)
    ses.create_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestinationName="events",
        EventDestination={"Enabled": True, "MatchingEventTypes": types, **destination},
    )
    return name


def on_bus(aws: EmbeddedAws, target: str) -> str:
    """A rule that puts SES's events into a queue; the default bus."""
    events, rule = aws.client("events"), unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.ses"]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": target}])
    return f"arn:aws:events:{PLACE}:event-bus/default"


def test_eventbridge_is_told_what_the_mailbox_simulator_does(
    embedded_aws: EmbeddedAws, ses: Any, queue: tuple[str, str]
) -> None:
    url, arn = queue
    bus = on_bus(embedded_aws, arn)
    types = ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT"]
    name = configured(ses, types, EventBridgeDestination={"EventBusArn": bus})
    simulator = [
        f"{local}@simulator.amazonses.com"
        for local in ("success", "bounce+1", "complaint", "suppressionlist", "ooto")
    ]
    message_id = send(ses, *simulator, ConfigurationSetName=name)
    events = received(embedded_aws, url, 7)
    found = sorted((event["detail-type"], event["detail"]["eventType"]) for event in events)
    assert found == [
        ("Email Bounced", "Bounce"),
        ("Email Bounced", "Bounce"),
        ("Email Complaint Received", "Complaint"),
        ("Email Delivered", "Delivery"),
        ("Email Delivered", "Delivery"),
        ("Email Delivered", "Delivery"),
        ("Email Sent", "Send"),
    ]
    for event in events:
        mail = event["detail"]["mail"]
        assert event["source"] == "aws.ses"
        assert event["resources"] == [f"arn:aws:ses:{PLACE}:configuration-set/{name}"]
        assert (mail["messageId"], mail["source"]) == (message_id, SENDER)
        assert mail["sourceArn"] == f"arn:aws:ses:{PLACE}:identity/{SENDER}"
        assert mail["destination"] == simulator
        assert mail["commonHeaders"]["subject"] == "A subject"
        assert mail["tags"]["ses:configuration-set"] == [name]
        assert mail["tags"]["ses:from-domain"] == ["example.com"]
    bounces = [e["detail"]["bounce"] for e in events if e["detail"]["eventType"] == "Bounce"]
    assert {(b["bounceType"], b["bounceSubType"]) for b in bounces} == {
        ("Permanent", "General"),
        ("Permanent", "Suppressed"),
    }
    hard = next(b for b in bounces if b["bounceSubType"] == "General")
    assert hard["bouncedRecipients"][0]["emailAddress"] == "bounce+1@simulator.amazonses.com"


def test_a_destination_is_told_what_it_asks_for_only(
    embedded_aws: EmbeddedAws, ses: Any, queue: tuple[str, str]
) -> None:
    url, arn = queue
    topic = embedded_aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
    embedded_aws.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    name = configured(ses, ["BOUNCE"], SnsDestination={"TopicArn": topic})
    send(ses, "success@simulator.amazonses.com", ConfigurationSetName=name)
    send(ses, "bounce@simulator.amazonses.com", ConfigurationSetName=name)
    (record,) = received(embedded_aws, url, 1)
    assert record["eventType"] == "Bounce"


def test_cloudwatch_counts_by_the_dimension_and_alarms(embedded_aws: EmbeddedAws, ses: Any) -> None:
    cloudwatch, alarm = embedded_aws.client("cloudwatch"), unique("alarm")
    dimension = {
        "DimensionName": "ses:configuration-set",
        "DimensionValueSource": "MESSAGE_TAG",
        "DefaultDimensionValue": "none",
    }
    name = configured(
        ses, ["BOUNCE"], CloudWatchDestination={"DimensionConfigurations": [dimension]}
    )
    metric = {
        "Namespace": "AWS/SES",
        "MetricName": "Bounce",
        "Dimensions": [{"Name": "ses:configuration-set", "Value": name}],
    }
    cloudwatch.put_metric_alarm(
        **metric,
        AlarmName=alarm,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    send(ses, "bounce@simulator.amazonses.com", ConfigurationSetName=name)
    listed = cloudwatch.list_metrics(**metric)["Metrics"]
    assert [found["Dimensions"] for found in listed] == [metric["Dimensions"]]
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert found["StateValue"] == "ALARM"


def test_an_email_with_a_virus_is_rejected_and_not_delivered(
    embedded_aws: EmbeddedAws, ses: Any, queue: tuple[str, str]
) -> None:
    url, arn = queue
    bus = on_bus(embedded_aws, arn)
    types = ["SEND", "DELIVERY", "REJECT"]
    name = configured(ses, types, EventBridgeDestination={"EventBusArn": bus})
    part = {"FileName": "sample.txt", "RawContent": EICAR}
    message_id = send(ses, attachments=[part], ConfigurationSetName=name)
    (event,) = received(embedded_aws, url, 1)
    assert event["detail-type"] == "Email Rejected"
    assert event["detail"]["reject"] == {"reason": "Bad content"}
    assert kept(embedded_aws, message_id) is None


def test_an_identity_sends_with_its_own_configuration_set(
    embedded_aws: EmbeddedAws, queue: tuple[str, str]
) -> None:
    url, arn = queue
    client, domain = embedded_aws.client("sesv2"), f"{unique('domain')}.example"
    name = configured(
        client, ["SEND"], EventBridgeDestination={"EventBusArn": on_bus(embedded_aws, arn)}
    )
    client.create_email_identity(EmailIdentity=domain, ConfigurationSetName=name)
    assert client.get_email_identity(EmailIdentity=domain)["ConfigurationSetName"] == name
    client.send_email(
        FromEmailAddress=f"anybody@mail.{domain}",
        Destination={"ToAddresses": ["you@example.com"]},
        Content=content(),
    )
    (event,) = received(embedded_aws, url, 1)
    assert event["detail"]["mail"]["sourceArn"] == f"arn:aws:ses:{PLACE}:identity/{domain}"


# --- templates -------------------------------------------------------------------------------


def test_a_template_makes_a_set_whose_bounces_are_counted(
    embedded_aws: EmbeddedAws, ses: Any
) -> None:
    dimension = {
        "DimensionName": "ses:configuration-set",
        "DimensionValueSource": "messageTag",
        "DefaultDimensionValue": "none",
    }
    template = {
        "Resources": {
            "Set": {
                "Type": "AWS::SES::ConfigurationSet",
                "Properties": {"DeliveryOptions": {"TlsPolicy": "REQUIRE"}},
            },
            "Events": {
                "Type": "AWS::SES::ConfigurationSetEventDestination",
                "Properties": {
                    "ConfigurationSetName": {"Ref": "Set"},
                    "EventDestination": {
                        "Enabled": True,
                        "MatchingEventTypes": ["bounce"],
                        "CloudWatchDestination": {"DimensionConfigurations": [dimension]},
                    },
                },
            },
        },
        "Outputs": {"Name": {"Value": {"Ref": "Set"}}},
    }
    name = outputs(embedded_aws, template)["Name"]
    found = ses.get_configuration_set(ConfigurationSetName=name)
    assert found["DeliveryOptions"]["TlsPolicy"] == "REQUIRE"
    send(ses, "bounce@simulator.amazonses.com", ConfigurationSetName=name)
    listed = embedded_aws.client("cloudwatch").list_metrics(
        Namespace="AWS/SES",
        MetricName="Bounce",
        Dimensions=[{"Name": "ses:configuration-set", "Value": name}],
    )["Metrics"]
    assert len(listed) == 1


def outputs(aws: EmbeddedAws, template: dict[str, Any]) -> dict[str, str]:
    """The outputs of a stack."""
    cloudformation, name = aws.client("cloudformation"), unique("stack")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1})
    (made,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
