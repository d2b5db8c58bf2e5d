"""What the commands do that deploy a model again, and those that pin."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.redeploy import pin, pins, previous_run, redeploy, restorable_run, unpin
from cli.settings import Local
from cli.stack import Stack
from pipeline.registry import LIVE, PIN, Status, live_run, record_status, run_sort
from tests.integration.pipeline import Pipeline
from tests.local_environment import local_environment

ROWS = b"x,y,label\n" + b"".join(
    b"%d.5,%d,%s\n" % (n, n % 7, b"ab"[n % 2 :][:1]) for n in range(60)
)


@pytest.fixture
def stack(pipeline: Pipeline, tmp_path: Path) -> Iterator[Stack]:
    """What the command line talks to."""
    port = int(pipeline.aws.endpoint_url.rpartition(":")[2])
    arn = pipeline.environment["STATE_MACHINE_ARN"]
    with local_environment(Local(tmp_path, port)):
        yield Stack("inbox", pipeline.runs_bucket, arn, pipeline.registry.name, "", "", "")


def ended(pipeline: Pipeline, dataset: str, status: Status, sequencer: str = "0A") -> str:
    """A run whose model was trained and validated, and that has ended."""
    asked = {"k": "3", "standardisation": "none", "weights": "uniform", "metric": "L2"}
    key = f"{dataset}/rows.csv"
    created = pipeline.dropped(
        key, ROWS, sequencer=sequencer, **asked, **{"endpoint-kind": "async"}
    )
    run = str(pipeline.handle("preprocess", created)["run"])
    pipeline.handle("split", pipeline.manifest_of(run))
    for name in (f"model/{run}/output/model.tar.gz", "validation/metrics.json"):
        body = f"{name} of {run}".encode()
        pipeline.s3.put_object(Bucket=pipeline.runs_bucket, Key=f"runs/{run}/{name}", Body=body)
    record_status(pipeline.registry, pipeline.s3, pipeline.runs_bucket, run, status)
    return run


def item_of(pipeline: Pipeline, run: str) -> dict[str, Any]:
    key = {"dataset": run.rsplit("-", 2)[0], "sort": run_sort(run)}
    return dict(pipeline.registry.get_item(Key=key)["Item"])


def make_live(pipeline: Pipeline, run: str) -> None:
    dataset = run.rsplit("-", 2)[0]
    pipeline.registry.put_item(Item={"dataset": dataset, "sort": LIVE, "run": run})


def test_a_run_that_restores_another_has_its_model_and_all_that_validating_and_serving_take(
    pipeline, stack
):
    old = ended(pipeline, "restoring", Status.RETIRED)
    new = redeploy(stack, item_of(pipeline, old), pins=True)
    assert pipeline.read(new, f"model/{new}/output/model.tar.gz") == (
        f"model/{old}/output/model.tar.gz of {old}"
    )
    copied = set(pipeline.files(new)) - {"status.json", f"model/{new}/output/model.tar.gz"}
    assert copied == {
        *("clean/schema.json", "clean/settings.json", "clean/sample.json", "clean/profile.json"),
        *("transform.json", "choice.json", "split.json", "test/test.pbr"),
        *("validation/held_out.csv", "validation/training_sample.json"),
        *("fingerprints/train.u64", "fingerprints/held_out.u64"),
    }
    for name in copied:
        assert pipeline.read_bytes(new, name) == pipeline.read_bytes(old, name)
    started = pipeline.executions()[new]
    assert started == {
        "run": new,
        "dataset": "restoring",
        "dropped": started["dropped"],
        "restores": old,
        "endpoint_kind": "async",
        "pins": True,
    }
    item, before = item_of(pipeline, new), item_of(pipeline, old)
    assert (item["status"], item["restores"], item["pins"]) == ("Training", old, True)
    assert (item["source"], item["dropped"]) == (before["source"], started["dropped"])
    assert item["dropped"] > before["dropped"]


def test_the_model_of_a_run_that_was_trained_again_is_that_of_the_last_job(pipeline, stack):
    old = ended(pipeline, "trained-again", Status.RETIRED)
    key = f"runs/{old}/model/{old}-2/output/model.tar.gz"
    pipeline.s3.put_object(Bucket=pipeline.runs_bucket, Key=key, Body=b"of the second job")
    new = redeploy(stack, item_of(pipeline, old), pins=True)
    assert pipeline.read(new, f"model/{new}/output/model.tar.gz") == "of the second job"


@pytest.mark.parametrize("name", ["model/{}/output/model.tar.gz", "choice.json"])
def test_what_can_not_be_deployed_as_it_was_can_be_trained_again(pipeline, stack, name):
    old = ended(pipeline, f"lacking-{len(name)}", Status.RETIRED)
    key = f"runs/{old}/{name.format(old)}"
    pipeline.s3.delete_object(Bucket=pipeline.runs_bucket, Key=key)
    with pytest.raises(Problem, match=f"retrain {old}"):
        redeploy(stack, item_of(pipeline, old), pins=True)


def test_what_can_not_be_started_leaves_no_run(pipeline, stack):
    old = ended(pipeline, "not-started", Status.RETIRED)
    without = replace(stack, state_machine_arn=f"{stack.state_machine_arn}-gone")
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        redeploy(without, item_of(pipeline, old), pins=True)
    found = pipeline.registry.scan()["Items"]
    assert [item["run"] for item in found if item.get("restores") == old] == []


@pytest.mark.parametrize("status", Status)
def test_only_a_model_that_passed_all_gates_can_be_deployed_again(pipeline, stack, status):
    run = "by-status-20261124T043410Z-34b44baf"
    item = {"dataset": "by-status", "sort": run_sort(run), "run": run, "status": str(status)}
    pipeline.registry.put_item(Item=item)
    # A live one was replaced, if another is live: its own report could not be made.
    if status in (Status.LIVE, Status.RETIRED, Status.SUPERSEDED, Status.HELD):
        assert restorable_run(stack, run)["run"] == run
    else:
        with pytest.raises(Problem, match=f"{run} is {status}"):
            restorable_run(stack, run)


def test_what_names_no_run_is_refused(stack):
    with pytest.raises(Problem, match="iris is not the name of a run"):
        restorable_run(stack, "iris")


def test_there_is_nothing_to_go_back_to_from_a_first_model(pipeline, stack):
    with pytest.raises(Problem, match="has no live model"):
        previous_run(stack, "first-model")
    run = ended(pipeline, "first-model", Status.LIVE)
    make_live(pipeline, run)
    with pytest.raises(Problem, match=f"{run} is the first live run"):
        previous_run(stack, "first-model")


def test_a_pin_is_listed_until_it_is_taken_away_which_names_what_was_held(pipeline, stack):
    with pytest.raises(Problem, match="has no live model"):
        pin(stack, "pinning")
    live = ended(pipeline, "pinning", Status.LIVE)
    ended(pipeline, "pinning", Status.HELD, sequencer="0B")
    make_live(pipeline, live)
    made = pin(stack, "pinning")
    assert (made.dataset, made.run) == ("pinning", live)
    assert list(pins(stack, "pinning")) == [made]
    assert list(pins(stack, "another")) == []
    # A pin is no pointer.
    assert live_run(pipeline.registry, "pinning") == live
    pipeline.registry.update_item(
        Key={"dataset": "pinning", "sort": PIN},
        UpdateExpression="SET since = :since",
        ExpressionAttributeValues={":since": "2026-01-01T00:00:00Z"},
    )
    held = ended(pipeline, "pinning", Status.HELD, sequencer="0C")
    assert unpin(stack, "pinning")[-1] == held
    assert list(pins(stack, "pinning")) == []
    with pytest.raises(Problem, match="is not pinned"):
        unpin(stack, "pinning")
