"""Each hostile file has the outcome that the table says."""

import json
import subprocess
import sys

import pytest

from pipeline.errors import Refusal
from preprocess.settings import resolve_settings
from tests.function_app import ROOT
from tests.hostile_files import HOSTILE, HostileFile, Refused
from tests.unit.functions.preprocessing import prepared

BOMB = """
import sys
sys.path[:0] = [".", "layers/pipeline", "layers/numeric", "functions"]
from pipeline.settings import Settings
from preprocess.opening import open_table
from preprocess.survey import Survey
from tabular.blocks import read_blocks
from tabular.errors import TableError
from tabular.text import Text
from tests.hostile_files import bomb

opened = open_table(Text([bomb()], named_gzip=True, encoding=None), Settings(), None, "s3://inbox/x")
survey = Survey(opened.table, opened.settings)
try:
    for block in read_blocks(opened.chunks, delimiter=",", width=3):
        survey.add(block, print)
except TableError as error:
    # Not getrusage's, which remembers the process that this one was forked from.
    print(error.code, next(l.split()[1] for l in open("/proc/self/status") if "VmHWM" in l))
"""


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_a_hostile_file_has_the_outcome_that_is_expected_of_it(file: HostileFile) -> None:
    settings = resolve_settings({}, json.dumps(file.schema).encode()).settings
    try:
        result = prepared(file.data, settings, gzip=file.key.endswith(".gz"))
    except Refusal as refusal:
        outcome = file.outcome
        assert isinstance(outcome, Refused), refusal.message
        assert (refusal.code, outcome.says in refusal.message) == (outcome.code, True), (
            refusal.message
        )
        assert refusal.remedy
        return
    assert not isinstance(file.outcome, Refused)
    assert result.survey.profile.kept == file.outcome.kept
    assert tuple(reject.line for reject in result.rejects) == file.outcome.rejected_lines
    if file.outcome.classes:
        assert set(result.classes.counts) == set(file.outcome.classes)


def test_there_are_at_least_60_and_no_two_have_the_same_name() -> None:
    names = {file.name for file in HOSTILE}
    assert len(names) == len(HOSTILE) >= 60


def test_a_bomb_does_not_fill_the_memory() -> None:
    measured = subprocess.run(
        [sys.executable, "-c", BOMB], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, size = measured.stdout.split()
    assert (code, int(size) < 300 * 1024) == ("GzipBomb", True), "kilobytes, at the most"
