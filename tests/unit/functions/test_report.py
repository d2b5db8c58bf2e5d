"""The email and the page: the same facts, with what to do on lines that can be pasted."""

import json
import re
import shlex
from copy import deepcopy
from html import unescape
from typing import Any

import pytest

from pipeline.registry import Status
from report.explain import explain
from report.message import MANY_CLASSES, MANY_ROWS, Facts, html, subject, text

METRICS: dict[str, Any] = {
    "rows": 3,
    "accuracy": 2 / 3,
    "balanced_accuracy": 0.5,
    "macro_f1": 0.4,
    "kappa": 0.1,
    "log_loss": 0.7,
    "brier": 0.3,
    "baseline": {"class": "a", "accuracy": 0.61, "macro_f1": 0.3, "p_value": 0.4},
    "classes": ["a", "<script>"],
    "confusion_matrix": [[2, 0], [1, 0]],
    "per_class": {
        "a": {"precision": 2 / 3, "recall": 1.0, "f_score": 0.8, "support": 2},
        "<script>": {"precision": 0.0, "recall": 0.0, "f_score": 0.0, "support": 1},
    },
    "notes": ['"<script>" was never predicted: its precision is given as 0.'],
}
REFUSAL = {"code": "NoLabel", "message": "No label in <b>a</b>.", "remedy": "Name it."}


def facts(status: Status, **fields: Any) -> Facts:
    return Facts("iris-1", "iris", status, "s3://inbox/iris.csv", "s3://runs/iris-1/", **fields)


def both(told: Facts) -> tuple[str, str]:
    """The text, and what the page shows."""
    return text(told), unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "\n", html(told), flags=re.S))


def test_the_subject_of_a_live_model_tells_its_accuracy():
    live = facts(Status.LIVE, metrics=METRICS)
    assert subject(live) == "iris: the new model is live, accuracy 66.67%"


def test_the_subject_of_a_refusal_names_the_file():
    refused = facts(Status.REFUSED, problem=REFUSAL)
    assert subject(refused) == "iris: iris.csv was refused"


def test_a_subject_has_one_line_whatever_the_file_is_called():
    odd = Facts("r", "d", Status.REFUSED, "s3://inbox/a\r\nBcc: x\n.csv", "s3://runs/", problem={})
    assert subject(odd).isprintable()
    assert len(subject(Facts("r", "d" * 300, Status.REFUSED, "s3://i/k", "s3://r/"))) <= 200


def test_text_and_html_carry_the_same_numbers_and_the_baseline_beside_the_accuracy():
    live = facts(Status.LIVE, metrics=METRICS, training_accuracy=0.55)
    for part in both(live):
        for number in ("0.6667", "0.5000", "0.4000", "0.7000", "0.3000", "0.8000", "0.5500"):
            assert number in part
        assert 'Accuracy of always predicting "a"' in part
        assert part.index("0.6667") < part.index("0.6100") < part.index("Macro F1")


def test_what_comes_from_the_file_is_escaped_in_html():
    tables = (("<i>", [["<u>"], ["<td>"]]),)
    page = html(facts(Status.LIVE, metrics=METRICS, notes=('<b>"x"</b>',), tables=tables))
    refusal = html(facts(Status.REFUSED, problem=REFUSAL | {"remedy": "\n    drop <b>"}))
    for each in ("<script>", "<i>", "<u>", "<td><td>", "<b>"):
        assert each not in page + refusal
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED, Status.SUPERSEDED])
def test_whatever_came_to_nothing_says_why_and_what_to_do(status):
    for part in both(facts(status, problem=REFUSAL)):
        assert "No label in <b>a</b>." in part
        assert "Name it." in part


def test_that_the_previous_model_is_live_is_said_only_where_there_is_one():
    for part in both(facts(Status.REFUSED, problem=REFUSAL)):
        assert "live" not in part
    for part in both(facts(Status.REFUSED, problem=REFUSAL, previous_is_live=True)):
        assert "The previous model is still live." in part


def test_commands_stand_on_lines_of_their_own_so_that_they_can_be_pasted():
    drop = "python -m cli drop 'my rows.csv' --label '<b> & \"c\"'"
    copy = "aws s3 cp 'my rows.csv' s3://inbox/rows.csv --metadata label=%3Cb%3E"
    remedy = f"Say which it is, with either of:\n    {drop}\n    {copy}"
    refused = facts(Status.REFUSED, problem=REFUSAL | {"remedy": remedy})
    lines = text(refused).splitlines()
    assert {f"    {drop}", f"    {copy}"} <= set(lines)
    shown = [unescape(line) for line in re.findall("<pre>(.*?)</pre>", html(refused))]
    assert shown == [drop, copy]
    assert shlex.split(shown[0])[-1] == '<b> & "c"'


def test_rows_set_aside_are_told_with_the_place_of_their_reasons():
    profile = {"rows": {"read": 10_000, "kept": 9_998, "rejected": 2}}
    for part in both(facts(Status.LIVE, metrics=METRICS, profile=profile)):
        assert "10,000 read, 9,998 kept, 2 set aside (clean/rejects.csv says why)" in part


def test_notes_and_tables_are_in_both_parts():
    tables = (("Columns", [["column", "role"], ["age", "number"]]),)
    told = facts(Status.LIVE, notes=("Missing values are imputed.",), tables=tables)
    for part in both(told):
        for each in ("Missing values are imputed.", "Columns", "column", "age", "number"):
            assert each in part


def test_of_many_columns_the_first_are_shown():
    rows = [[f"c{place}", "number"] for place in range(500)]
    told = text(facts(Status.LIVE, tables=(("Columns", [["column", "role"], *rows]),)))
    assert f"c{MANY_ROWS - 1} " in told
    assert f"c{MANY_ROWS} " not in told
    assert f"{500 - MANY_ROWS} more in clean/schema.json" in told


def test_of_many_classes_the_worst_are_shown():
    classes = [f"class {n:03}" for n in range(300)]
    metrics = deepcopy(METRICS) | {
        "classes": classes,
        "confusion_matrix": [[int(i == j) for j in range(300)] for i in range(300)],
        "per_class": {
            name: {"precision": 1, "recall": 1, "f_score": 1 - n / 300, "support": 3}
            for n, name in enumerate(classes)
        },
        "notes": [f"note {n}" for n in range(100)],
    }
    metrics["confusion_matrix"][0][1] = 7
    told = text(facts(Status.LIVE, metrics=metrics))
    assert f"the {MANY_CLASSES} of 300 with the lowest F-score" in told
    assert "class 299" in told
    assert "class 100" not in told
    assert "class 000  class 001  7" in " ".join(told.split("\n"))
    assert "And 80 more such notes." in told
    assert len(told) < 10_000


def test_metrics_of_an_earlier_release_are_told_as_far_as_they_go():
    earlier = {"rows", "accuracy", "macro_f1", "classes", "confusion_matrix", "per_class", "notes"}
    metrics = {name: METRICS[name] for name in earlier}
    for part in both(facts(Status.LIVE, metrics=metrics)):
        assert "0.6667" in part
        assert "always predicting" not in part


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
