"""What an operator does: follow a run, go back, hand over what failed, change the API key."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployed import ROOT, Deployed, wait_for
from tests.transformed_template import transformed

pytestmark = pytest.mark.e2e
IRIS = ROOT / "data/iris.csv"
SETOSA = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
FUNCTIONS = ("Preprocess", "Split", "Validate", "Report", "Predict", "Teardown", "Sweep")


def drop(deployed: Deployed, file: Path, dataset: str, *, status: str = "Live") -> str:
    """Drop a file and return its run, which has to end like that."""
    before = {run["run"] for run in deployed.runs(dataset)}
    result = deployed.cli("drop", str(file), "--dataset", dataset)
    (run,) = [run for run in deployed.runs(dataset) if run["run"] not in before]
    assert run["status"] == status, result.stdout + result.stderr
    return run["run"]


def resources(deployed: Deployed) -> dict[str, str]:
    """The stack's resources, by their logical ids."""
    pages = deployed.client("cloudformation").get_paginator("list_stack_resources")
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName="knn-pipeline")
        for resource in page["StackResourceSummaries"]
    }


def log_lines(deployed: Deployed) -> Iterator[str]:
    """All that functions and state machine have logged."""
    groups = [id for name, id in resources(deployed).items() if name.endswith("LogGroup")]
    for group in groups:
        pages = deployed.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group):
            yield from (event["message"] for event in page["events"])


def structured(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects."""
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            yield content


@pytest.fixture(scope="module")
def flowers(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two runs of a dataset of their own, the second of fewer rows."""
    first = drop(deployed, IRIS, "flowers")
    fewer = tmp_path_factory.mktemp("rows") / "fewer.csv"
    lines = IRIS.read_text().splitlines(keepends=True)
    fewer.write_text("".join(lines[:40] + lines[51:90] + lines[101:140]))
    return {"first": first, "second": drop(deployed, fewer, "flowers")}


def test_a_run_is_followed_from_drop_to_mail_by_its_id(deployed, flowers):
    run = flowers["second"]
    assert deployed.call("POST", "/datasets/flowers/predictions", SETOSA).body["run"] == run
    logs = deployed.client("logs")
    saved = logs.describe_query_definitions()["queryDefinitions"]
    (query,) = [q for q in saved if q["name"] == "knn-pipeline/A run from drop to mail"]
    started = logs.start_query(
        logGroupNames=query["logGroupNames"],
        startTime=0,
        endTime=int(time.time()) + 60,
        queryString=query["queryString"].replace("RUN", run),
    )
    rows = logs.get_query_results(queryId=started["queryId"])["results"]
    found = [{cell["field"]: cell["value"] for cell in row}["@message"] for row in rows]
    lines = list(structured(iter(found)))
    said = [(line["service"], line["message"]) for line in lines if "correlation_id" in line]
    expected = [
        ("preprocess", "preprocessed"),
        ("split", "split"),
        ("validate", "validated"),
        ("report", "mailed"),
        ("report", "reported"),
        ("predict", "answered"),
    ]
    assert list(dict.fromkeys(entry for entry in said if entry in expected)) == expected
    assert {line["correlation_id"] for line in lines if "correlation_id" in line} == {run}
    answered = [line for line in lines if line.get("message") == "answered"]
    assert all(line["api_request_id"] for line in answered)
    assert any(run in mail["BodyText"] for mail in deployed.mails())


def test_every_line_that_a_function_logs_says_what_it_is_about(deployed, flowers):
    own = [line for line in structured(log_lines(deployed)) if "service" in line]
    lines = [line for line in own if "level" in line]
    assert lines
    assert [line for line in lines if not line.get("correlation_id")] == []


def test_what_a_run_makes_in_sagemaker_is_tagged_with_it(deployed, flowers):
    sagemaker, run = deployed.client("sagemaker"), flowers["second"]
    arns = (
        sagemaker.describe_training_job(TrainingJobName=run)["TrainingJobArn"],
        sagemaker.describe_model(ModelName=run)["ModelArn"],
        sagemaker.describe_endpoint_config(EndpointConfigName=run)["EndpointConfigArn"],
        sagemaker.describe_endpoint(EndpointName=run)["EndpointArn"],
    )
    for arn in arns:
        tags = {t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        assert (tags["Run"], tags["Dataset"]) == (run, "flowers")


def test_neither_rows_nor_labels_are_logged(deployed, tmp_path):
    birds = tmp_path / "birds.csv"
    rows = [f"{10 + n % 7}.86420135,{n % 5}.75319246,wryneck" for n in range(40)]
    rows += [f"{70 + n % 7}.86420135,{n % 5}.75319246,hoopoe" for n in range(40)]
    rows[3] = "nonsensical,1.5,wryneck"
    birds.write_text("wingspan,weight,label\n" + "\n".join(rows) + "\n")
    drop(deployed, birds, "birds")
    asked = '{"instances": [[11.97531086, 2.5]]}'
    assert deployed.call("POST", "/datasets/birds/predictions", asked).status == 200
    bad = '{"instances": [[11.97531086, "gobbledygook"]]}'
    assert deployed.call("POST", "/datasets/birds/predictions", bad).status == 400
    lone = tmp_path / "lone.csv"
    lone.write_text("wingspan,weight,label\n1.0,2.0,capercaillie\n" + "3.1,2.0,ptarmigan\n" * 9)
    drop(deployed, lone, "birds", status="Refused")
    text = "\n".join(log_lines(deployed))
    assert "birds-" in text
    payload = ("86420135", "75319246", "97531086", "wryneck", "hoopoe", "nonsensical")
    payload += ("gobbledygook", "capercaillie", "ptarmigan")
    assert [word for word in payload if word in text] == []


def test_what_is_watched_is_what_functions_measure(deployed, flowers):
    """A metric under another name or dimension would leave its alarm silent for ever."""
    measured = set()
    for line in structured(log_lines(deployed)):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for dimensions in directive["Dimensions"]:
                values = tuple(sorted((name, line[name]) for name in dimensions))
                measured |= {
                    (directive["Namespace"], metric["Name"], values)
                    for metric in directive["Metrics"]
                }
    # Those that nothing has given cause for.
    rare = {"MailsNotSent", "RunsFailed", "EndpointErrors"}
    rare |= {"EndpointUnavailable", "EndpointThrottles", "RunsSuperseded", "RunsHeld"}
    rare |= {"MissingEndpoints"}
    cloudwatch = deployed.client("cloudwatch")
    watched = {
        (
            alarm["Namespace"],
            alarm["MetricName"],
            tuple(sorted((d["Name"], d["Value"]) for d in alarm["Dimensions"])),
        )
        for page in cloudwatch.get_paginator("describe_alarms").paginate()
        for alarm in page["MetricAlarms"]
    }
    # There is one where it is asked for.
    dashboard = transformed()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = dashboard.replace("${AWS::StackName}", "knn-pipeline")
    for widget in json.loads(body)["widgets"]:
        for metric in widget["properties"]["metrics"]:
            names = [part for part in metric if isinstance(part, str)]
            if names:
                pairs = tuple(sorted(zip(names[2::2], names[3::2], strict=True)))
                watched.add((names[0], names[1], pairs))
    own = {metric for metric in watched if metric[0] == "knn-pipeline"}
    assert {metric[1] for metric in own} >= rare
    assert {metric for metric in own if metric[1] not in rare} <= measured
    for name in ("Accuracy", "MacroF1", "EndpointLatency"):
        assert f'MetricName="{name}"' in json.dumps(json.loads(body)).replace('\\"', '"')
        assert ("knn-pipeline", name, (("dataset", "flowers"),)) in measured


def test_retraining_drops_the_earlier_file_again_and_that_goes_live(deployed, flowers):
    result = deployed.cli("retrain", flowers["first"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"The file of {flowers['first']} again, flowers/iris.csv" in result.stdout
    live = deployed.call("GET", "/datasets/flowers").body["live"]["run"]
    assert live not in flowers.values()
    assert f"{live}, Live" in result.stdout
    assert deployed.read(live, "clean/data.csv") == deployed.read(
        flowers["first"], "clean/data.csv"
    )


BETWEEN = json.dumps({"instances": [[6.0, 2.9, 4.6, 1.5], [6.3, 2.7, 4.9, 1.8], [5, 3, 1.5, 0.2]]})


def said(deployed: Deployed, dataset: str) -> tuple[str, Any]:
    """The run that answers, and what it predicts to the last digit."""
    body = deployed.call("POST", f"/datasets/{dataset}/predictions", BETWEEN).body
    return body["run"], body["predictions"]


def has_no_endpoint(deployed: Deployed, run: str) -> bool:
    found = deployed.client("sagemaker").list_endpoints(NameContains=run)["Endpoints"]
    return not found


@pytest.fixture(scope="module")
def without_virginica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that make a model which predicts something else, and lacks a class."""
    file = tmp_path_factory.mktemp("rows") / "two.csv"
    lines = IRIS.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "virginica" not in line))
    return file


def test_a_rollback_brings_back_the_earlier_model_pins_it_and_what_comes_is_held_until_promoted(
    deployed, without_virginica
):
    good = drop(deployed, IRIS, "story")
    _, before = said(deployed, "story")
    result = deployed.cli("drop", str(without_virginica), "--dataset", "story", "--allow-changes")
    assert result.returncode == 0, result.stdout + result.stderr
    bad, other = said(deployed, "story")
    assert other != before
    # Neither the file nor training is needed.
    s3, inbox = deployed.client("s3"), deployed.output("InboxBucketName")
    for version in s3.list_object_versions(Bucket=inbox, Prefix="story/iris.csv")["Versions"]:
        s3.delete_object(Bucket=inbox, Key=version["Key"], VersionId=version["VersionId"])

    result = deployed.cli("rollback", "story")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"story: rolled back to {good}, " in result.stdout
    back, now = said(deployed, "story")
    assert now == before
    assert back not in (good, bad)
    jobs = deployed.client("sagemaker").list_training_jobs(NameContains=back)
    assert jobs["TrainingJobSummaries"] == []
    metrics = [json.loads(deployed.read(run, "validation/metrics.json")) for run in (good, back)]
    assert metrics[0]["confusion_matrix"] == metrics[1]["confusion_matrix"]
    assert f"story is pinned to {back} since " in deployed.cli("runs", "story").stdout
    wait_for(lambda: has_no_endpoint(deployed, bad))
    # A second one doesn't go back to the bad model.
    assert "You have rolled back from every other" in deployed.cli("rollback", "story").stderr

    result = deployed.cli("drop", str(without_virginica), "--dataset", "story", "--allow-changes")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "story: would be live, 100 % right" in result.stdout
    (held,) = [run["run"] for run in deployed.runs("story") if run["status"] == "Held"]
    assert said(deployed, "story") == (back, before)
    wait_for(lambda: has_no_endpoint(deployed, held))
    refused = deployed.cli("promote", held)
    assert "story is pinned. Unpin it first: " in refused.stderr

    assert f"promote {held}" in deployed.cli("unpin", "story").stdout
    result = deployed.cli("promote", held)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"story: promoted {held}, 100 % right" in result.stdout
    assert said(deployed, "story")[1] == other
    assert "story is pinned" not in deployed.cli("runs", "story").stdout
    statuses = {run["run"]: run["status"] for run in deployed.runs("story")}
    assert [statuses[run] for run in (good, bad, back, held)] == [*["Retired"] * 3, "Held"]


def test_a_damaged_model_is_not_rolled_back_to(deployed, without_virginica):
    """The files of a run are those of another by mistake, say."""
    good = drop(deployed, IRIS, "damaged")
    bad = drop(deployed, without_virginica, "damaged-other")
    live = drop(deployed, IRIS, "damaged")
    s3, bucket = deployed.client("s3"), deployed.output("RunsBucketName")
    source = {"Bucket": bucket, "Key": f"runs/{bad}/model/{bad}/output/model.tar.gz"}
    key = f"runs/{good}/model/{good}/output/model.tar.gz"
    s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
    result = deployed.cli("rollback", "damaged")
    assert result.returncode == 1
    assert "NotAsBefore: " in result.stdout
    assert deployed.call("GET", "/datasets/damaged").body["live"]["run"] == live
    assert "damaged is pinned" not in deployed.cli("runs", "damaged").stdout


def test_an_upload_that_asks_not_to_be_promoted_changes_nothing_for_clients(deployed, flowers):
    live, before = said(deployed, "flowers")
    result = deployed.cli("drop", str(IRIS), "--dataset", "flowers", "--no-promote")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "flowers: would be live" in result.stdout
    (held,) = [run["run"] for run in deployed.runs("flowers") if run["status"] == "Held"]
    assert f"promote {held}" in result.stdout
    assert said(deployed, "flowers") == (live, before)


def test_a_rollback_that_can_not_be_is_refused_with_the_reason(deployed, flowers):
    live = deployed.call("GET", "/datasets/flowers").body["live"]["run"]
    assert "is live already" in deployed.cli("rollback", "flowers", live).stderr
    assert "is a run of" in deployed.cli("rollback", "iris", flowers["first"]).stderr
    assert "is not the name of a run" in deployed.cli("rollback", "flowers", "nothing").stderr
    unknown = "flowers-20260101T000000Z-00000000"
    assert f"There is no run {unknown}" in deployed.cli("rollback", "flowers", unknown).stderr
    assert "has no live model" in deployed.cli("rollback", "never-dropped").stderr
    assert "has no live model" in deployed.cli("pin", "never-dropped").stderr
    assert "is not pinned" in deployed.cli("unpin", "flowers").stderr


def undelivered(deployed: Deployed, key: str) -> dict[str, Any]:
    """Put an object that no rule sees into the inbox, and return its event."""
    event = json.loads((ROOT / "events/preprocess-iris.json").read_text())
    inbox = deployed.output("InboxBucketName")
    events = deployed.client("events")
    rule = resources(deployed)["PreprocessFunctionFileDropped"]
    events.disable_rule(Name=rule)
    try:
        put = deployed.client("s3").put_object(Bucket=inbox, Key=key, Body=IRIS.read_bytes())
    finally:
        events.enable_rule(Name=rule)
    event["detail"]["bucket"]["name"] = inbox
    event["detail"]["object"] |= {"key": key, "version-id": put["VersionId"]}
    return event


def test_what_is_in_the_dead_letter_queues_is_shown_then_handed_over(deployed):
    sqs, ids = deployed.client("sqs"), resources(deployed)
    queue = ids["PreprocessDeadLetterQueue"]
    event = undelivered(deployed, "missed/iris.csv")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    # Nothing that could be reported: Lambda keeps what it is about when it has tried enough.
    broken = {"detail-type": "Object Created", "detail": {"object": {"key": "broken/iris.csv"}}}
    deployed.client("lambda").invoke(
        FunctionName=ids["FailureFunction"],
        InvocationType="Event",
        Payload=json.dumps({"requestPayload": broken}).encode(),
    )

    def waiting() -> bool:
        shown = deployed.cli("redrive", "--dry-run").stdout
        return shown if "missed/iris.csv" in shown and "broken/iris.csv" in shown else ""

    shown = wait_for(waiting)
    assert "not delivered" in shown
    assert ": 'bucket'" in shown
    assert deployed.runs("missed") == []
    result = deployed.cli("redrive", "Preprocess")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Handed over: 1" in result.stdout
    sqs.purge_queue(QueueUrl=ids["FailureDeadLetterQueue"])
    wait_for(lambda: [run["status"] for run in deployed.runs("missed")] == ["Live"])


@pytest.mark.parametrize("function", ["Preprocess", "Split"])
def test_a_file_that_a_function_fails_on_ends_as_failed_with_an_email(deployed, function):
    functions, name = deployed.client("lambda"), resources(deployed)[f"{function}Function"]
    dataset, handler = f"lost-{function.lower()}", f"{function.lower()}.app.handler"
    functions.update_function_configuration(FunctionName=name, Handler=f"{handler}_that_is_lost")
    try:
        result = deployed.cli("drop", str(IRIS), "--dataset", dataset)
    finally:
        functions.update_function_configuration(FunctionName=name, Handler=handler)
    assert f"{function} was tried 3 times and failed" in result.stdout, result.stdout
    (run,) = deployed.runs(dataset)
    assert (run["status"], run["error"]["code"]) == ("Failed", "NotPrepared")
    (mail,) = (mail for mail in deployed.mails() if run["run"] in mail["BodyText"])
    assert f"{function} was tried 3 times and failed" in mail["BodyText"]


def test_an_interrupted_run_that_was_not_reported_is_redriven(deployed, flowers):
    detail = {
        "name": flowers["second"],
        "status": "ABORTED",
        "stateMachineArn": deployed.output("StateMachineArn"),
    }
    event = {"detail-type": "Step Functions Execution Status Change", "detail": detail}
    queue = resources(deployed)["InterruptedRunDeadLetterQueue"]
    deployed.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    result = deployed.cli("redrive", "InterruptedRun")
    assert "Handed over: 1" in result.stdout, result.stdout + result.stderr
    sfn, arn = deployed.client("stepfunctions"), deployed.output("StateMachineArn")

    def inputs() -> list[dict[str, Any]]:
        listed = sfn.list_executions(stateMachineArn=arn)["executions"]
        texts = [sfn.describe_execution(executionArn=e["executionArn"])["input"] for e in listed]
        return [json.loads(text) for text in texts]

    assert {"run": flowers["second"], "interrupted": "ABORTED"} in inputs()


def test_an_unknown_queue_is_refused_with_those_that_there_are(deployed):
    result = deployed.cli("redrive", "Nonsense")
    assert result.returncode != 0
    assert "InterruptedRun, Preprocess, Split" in result.stderr


def test_the_api_key_is_changed_as_the_runbook_says(deployed, flowers):
    old = deployed.output("ApiKeyId")
    value = deployed.cli("keys", "add", "client-2").stdout.strip()
    try:
        assert deployed.call("GET", "/datasets/flowers", key=value).status == 200
        revoked = deployed.cli("keys", "revoke", old, "--yes")
        assert f"keys enable {old}" in revoked.stdout, revoked.stderr
        assert deployed.call("GET", "/datasets/flowers").status == 403
        assert deployed.call("GET", "/datasets/flowers", key=value).status == 200
        assert deployed.cli("predict", "flowers", "5.1", "3.5", "1.4", "0.2").returncode == 0
    finally:
        assert deployed.cli("keys", "enable", old).returncode == 0
        assert deployed.cli("keys", "revoke", "client-2", "--yes").returncode == 0


def test_the_environment_of_no_function_holds_a_secret(deployed):
    secret = re.compile(r"secret|password|token|credential|private", re.IGNORECASE)
    lambda_, ids = deployed.client("lambda"), resources(deployed)
    for name in FUNCTIONS:
        config = lambda_.get_function_configuration(FunctionName=ids[f"{name}Function"])
        assert not [key for key in config["Environment"]["Variables"] if secret.search(key)]


def test_the_same_file_under_another_name_starts_a_run_of_its_own(deployed, tmp_path):
    """What a rollback relies on: a version that is newest again is a new event."""
    copy = tmp_path / "again.csv"
    shutil.copy(IRIS, copy)
    assert drop(deployed, copy, "again") != drop(deployed, copy, "again")


def test_the_first_deployment_is_tried_on_all_kinds_of_endpoint_and_rolled_back(deployed):
    result = deployed.tool("first_deployment", "--embedded")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line[0] for line in result.stdout.splitlines()[:-1]] == ["✓"] * 5
    assert result.stdout.splitlines()[-1].startswith("Runs and endpoints cost about")
