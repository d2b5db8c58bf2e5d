"""What is shown in a terminal of 80 columns, and when it is piped."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.__main__ import remedy_here
from cli.render import MAX_COLUMNS, columns_table, metrics_table
from cli.settings import Local, this_command
from pipeline.schema import Column, Role, Schema

LONG = "Ort und Straße der Niederlassung, bei mehreren die erste nach dem Alphabet, ohne Postfach"
COLUMNS = (
    Column("", Role.IDENTIFIER, "counts the rows"),
    Column(LONG, Role.CATEGORY, "has 12 frequent values, and 1,034 rare ones that count as one"),
    Column("[bold]顧客区分[/bold]", Role.TEXT, 'has the value "x" in every row, which is no use'),
    Column("species", Role.LABEL, "is called as labels are"),
)
METRICS: dict[str, Any] = {
    "accuracy": 0.91234,
    "macro_f1": 0.8,
    "rows": 1234,
    "baseline": {"class": "a", "accuracy": 0.51},
    "classes": ["a", "b"],
    "confusion_matrix": [[5, 1], [0, 6]],
}


def schema(columns: tuple[Column, ...]) -> Schema:
    return Schema("species", (), (), columns=columns)


@pytest.fixture(params=[True, False], ids=["in a terminal", "piped"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(file=io.StringIO(), force_terminal=request.param, width=80, markup=False)


def shown(console: Console, what: Any) -> list[str]:
    with console.capture() as captured:
        console.print(what)
    plain = Console(file=io.StringIO(), width=80)
    lines = captured.get().splitlines()
    assert all(plain.measure(line).maximum <= 80 for line in lines if "\x1b" not in line)
    return lines


def test_all_columns_are_shown_with_role_and_reason_whole(console):
    lines = shown(console, columns_table(schema(COLUMNS)))
    together = "".join("".join(lines).split())
    for column in COLUMNS:
        assert column.role in together
    # A long name or reason goes on below itself.
    text = " ".join(lines)
    for word in [*LONG.split(), "顧客区分", "[bold]", "(no", "name)", "frequent", "1,034", "count"]:
        assert word in text


def test_of_very_many_columns_the_first_are_shown(console):
    columns = tuple(Column(f"c{place}", Role.NUMBER, "holds numbers") for place in range(900))
    text = " ".join(shown(console, columns_table(schema(columns))))
    assert f"c{MAX_COLUMNS - 1} " in text
    assert f"c{MAX_COLUMNS} " not in text
    assert f"{900 - MAX_COLUMNS} more in clean/schema.json" in text


def test_the_baseline_is_beside_the_accuracy(console):
    text = "\n".join(shown(console, metrics_table(METRICS, 80)))
    assert 'Accuracy  0.9123   (always predicting "a": 0.5100)' in text
    assert "1,234 held-out rows" in text


REMEDY = (
    'Say which one it is. If it is "a b", with either of:\n'
    "    python -m cli drop 'my rows.csv' --label 'a b'\n"
    "    aws s3 cp 'my rows.csv' 's3://inbox/my rows.csv' --metadata 'label=a b'"
)


def test_a_remedys_command_is_shown_as_it_has_to_be_typed_here():
    here = Local(Path("/tmp/local"), 4566)
    assert remedy_here(REMEDY, Path("data dir/my rows.csv"), here).splitlines() == [
        'Say which one it is. If it is "a b", with:',
        f"    {this_command()} drop 'data dir/my rows.csv' --label 'a b'",
    ]
    on_aws = remedy_here(REMEDY, Path("my rows.csv"), None).splitlines()
    assert on_aws[1] == f"    {this_command()} --aws drop 'my rows.csv' --label 'a b'"
    assert on_aws[2] == REMEDY.splitlines()[2]
    assert remedy_here(REMEDY, None, None) == REMEDY
