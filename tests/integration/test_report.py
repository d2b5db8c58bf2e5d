"""What a report says of the model that was live before."""

from typing import Any

import pytest

from tests.integration.pipeline import Pipeline, event

LIVE = "The previous model is still live."


def refused(pipeline: Pipeline, dataset: str) -> dict[str, Any]:
    """What Report gets of a file without a label."""
    created = pipeline.dropped(f"{dataset}/rows.csv", b"a,b\n1,2\n")
    run = pipeline.handle("preprocess", created)["run"]
    return event("report-refused.json") | {"run": run, "dataset": dataset}


def reported(pipeline: Pipeline, payload: dict[str, Any]) -> str:
    pipeline.handle("report", payload)
    return pipeline.read(payload["run"], "report/report.html")


@pytest.mark.parametrize("outcome", ["Refused", "Failed"])
def test_the_previous_model_is_said_to_be_live_only_if_it_is(pipeline, outcome):
    dataset = f"previous-{outcome.lower()}"
    first, second = (refused(pipeline, dataset) | {"outcome": outcome} for _ in range(2))
    assert LIVE not in reported(pipeline, first)
    pipeline.registry.put_item(
        Item={"dataset": dataset, "sort": "live", "run": f"{dataset}-20261124T000000Z-00000000"}
    )
    assert LIVE in reported(pipeline, second)


def test_a_run_that_is_live_itself_is_not_taken_for_the_previous_one(pipeline):
    payload = refused(pipeline, "itself") | {"outcome": "Failed"}
    pipeline.registry.put_item(Item={"dataset": "itself", "sort": "live", "run": payload["run"]})
    assert LIVE not in reported(pipeline, payload)
