"""Each hostile file has the outcome that the table says."""

import subprocess
import sys

import pytest

from tests.function_app import ROOT
from tests.hostile_files import HOSTILE, HostileFile, Refused
from tests.unit.functions.preprocessing import prepared, refusal_of

BOMB = """
import sys
sys.path[:0] = [".", "layers/pipeline", "functions/preprocess"]
from classes import Classes
from dataset_schema import DatasetSchema
from pipeline.errors import Refusal
from prepare import open_table, survey_table
from tests.hostile_files import bomb
from text_stream import TextStream

data, schema = bomb(), DatasetSchema()
table = open_table(TextStream([data], named_gzip=True, encoding=None), schema).table
try:
    survey_table(
        table, schema, Classes(), size=len(data), set_aside=print, write=lambda rows: None
    )
except Refusal:
    # Not getrusage's, which remembers the process that this one was forked from.
    print(next(line.split()[1] for line in open("/proc/self/status") if "VmHWM" in line))
"""


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_a_hostile_file_has_the_outcome_that_is_expected_of_it(file: HostileFile) -> None:
    options = {"schema": file.dataset_schema, "gzip": file.key.endswith(".gz")}
    if isinstance(file.outcome, Refused):
        refusal = refusal_of(file.data, **options)
        assert (refusal.code, file.outcome.says in refusal.message) == (file.outcome.code, True), (
            refusal.message
        )
        assert refusal.remedy
        return
    result = prepared(file.data, **options)
    assert result.profile.kept == file.outcome.kept
    assert tuple(reject.line for reject in result.rejects) == file.outcome.rejected_lines
    if file.outcome.classes:
        assert result.schema.classes == file.outcome.classes


def test_there_are_at_least_60_and_no_two_have_the_same_name() -> None:
    names = {file.name for file in HOSTILE}
    assert len(names) == len(HOSTILE) >= 60


def test_a_bomb_does_not_fill_the_memory() -> None:
    measured = subprocess.run(
        [sys.executable, "-c", BOMB], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(measured.stdout) < 300 * 1024, "kilobytes of memory, at the most"
