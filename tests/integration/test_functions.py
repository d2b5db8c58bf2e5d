"""Handlers with the events of events/, against the embedded AWS."""

import base64
import importlib
import json
import re
import urllib.request
from contextlib import nullcontext
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
)
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from cfnlint.decode.cfn_yaml import load as load_template

from pipeline.errors import BegunBeforeUpdate
from pipeline.registry import Status, record_status
from report.facts import Facts
from report.pictures import Picture
from tests.function_app import ROOT, function_app, lambda_context
from tests.integration.pipeline import ADDRESS, Pipeline, event
from tests.records import rows_in
from tests.unit.functions.test_report import METRICS

IRIS = (ROOT / "data/iris.csv").read_bytes()


def test_preprocess_writes_the_clean_folder_with_the_manifest_last(pipeline):
    run = pipeline.handle("preprocess", pipeline.dropped("iris.csv", IRIS))["run"]
    files = pipeline.files(run)
    clean = {name for name in files if name.startswith("clean/")}
    assert clean == {
        "clean/data.csv",
        "clean/schema.json",
        "clean/profile.json",
        "clean/rejects.csv",
        "clean/sample.json",
        "clean/settings.json",
        "clean/manifest.json",
    }
    assert pipeline.read(run, "clean/data.csv").encode() == IRIS.partition(b"\n")[2]
    assert files["clean/manifest.json"] == max(files[name] for name in clean)
    assert pipeline.status(run)["status"] == "Preparing"
    assert run not in pipeline.executions()


def test_the_same_event_twice_does_nothing_twice(pipeline):
    created = pipeline.dropped("twice.csv", IRIS)
    first = pipeline.handle("preprocess", created)
    files = pipeline.files(first["run"])
    assert pipeline.handle("preprocess", created) == first
    assert pipeline.files(first["run"]) == files


def forget_events(pipeline: Pipeline) -> None:
    """Let the time pass after which an event is taken for a new one."""
    tables = pipeline.aws.client("dynamodb")
    for item in tables.scan(TableName="idempotency")["Items"]:
        tables.delete_item(TableName="idempotency", Key={"id": item["id"]})


def test_an_event_that_comes_again_after_days_leaves_what_a_live_model_was_made_of(pipeline):
    created = pipeline.dropped("redriven/rows.csv", IRIS)
    run = pipeline.handle("preprocess", created)["run"]
    pipeline.handle("split", pipeline.manifest_of(run))
    assert record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, Status.LIVE)
    files = pipeline.files(run)
    asked = json.dumps({"standardisation": "zscore"}).encode()
    pipeline.s3.put_object(Bucket="inbox", Key="redriven/schema.json", Body=asked)
    forget_events(pipeline)
    pipeline.handle("preprocess", created)
    pipeline.handle("split", pipeline.manifest_of(run))
    assert pipeline.files(run) == files
    assert pipeline.status(run)["status"] == "Live"


def fail(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "InternalServerError"}}, "StartExecution")


def test_a_split_that_failed_to_start_the_execution_starts_it_when_the_event_comes_again(
    pipeline, monkeypatch
):
    run = pipeline.handle("preprocess", pipeline.dropped("unstarted/rows.csv", IRIS))["run"]
    with function_app("split", pipeline.environment) as split:
        monkeypatch.setattr(split.train.__globals__["sfn"], "start_execution", fail)
        with pytest.raises(ClientError):
            split.handler(pipeline.manifest_of(run), lambda_context())
    assert pipeline.status(run)["status"] == "Training"
    assert run not in pipeline.executions()
    pipeline.handle("split", pipeline.manifest_of(run))
    hyperparameters = json.loads(pipeline.read(run, "split.json"))["hyperparameters"]
    assert pipeline.executions()[run]["hyperparameters"] == hyperparameters


def killed(**_: Any) -> None:
    # Nothing catches it, as nothing catches a kill.
    raise SystemExit


@pytest.mark.parametrize(
    ("claim_seconds", "again"),
    [("30", pytest.raises(IdempotencyAlreadyInProgressError)), ("0.1", nullcontext())],
)
def test_what_a_function_that_was_killed_had_claimed_is_done_once_its_claim_has_ended(
    pipeline, monkeypatch, claim_seconds, again
):
    run = pipeline.handle("preprocess", pipeline.dropped("killed/rows.csv", IRIS))["run"]
    environment = {**pipeline.environment, "CLAIM_SECONDS": claim_seconds}
    with function_app("split", environment) as split:
        with monkeypatch.context() as patch:
            patch.setattr(split.train.__globals__["sfn"], "start_execution", killed)
            with pytest.raises(SystemExit):
                split.handler(pipeline.manifest_of(run), lambda_context())
        with again:
            split.handler(pipeline.manifest_of(run), lambda_context())
    assert (run in pipeline.executions()) == (claim_seconds == "0.1")


def test_a_refusal_starts_an_execution_that_carries_it(pipeline):
    run = pipeline.handle("preprocess", pipeline.dropped("nolabel.csv", b"a,b\n1,2\n"))["run"]
    assert pipeline.executions()[run]["refusal"]["code"] == "NoLabel"
    assert "clean/manifest.json" not in pipeline.files(run)


def test_an_object_that_is_gone_is_refused(pipeline):
    created = pipeline.dropped("gone.csv", IRIS)
    version = created["detail"]["object"]["version-id"]
    pipeline.s3.delete_object(Bucket="inbox", Key="gone.csv", VersionId=version)
    run = pipeline.handle("preprocess", created)["run"]
    assert pipeline.executions()[run]["refusal"]["code"] == "ObjectGone"


def test_an_object_that_was_replaced_is_read_as_it_was(pipeline):
    created = pipeline.dropped("replaced.csv", IRIS)
    pipeline.dropped("replaced.csv", b"", sequencer="0B")
    run = pipeline.handle("preprocess", created)["run"]
    assert json.loads(pipeline.read(run, "clean/profile.json"))["rows"]["kept"] == 150


@pytest.mark.parametrize("key", ["My Data.csv", "a%2Bb.csv", "花.csv", "x" * 40 + ".csv", "-.csv"])
def test_a_name_that_cannot_name_a_dataset_is_refused_with_one_that_can(pipeline, key):
    run = pipeline.handle("preprocess", pipeline.dropped(key, IRIS))["run"]
    assert pipeline.executions()[run]["refusal"]["code"] == "BadDatasetName"


@pytest.mark.parametrize("key", ["plus/a+b.csv", "per-cent/a%20b.csv", "wide/ä 花.csv"])
def test_a_key_is_read_as_it_stands_in_the_event(pipeline, key):
    run = pipeline.handle("preprocess", pipeline.dropped(key, IRIS))["run"]
    assert pipeline.status(run)["source"]["key"] == key
    assert json.loads(pipeline.read(run, "clean/profile.json"))["rows"]["kept"] == 150


def test_split_writes_exact_counts_and_starts_the_execution_once(pipeline):
    run = pipeline.handle("preprocess", pipeline.dropped("split.csv", IRIS))["run"]
    manifest = pipeline.manifest_of(run)
    assert pipeline.handle("split", manifest) == pipeline.handle("split", manifest)
    train, test = (rows_in(pipeline.read_bytes(run, f"{c}/{c}.pbr")) for c in ("train", "test"))
    assert (len(train), len(test)) == (112, 38)
    held_out = pipeline.read(run, "validation/held_out.csv").splitlines()
    assert len(held_out) == 38
    assert set(held_out) < set(pipeline.read(run, "clean/data.csv").splitlines())
    started = pipeline.executions()[run]
    assert (started["dataset"], started["hyperparameters"]["sample_size"]) == ("split", "112")
    width = started["hyperparameters"]["feature_dim"]
    assert {len(row) for row in train + test} == {int(width) + 1}
    head = pipeline.s3.head_object(Bucket=pipeline.runs_bucket, Key=f"runs/{run}/train/train.pbr")
    assert head["ContentType"] == "application/x-recordio-protobuf"
    # Nothing needs these once the run has ended: S3 lets them expire by their tag.
    tag = {"Kind": "intermediate"}
    assert pipeline.tagged(run) == {"clean/data.csv": tag, "train/train.pbr": tag}


@pytest.mark.parametrize("module", ["app", "parts"])
def test_the_execution_is_told_how_to_serve_the_model_and_whether_to_promote_it(pipeline, module):
    asked = {"endpoint-kind": "async", "promote": "no"}
    key = f"told-{module}/rows.csv"
    run = pipeline.handle("preprocess", pipeline.dropped(key, IRIS, **asked))["run"]
    if module == "app":
        pipeline.handle("split", pipeline.manifest_of(run))
    else:
        manifest = json.loads(pipeline.read(run, "clean/manifest.json"))
        pipeline.s3.put_object(
            Bucket=pipeline.runs_bucket,
            Key=f"runs/{run}/clean/parts.json",
            Body=json.dumps({"parts": manifest["parts"]}).encode(),
        )
        facts = {name: manifest[name] for name in ("run", "dataset", "dropped")}
        step = pipeline.handle("split", {"run": run, "facts": facts, "done": ""}, module="parts")
        task = {"run": run, "step": step["step"], "part": 0}
        pipeline.handle("split", task, module="parts")
        done = {"run": run, "facts": facts, "done": step["step"]}
        pipeline.handle("split", done, module="parts")
    started = pipeline.executions()[run]
    assert (started["endpoint_kind"], started["promote"]) == ("async", False)


def test_a_kind_of_endpoint_that_there_is_none_of_is_refused_before_the_work(pipeline):
    created = pipeline.dropped("no-serverless/rows.csv", IRIS)
    without = {**pipeline.environment, "ENDPOINT_KINDS": "async realtime"}
    with function_app("preprocess", without) as app:
        run = app.handler(created, lambda_context())["run"]
    refusal = pipeline.executions()[run]["refusal"]
    assert refusal["code"] == "EndpointKindNotOffered"
    assert "clean/data.csv" not in pipeline.files(run)


def test_what_was_prepared_before_datasets_had_kinds_of_endpoints_is_served_as_the_stack_says(
    pipeline,
):
    run = pipeline.handle("preprocess", pipeline.dropped("no-kind.csv", IRIS, k="1"))["run"]
    settings = json.loads(pipeline.read(run, "clean/settings.json"))
    assert settings.pop("endpoint_kind") == "serverless"
    key, body = f"runs/{run}/clean/settings.json", json.dumps(settings).encode()
    pipeline.s3.put_object(Bucket=pipeline.runs_bucket, Key=key, Body=body)
    pipeline.handle("split", pipeline.manifest_of(run))
    assert "endpoint_kind" not in pipeline.executions()[run]


def test_what_was_prepared_before_an_update_is_refused_and_can_be_uploaded_again(pipeline):
    run = pipeline.handle("preprocess", pipeline.dropped("earlier.csv", IRIS))["run"]
    # As a release before 0.2 wrote it: the rows as integers, and no settings.
    manifest = {
        "run": run,
        "dataset": "earlier",
        "dropped": "2026-11-24T12:00:00Z#0A",
        "feature_dim": 4,
        "parts": [{"data": f"runs/{run}/clean/data.csv", "keys": None, "classes": [50, 50, 50]}],
    }
    key = f"runs/{run}/clean/manifest.json"
    pipeline.s3.put_object(Bucket=pipeline.runs_bucket, Key=key, Body=json.dumps(manifest).encode())
    pipeline.handle("split", pipeline.manifest_of(run))
    refusal = pipeline.executions()[run]["refusal"]
    assert (refusal["code"], refusal["remedy"]) == ("BegunBeforeUpdate", "Upload the file again.")


def test_a_task_that_an_execution_asks_for_which_began_before_an_update_says_so(pipeline):
    for function in ("preprocess", "split"):
        task = {"run": "big-20261124T120000Z-00000000", "task": "open", "dataset": "big"}
        with pytest.raises(BegunBeforeUpdate, match="updated"):
            pipeline.handle(function, task, module="parts")


def refused_run(pipeline: Pipeline, key: str) -> dict[str, Any]:
    """A run that Preprocess refused, and the payload that Report gets of it."""
    run = pipeline.handle("preprocess", pipeline.dropped(key, b"a,b\n1,2\n"))["run"]
    dataset = key.removesuffix(".csv")
    return event("report-refused.json") | {"run": run, "dataset": dataset}


def mails_of(pipeline: Pipeline, run: str) -> list[dict[str, Any]]:
    """The mails about a run, as the embedded AWS keeps them."""
    with urllib.request.urlopen(f"{pipeline.aws.endpoint_url}/_ministack/ses/messages") as answer:
        by_account = json.load(answer)["messages"]
    return [mail for mails in by_account.values() for mail in mails if run in mail["BodyText"]]


def mails_about(pipeline: Pipeline, run: str) -> list[str]:
    """The subjects of the mails about a run."""
    return [mail["Subject"] for mail in mails_of(pipeline, run)]


def test_a_file_that_takes_too_long_is_refused_before_the_function_ends(pipeline):
    created = pipeline.dropped("late/rows.csv", IRIS)
    run = pipeline.handle("preprocess", created, seconds=10)["run"]
    refusal = pipeline.executions()[run]["refusal"]
    assert refusal["code"] == "OutOfTime"
    assert "LargeFileMegabytes" in refusal["remedy"]


def test_rows_that_take_too_long_to_split_are_refused_before_the_function_ends(pipeline):
    run = pipeline.handle("preprocess", pipeline.dropped("later/rows.csv", IRIS))["run"]
    pipeline.handle("split", pipeline.manifest_of(run), seconds=10)
    assert pipeline.executions()[run]["refusal"]["code"] == "OutOfTime"
    assert not any(name.startswith(("train/", "test/")) for name in pipeline.files(run))


def test_a_report_that_is_made_twice_is_mailed_once(pipeline):
    payload = refused_run(pipeline, "reported.csv")
    pipeline.handle("report", payload)
    pipeline.handle("report", payload)
    assert mails_about(pipeline, payload["run"]) == ["reported: refused, no label column"]
    status = pipeline.status(payload["run"])
    assert (status["status"], status["error"]["code"]) == ("Refused", "NoLabel")


def test_without_an_address_the_report_is_written_and_not_mailed(pipeline):
    payload = refused_run(pipeline, "silent.csv")
    quiet = Pipeline(pipeline.aws, pipeline.environment | {"REPORT_ADDRESSES": ""})
    quiet.handle("report", payload)
    assert "silent.csv was refused" in pipeline.read(payload["run"], "report/report.html")
    assert mails_about(pipeline, payload["run"]) == []


def test_a_report_is_mailed_from_the_sender_to_all_addresses_with_the_configuration_set(pipeline):
    payload = refused_run(pipeline, "addressed.csv")
    pipeline.handle("report", payload)
    (mail,) = mails_of(pipeline, payload["run"])
    assert (mail["Source"], mail["To"]) == (ADDRESS, [ADDRESS, "team@example.com"])
    assert mail["ConfigurationSetName"] == "reports"
    assert mail["Headers"] == [{"Name": "X-Run", "Value": payload["run"]}]
    assert mail["Attachments"] == []


def test_pictures_are_sent_for_the_html_to_show(pipeline):
    payload = refused_run(pipeline, "pictures.csv")
    png = b"\x89PNG\r\n\x1a\n\x00\xff"
    run = payload["run"]
    told = Facts(run, "pictures", Status.LIVE, "s3://inbox/k", "s3://runs/", metrics=METRICS)
    drawn = [Picture(name, "what it shows", png, 9) for name in ("confusion_matrix", "unused")]
    with function_app("report", pipeline.environment) as report:
        report.send(run=run, facts=told, pictures=drawn)
    (mail,) = mails_of(pipeline, payload["run"])
    (picture,) = mail["Attachments"]
    assert base64.b64decode(picture.pop("RawContent")) == png
    assert picture == {
        "FileName": "confusion_matrix.png",
        "ContentId": "confusion_matrix",
        "ContentType": "image/png",
        "ContentDisposition": "INLINE",
        "ContentTransferEncoding": "BASE64",
    }


# --- verdicts --------------------------------------------------------------------------------


def telling(pipeline: Pipeline, source: str) -> tuple[Pipeline, str]:
    """Functions that tell verdicts as events of a source, and the URL of a queue of these."""
    sqs, events = pipeline.aws.client("sqs"), pipeline.aws.client("events")
    url = sqs.create_queue(QueueName=source)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=source, Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}])
    return Pipeline(pipeline.aws, pipeline.environment | {"EVENT_SOURCE": source}), url


def test_a_verdict_is_told_once(pipeline):
    payload = refused_run(pipeline, "told.csv")
    stack, url = telling(pipeline, "a-stack")
    stack.handle("report", payload)
    stack.handle("report", payload)
    sqs = pipeline.aws.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    told = json.loads(message["Body"])
    assert told["detail-type"] == "Run Reported"
    assert told["detail"] == {
        "dataset": payload["dataset"],
        "run": payload["run"],
        "status": "Refused",
        "verdict": mails_about(pipeline, payload["run"])[0],
        "report": f"runs/{payload['run']}/report/report.html",
    }


@pytest.mark.parametrize("trouble", ["unreachable", "not taken"])
def test_a_run_is_reported_and_counted_though_eventbridge_does_not_take_its_verdict(
    pipeline, monkeypatch, capsys, trouble
):
    payload = refused_run(pipeline, f"{trouble.replace(' ', '-')}.csv")
    environment = pipeline.environment | {"EVENT_SOURCE": "a-stack"}
    if trouble == "unreachable":
        environment |= {"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:1"}
    failed = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    with function_app("report", environment) as report:
        if trouble == "not taken":
            monkeypatch.setattr(report.events, "put_events", lambda **_: failed)
        assert report.handler(payload, lambda_context())["status"] == "Refused"
    assert len(mails_about(pipeline, payload["run"])) == 1
    assert counted(capsys.readouterr().out)["MailsNotSent"] == [1]


def counted(printed: str) -> dict[str, list[float]]:
    """The metrics in what a function has printed."""
    lines = [json.loads(line) for line in printed.splitlines() if '"_aws"' in line]
    return {
        metric["Name"]: line[metric["Name"]]
        for line in lines
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


def ses() -> Any:
    """The client that the function imported last sends emails with."""
    return importlib.import_module("pipeline.mail").ses


@pytest.mark.parametrize("code", ["MessageRejected", "AccessDeniedException"])
def test_a_run_that_ses_refuses_to_mail_is_recorded_all_the_same(pipeline, monkeypatch, code):
    payload = refused_run(pipeline, "unmailed.csv")

    def refuse(**_: Any) -> None:
        error = {"Code": code, "Message": "Email address is not verified."}
        raise ClientError({"Error": error}, "SendEmail")

    with function_app("report", pipeline.environment) as report:
        monkeypatch.setattr(ses(), "send_email", refuse)
        assert report.handler(payload, lambda_context())["status"] == "Refused"
    assert pipeline.status(payload["run"])["status"] == "Refused"
    assert "unmailed.csv was refused" in pipeline.read(payload["run"], "report/report.html")


def test_a_mail_that_ses_would_take_a_minute_later_is_tried_again(pipeline, monkeypatch):
    payload = refused_run(pipeline, "throttled.csv")

    def throttle(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "SendEmail")

    with function_app("report", pipeline.environment) as report:
        with monkeypatch.context() as patched:
            patched.setattr(ses(), "send_email", throttle)
            with pytest.raises(ClientError):
                report.handler(payload, lambda_context())
        report.handler(payload, lambda_context())
    assert len(mails_about(pipeline, payload["run"])) == 1


def test_a_run_is_reported_and_counted_though_ses_cannot_be_reached(pipeline, capsys):
    payload = refused_run(pipeline, "cut-off.csv")
    nowhere = {"AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:1"}
    cut_off = Pipeline(pipeline.aws, pipeline.environment | nowhere)
    assert cut_off.handle("report", payload)["status"] == "Refused"
    assert pipeline.status(payload["run"])["status"] == "Refused"
    assert "cut-off.csv was refused" in pipeline.read(payload["run"], "report/report.html")
    metrics = counted(capsys.readouterr().out)
    assert (metrics["MailsNotSent"], metrics["RunsRefused"]) == ([1], [1])


def timeout_of(function: str) -> int:
    """The seconds that the template gives a function."""
    template = load_template(str(ROOT / "template.yaml"))
    usual = template["Globals"]["Function"]["Timeout"]
    return int(template["Resources"][function]["Properties"].get("Timeout", usual))


def test_what_says_nothing_is_given_up_before_the_function_ends(pipeline):
    """Neither SES nor, after that, EventBridge."""
    with function_app("report", pipeline.environment) as report:
        configs = [client.meta.config for client in (ses(), report.events)]
    addresses = 8  # a name in the DNS has that many at the most; each is tried
    seconds = sum(
        config.retries["total_max_attempts"]
        * max(addresses * config.connect_timeout, config.connect_timeout + config.read_timeout)
        for config in configs
    )
    assert seconds <= timeout_of("ReportFunction") * 0.8


def test_a_run_that_was_reported_does_not_end_in_another_way_later(pipeline):
    payload = refused_run(pipeline, "interrupted.csv")
    pipeline.handle("report", payload)
    answer = pipeline.handle("report", payload | {"outcome": "Failed"})
    assert answer["status"] == pipeline.status(payload["run"])["status"] == "Refused"
    assert len(mails_about(pipeline, payload["run"])) == 1


def test_a_run_whose_report_failed_is_mailed_later_as_it_had_ended(pipeline, monkeypatch):
    payload = refused_run(pipeline, "unreported.csv")
    monkeypatch.setattr("report.render.sections", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.handle("report", payload)
    monkeypatch.undo()
    assert pipeline.status(payload["run"])["status"] == "Refused"
    assert mails_about(pipeline, payload["run"]) == []
    interrupted = {"code": "Interrupted", "message": "It ended.", "remedy": "Upload it again."}
    pipeline.handle("report", payload | {"outcome": "Failed", "problem": interrupted})
    (subject,) = mails_about(pipeline, payload["run"])
    assert subject.startswith("unreported: refused, ")


def test_a_finished_run_is_not_taken_back_by_an_event_that_comes_late(pipeline):
    payload = refused_run(pipeline, "late.csv")
    pipeline.handle("report", payload)
    with function_app("split", pipeline.environment) as split:
        split.record_status(
            split.registry, split.s3, pipeline.runs_bucket, payload["run"], split.Status.TRAINING
        )
    assert pipeline.status(payload["run"])["status"] == "Refused"


def call(pipeline: Pipeline, name: str, **changes: Any) -> tuple[int, dict[str, Any], dict]:
    answer = pipeline.handle("predict", event(name) | changes)
    return answer["statusCode"], json.loads(answer["body"]), answer["multiValueHeaders"]


def live(pipeline: Pipeline, dataset: str, endpoint: str) -> None:
    """Make a preprocessed run live by hand, with an endpoint that may not be there."""
    run = pipeline.handle("preprocess", pipeline.dropped(f"{dataset}.csv", IRIS))["run"]
    item = {
        "dataset": dataset,
        "sort": "live",
        "run": run,
        "endpoint_name": endpoint,
        "endpoint_kind": "serverless",
        "promoted": "2026-11-24T00:00:00Z",
    }
    pipeline.aws.client("dynamodb").put_item(
        TableName="registry", Item={name: {"S": value} for name, value in item.items()}
    )


def test_a_registry_item_that_is_broken_breaks_one_dataset_only(pipeline):
    live(pipeline, "whole", "an-endpoint")
    key = {"dataset": {"S": "broken"}, "sort": {"S": "live"}}
    pipeline.aws.client("dynamodb").put_item(TableName="registry", Item=key)
    try:
        status, body, _ = call(pipeline, "predict-datasets.json")
    finally:
        pipeline.aws.client("dynamodb").delete_item(TableName="registry", Key=key)
    names = [each["dataset"] for each in body["datasets"]]
    assert (status, "whole" in names, "broken" in names) == (200, True, False)


def test_a_dataset_that_nobody_dropped_is_404(pipeline):
    status, body, _ = call(pipeline, "predict-unknown-dataset.json")
    assert (status, body["error"]["code"]) == (404, "UnknownDataset")


@pytest.mark.parametrize("name", ["Iris", "a_b", "-", "x" * 33, "x" * 3000, "%00", "花"])
def test_what_cannot_name_a_dataset_is_404_without_a_look_into_the_registry(
    pipeline, monkeypatch, name
):
    def look(**_: Any) -> None:
        raise AssertionError

    with function_app("predict", pipeline.environment) as predict:
        monkeypatch.setattr(predict.registry, "get_item", look)
        request = event("predict-json.json") | {
            "path": f"/datasets/{name}/predictions",
            "pathParameters": {"dataset": name},
        }
        answer = predict.handler(request, lambda_context())
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["error"]["code"] == "UnknownDataset"


def test_a_dataset_whose_first_model_is_not_live_yet_is_503_with_retry_after(pipeline):
    pipeline.handle("preprocess", pipeline.dropped("young.csv", IRIS))
    status, body, headers = call(
        pipeline,
        "predict-json.json",
        path="/datasets/young/predictions",
        pathParameters={"dataset": "young"},
    )
    assert (status, body["error"]["code"]) == (503, "NotLiveYet")
    assert headers["Retry-After"]


def test_a_dataset_none_of_whose_files_became_a_model_is_404_with_the_code_and_no_cell(pipeline):
    pipeline.handle("report", refused_run(pipeline, "never.csv"))
    status, body, headers = predictions(pipeline, "never", "predict-json.json")
    assert (status, body["error"]["code"]) == (404, "NeverLive")
    (code,) = re.findall(r"is Refused \((\w+)\)", body["error"]["message"])
    refused = event("report-refused.json")["problem"]
    assert code == refused["code"]
    assert refused["message"] not in body["error"]["message"]
    assert "Retry-After" not in headers


def test_more_than_a_hundred_runs_are_told_in_several_answers(pipeline):
    every = [f"busy-20261130T120000Z-{number:08x}" for number in range(150)]
    with pipeline.registry.batch_writer() as batch:
        for run in every:
            item = {"dataset": "busy", "sort": f"run#{run}", "run": run, "status": "Refused"}
            batch.put_item(Item=item)
    path = "/datasets/busy/runs"
    _, first, _ = call(pipeline, "predict-runs.json", path=path)
    token = {"queryStringParameters": {"next": first["next"]}}
    _, second, _ = call(pipeline, "predict-runs.json", path=path, **token)
    assert "next" not in second
    listed = [run["run"] for run in first["runs"] + second["runs"]]
    assert listed == every[::-1]


SECRET = "secret-cell"


@pytest.mark.parametrize(
    ("dataset", "content", "code"),
    [
        ("single", f"x,class\n1,{SECRET}\n2,b\n3,b\n4,c\n", "SingleRowClass"),
        ("headless", f"{SECRET},b,c\n" + "x,y,z\nx,y,w\nu,v,w\nu,v,z\n" * 5, "AmbiguousLabel"),
        ("titled", f"{SECRET}\n\nx,class\n1,a\n2,b\n", "TitleAboveHeader"),
    ],
)
def test_what_the_api_tells_of_a_refused_file_has_the_code_and_the_advice_and_no_cell(
    pipeline, dataset, content, code
):
    run = pipeline.handle("preprocess", pipeline.dropped(f"{dataset}.csv", content.encode()))["run"]
    refusal = pipeline.executions()[run]["refusal"]
    assert refusal["code"] == code
    assert SECRET in refusal["message"] + refusal["remedy"]
    payload = {"run": run, "dataset": dataset, "problem": refusal}
    pipeline.handle("report", event("report-refused.json") | payload)
    path = f"/datasets/{dataset}"
    for name, of_dataset, advised in (
        ("predict-dataset.json", path, lambda body: body["error"]["message"]),
        ("predict-runs.json", f"{path}/runs", lambda body: body["runs"][0]["error"]["remedy"]),
        ("predict-run.json", f"{path}/runs/{run}", lambda body: body["error"]["remedy"]),
    ):
        _, body, _ = call(pipeline, name, path=of_dataset)
        assert code in json.dumps(body)
        assert SECRET not in json.dumps(body)
        assert refusal["remedy"].partition(". ")[0] in advised(body)


def predictions(pipeline: Pipeline, dataset: str, name: str) -> tuple[int, dict[str, Any], dict]:
    return call(
        pipeline,
        name,
        path=f"/datasets/{dataset}/predictions",
        pathParameters={"dataset": dataset},
    )


def test_a_bad_instance_is_400_and_named(pipeline):
    live(pipeline, "named", "nothing")
    status, body, _ = predictions(pipeline, "named", "predict-bad-instance.json")
    assert status == 400
    assert "Instance 0 has 3 values where the model has 4 features" in body["error"]["message"]


def test_an_endpoint_that_is_not_there_is_503_with_retry_after(pipeline):
    live(pipeline, "absent", "no-such-endpoint")
    status, body, headers = predictions(pipeline, "absent", "predict-json.json")
    assert (status, body["error"]["code"]) == (503, "EndpointMissing")
    assert headers["Retry-After"]


@pytest.mark.parametrize("error", [ReadTimeoutError, ConnectTimeoutError])
def test_an_endpoint_that_does_not_answer_in_time_is_503_with_retry_after(
    pipeline, monkeypatch, error: type[BotoCoreError]
):
    live(pipeline, "slow", "slow")

    def too_slow(**_: Any) -> None:
        raise error(endpoint_url="https://runtime.sagemaker")

    with function_app("predict", pipeline.environment) as predict:
        monkeypatch.setattr(predict.runtime, "invoke_endpoint", too_slow)
        request = event("predict-json.json") | {
            "path": "/datasets/slow/predictions",
            "pathParameters": {"dataset": "slow"},
        }
        answer = predict.handler(request, lambda_context())
    assert answer["statusCode"] == 503
    assert answer["multiValueHeaders"]["Retry-After"]


def test_whatever_predict_asks_answers_or_is_given_up_before_api_gateway_gives_up(pipeline):
    with function_app("predict", pipeline.environment) as predict:
        clients = (predict.s3, predict.registry.meta.client, predict.runtime)
        configs = [client.meta.config for client in clients]
    for config in configs:
        attempt = config.connect_timeout + config.read_timeout
        assert config.retries["total_max_attempts"] * attempt < 29 < timeout_of("PredictFunction")


def ask_about_ticket(
    pipeline: Pipeline, dataset: str, folder: str = "async/{run}", **fields: int
) -> tuple[int, dict[str, Any]]:
    """Ask for a prediction that there is no answer to yet, by a ticket with these fields."""
    run = pipeline.handle("preprocess", pipeline.dropped(f"{dataset}.csv", IRIS))["run"]
    nowhere = f"s3://{pipeline.runs_bucket}/async/{run}"
    ticket = {**fields, "output": f"{nowhere}/output/x", "failure": f"{nowhere}/failure/x"}
    number = "0" * 32
    pipeline.s3.put_object(
        Bucket=pipeline.runs_bucket,
        Key=f"{folder.format(run=run)}/ticket/{number}.json",
        Body=json.dumps(ticket).encode(),
    )
    status, body, _ = call(
        pipeline,
        "predict-later.json",
        path=f"/datasets/{dataset}/predictions/{run}.{number}",
        pathParameters={"dataset": dataset, "id": f"{run}.{number}"},
    )
    return status, body


def test_a_prediction_that_was_not_made_in_time_is_410(pipeline):
    status, body = ask_about_ticket(pipeline, "expired", asked=0)
    assert (status, body["error"]["code"]) == (410, "PredictionExpired")


def test_a_prediction_asked_before_tickets_had_a_time_is_still_waited_for(pipeline):
    status, body = ask_about_ticket(pipeline, "older", "runs/{run}/async")
    assert (status, body["status"]) == (202, "Pending")
