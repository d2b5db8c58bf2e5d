"""docs/datasets.md lists the names and settings that the code goes by."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.schema import Role
from pipeline.settings import Settings
from preprocess.finish import TOTALS
from preprocess.roles import ID_ENDINGS, ID_NAMES, ID_WORDS, LABEL_NAMES, THINGS
from tabular.numbers import MISSING

PAGE = " ".join((Path(__file__).parents[3] / "docs/datasets.md").read_text().split())


def between(start: str, end: str) -> str:
    return PAGE[PAGE.index(start) : PAGE.index(end, PAGE.index(start))].lower()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            {name.replace("_", " ") for name in LABEL_NAMES},
            between("3. a column with one of", "4. "),
        ),
        (
            ID_WORDS - {f"{thing}id" for thing in THINGS},
            between("- a name with one of", "- a name that"),
        ),
        (ID_NAMES, between("the whole name", "- a name that")),
        (set(ID_ENDINGS), between("- a name that ends in", "- whole numbers")),
        (THINGS, between("named after a thing", "- text of")),
        (TOTALS, between("the only one named", "If there is a title")),
        (MISSING - {""}, between("## Missing values", "In a column of numbers")),
    ],
    ids=["labels", "words", "whole names", "endings", "things", "totals", "missing"],
)
def test_each_name_that_means_something_is_listed(names, text):
    assert {
        name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    } == set()


def test_each_role_has_its_rule():
    assert all(f"| `{role}` |" in PAGE for role in Role if role is not Role.LABEL)


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda each: each.name)
def test_each_setting_is_listed_with_its_default(setting):
    row = re.search(
        rf"\| [^|]*`{setting.name}`(?:, `\w+`)* \|((?:\\\||[^|])*)\|((?:\\\||[^|])*)\|", PAGE
    )
    assert row, setting.name
    told = row[2].strip().strip("`")
    if isinstance(setting.default, bool):
        assert told == str(setting.default).lower()
    elif isinstance(setting.default, int | float):
        assert float(told) == setting.default
    elif setting.default:
        assert told == setting.default
