import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.layout import (
    MANIFEST,
    RUN,
    RunFolder,
    Source,
    dataset_of,
    dataset_of_run,
    is_dataset,
    is_intermediate,
    run_id,
    slug,
)
from pipeline.redeployment import COPIED, NEEDED

# Source: SageMaker API reference, CreateTrainingJob, TrainingJobName.
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def source(key: str = "iris.csv", **fields) -> Source:
    return Source(
        **({"bucket": "b", "key": key, "version": "v", "sequencer": "0A", "time": NOON} | fields)
    )


@pytest.mark.parametrize(
    ("key", "dataset"),
    [
        ("iris.csv", "iris"),
        ("iris.csv.gz", "iris"),
        ("IRIS.CSV", "IRIS"),
        ("iris/2026-11.csv", "iris"),
        ("iris/2026/11/24.csv", "iris"),
        ("my data%2B.csv", "my data%2B"),
        ("花.csv", "花"),
        ("/rows.csv", ""),
        (".csv", ""),
    ],
)
def test_the_dataset_is_the_first_folder_or_the_stem(key, dataset):
    assert dataset_of(key) == dataset


@pytest.mark.parametrize("name", ["iris", "a", "0", "a-b", "x" * 32])
def test_short_lower_case_names_can_name_a_dataset(name):
    assert is_dataset(name)


@pytest.mark.parametrize("name", ["", "Iris", "a b", "-a", "a-", "x" * 33, "a_b", "花", "a\n"])
def test_other_names_cannot(name):
    assert not is_dataset(name)


@given(st.text())
def test_every_name_has_a_nearest_one_that_can(name):
    assert is_dataset(slug(name))


@given(st.text(min_size=1), st.datetimes(min_value=datetime(2020, 1, 1)))
def test_a_run_id_names_whatever_sagemaker_has_names_for(key, time):
    run = run_id(source(key, time=time.replace(tzinfo=UTC)))
    assert SAGEMAKER_NAME.fullmatch(run)
    assert RUN.fullmatch(run)
    assert dataset_of_run(run) == slug(dataset_of(key))


def test_the_same_event_gives_the_same_run():
    assert run_id(source()) == run_id(source())
    assert run_id(source()).startswith("iris-20261124T120000Z-")


@pytest.mark.parametrize(
    "other", [{"version": "w"}, {"bucket": "c"}, {"sequencer": "0B"}, {"key": "iris/x.csv"}]
)
def test_another_object_or_version_gives_another_run(other):
    assert run_id(source(**other)) != run_id(source())


def test_times_of_other_zones_are_told_in_utc():
    later = NOON.astimezone(timezone(timedelta(hours=5)))
    assert run_id(source(time=later)) == run_id(source())


def test_files_are_ordered_by_time_and_then_by_sequencer_padded_on_the_right():
    first = source(sequencer="0A")
    second = source(sequencer="0a1")
    third = source(sequencer="0B")
    fourth = source(sequencer="00", time=NOON + timedelta(seconds=1))
    assert first.dropped < second.dropped < third.dropped < fourth.dropped


def test_what_is_no_run_id_has_no_dataset():
    with pytest.raises(ValueError, match="not a run id"):
        dataset_of_run("../iris-20261124T120000Z-00000000")


def test_a_runs_files_are_in_its_folder():
    assert RunFolder("r") / "status.json" == "runs/r/status.json"


@pytest.mark.parametrize("name", ["clean/data.csv", "clean/data-00001.csv", "train/train.pbr"])
def test_rows_that_only_the_run_itself_takes_are_intermediate(name):
    folder = RunFolder("iris-20261130T120000Z-00000000")
    assert is_intermediate(folder / name)
    assert not is_intermediate(folder / name.replace("/", "-"))
    assert not is_intermediate(name)


@pytest.mark.parametrize("name", [*NEEDED, *COPIED, MANIFEST, "model/run/output/model.tar.gz"])
def test_nothing_is_intermediate_that_a_model_is_deployed_again_with(name):
    assert not is_intermediate(RunFolder("iris-20261130T120000Z-00000000") / name)
