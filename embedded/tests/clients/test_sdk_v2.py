"""The SageMaker SDK before version 3, unchanged, against the embedded AWS."""

from typing import Any

import pytest

SETOSA = {"predictions": [{"predicted_label": 0.0}]}


@pytest.fixture(scope="module")
def found(results_of) -> dict[str, Any]:
    return results_of("sdk_v2.json")


def test_fit_streams_the_job_log_with_its_scores(found):
    assert "('accuracy', 0.9736842105263158)" in found["log"]
    assert "('macro_f_1.000', 0.97170347)" in found["log"]
    assert "Billable seconds" in found["log"]


def test_the_metrics_of_the_job_are_those_of_its_log(found):
    assert found["metrics"]["test:accuracy"] == pytest.approx(0.9736842, abs=1e-6)
    assert found["artefact"].endswith("/output/model.tar.gz")


@pytest.mark.parametrize("way", ["csv list", "csv text", "json", "serverless", "async"])
def test_a_deployed_estimator_predicts(found, way):
    assert found["answers"][way] == SETOSA


def test_each_serializer_of_the_introduction_works(found):
    answers = found["answers"]
    assert [p["predicted_label"] for p in answers["csv array"]["predictions"]] == [0.0, 2.0, 1.0]
    assert answers["json lines"] == [{"predicted_label": 0.0}] * 2
    assert answers["bytes"] == '{"predictions": [{"predicted_label": 0.0}]}'
    assert answers["verbose"]["predictions"][0]["labels"] == [0.0]


def test_numpy_is_refused_as_the_algorithm_does(found):
    assert "ModelError" in found["numpy"]
    assert "415" in found["numpy"]


def test_an_asynchronous_answer_is_where_the_endpoint_said(found):
    assert "/async/output/" in found["async output"]


def test_amazons_own_estimator_trains_and_predicts_with_recordio_protobuf(found):
    records = found["records"]
    right = sum(p == y for p, y in zip(records["predicted"], records["labels"], strict=True))
    assert right >= 18


def test_a_tuner_finds_its_best_job(found):
    assert len(found["tuned"]) == 3
    assert found["best"]


def test_a_transformer_writes_a_prediction_a_line(found):
    assert found["transformed"] == ['{"predicted_label": 0.0}', '{"predicted_label": 2.0}']


def test_what_was_made_before_is_attached_by_its_name(found):
    attached = found["attached"]
    assert attached["tuner"] == [3, "Random", "Off"]
    assert attached["ranges"]["IntegerParameterRanges"] == [
        {"Name": "k", "MinValue": "1", "MaxValue": "60", "ScalingType": "Auto"}
    ]
    assert attached["type"] == "ml.m5.large"
    assert attached["best"] == found["best"]
    assert attached["estimator"][:3] == ["ml.m5.large", 1, 30]
    assert attached["estimator"][3].endswith(f"/{found['best']}/output/model.tar.gz")
    kind, path, assembled, strategy = attached["transformer"]
    assert (kind, assembled, strategy) == ("ml.m5.large", "Line", "MultiRecord")
    assert path.endswith("/transformed")
    assert attached["definitions"] == ["large", "small"]
