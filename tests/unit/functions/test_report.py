import json

import pytest

from explain import explain
from message import Facts, html, subject, text
from pipeline.registry import Status

METRICS = {
    "rows": 3,
    "accuracy": 2 / 3,
    "macro_f1": 0.4,
    "classes": ["a", "<script>"],
    "confusion_matrix": [[2, 0], [1, 0]],
    "per_class": {
        "a": {"precision": 2 / 3, "recall": 1.0, "f_score": 0.8, "support": 2},
        "<script>": {"precision": 0.0, "recall": 0.0, "f_score": 0.0, "support": 1},
    },
    "notes": ['"<script>" was never predicted: its precision is given as 0.'],
}
REFUSAL = {"code": "NoLabel", "message": "No label in <b>a</b>.", "remedy": "Name it."}


def facts(status: Status, **fields) -> Facts:
    return Facts("iris-1", "iris", status, "s3://inbox/iris.csv", "s3://runs/iris-1/", **fields)


def test_the_subject_of_a_live_model_tells_its_accuracy():
    live = facts(Status.LIVE, metrics=METRICS)
    assert subject(live) == "iris: the new model is live, accuracy 66.67%"


def test_the_subject_of_a_refusal_names_the_file():
    refused = facts(Status.REFUSED, problem=REFUSAL)
    assert subject(refused) == "iris: iris.csv was refused"


def test_text_and_html_carry_the_same_numbers():
    live = facts(Status.LIVE, metrics=METRICS, training_accuracy=0.5)
    for part in (text(live), html(live)):
        for number in ("0.6667", "0.4000", "0.8000", "0.5000"):
            assert number in part


def test_what_comes_from_the_file_is_escaped_in_html():
    page = html(facts(Status.LIVE, metrics=METRICS))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in html(facts(Status.REFUSED, problem=REFUSAL))


@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED, Status.SUPERSEDED])
def test_whatever_came_to_nothing_says_why_what_to_do_and_that_the_old_model_answers(status):
    for part in (text(facts(status, problem=REFUSAL)), html(facts(status, problem=REFUSAL))):
        assert "No label in" in part
        assert "Name it." in part
        assert "goes on answering" in part


def test_rows_set_aside_are_told_with_the_place_of_their_reasons():
    profile = {"rows": {"read": 10, "kept": 8, "rejected": 2}}
    part = text(facts(Status.LIVE, metrics=METRICS, profile=profile))
    assert "10 read, 8 kept, 2 set aside (clean/rejects.csv says why)" in part


def test_a_failed_training_job_is_explained_by_its_own_reason():
    cause = json.dumps({"TrainingJobStatus": "Failed", "FailureReason": "ClientError: no rows"})
    problem = explain("States.TaskFailed", cause)
    assert problem["message"] == "ClientError: no rows"
    assert "/aws/sagemaker/TrainingJobs" in problem["remedy"]


def test_a_failed_function_is_explained_by_its_exception():
    cause = json.dumps({"errorType": "NoAnswerInTime", "errorMessage": "no answer at s3://x"})
    problem = explain("NoAnswerInTime", cause)
    assert problem["code"] == "NoAnswerInTime"
    assert problem["message"] == "NoAnswerInTime: no answer at s3://x"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("States.Timeout", ""),
        ("SageMaker.ResourceLimitExceededException", "The limit is 0 instances"),
        ("SageMaker.AmazonSageMakerException", "plain text"),
        ("Odd", "[1, 2]"),
        ("Odd", ""),
    ],
)
def test_any_error_gets_a_message_and_a_remedy(error, cause):
    problem = explain(error, cause)
    assert problem["message"]
    assert problem["remedy"]
