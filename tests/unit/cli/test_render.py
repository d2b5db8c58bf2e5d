"""What is shown in a terminal of 80 columns, and when it is piped."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.outcome import remedy_here
from cli.render import story
from cli.settings import Local, this_command
from pipeline.registry import Status
from report.facts import Facts

LONG = "Ort und Straße der Niederlassung, bei mehreren die erste nach dem Alphabet, ohne Postfach"
COLUMNS = [
    {"name": "", "role": "identifier", "reason": "counts the rows"},
    {
        "name": LONG,
        "role": "category",
        "reason": "has 12 frequent values, and 1,034 rare ones that count as one",
    },
    {"name": "[bold]顧客区分[/bold]", "role": "text", "reason": "has one value, which is no use"},
    {"name": "species", "role": "label", "reason": "is called as labels are"},
]
METRICS: dict[str, Any] = {
    "accuracy": 0.91234,
    "macro_f1": 0.8,
    "rows": 1234,
    "baseline": {"class": "a", "accuracy": 0.51, "macro_f1": 0.3},
    "classes": ["a", LONG],
    "confusion_matrix": [[5, 1], [0, 6]],
    "per_class": {
        name: {"precision": 0.9, "recall": 0.9, "f_score": 0.9, "support": 6}
        for name in ("a", LONG)
    },
    "notes": [],
}
PROFILE: dict[str, Any] = {"rows": {"read": 9, "kept": 9, "rejected": 0}, "features": {}}


def facts(status: Status = Status.LIVE, **fields: Any) -> Facts:
    return Facts("iris-1", "iris", status, "s3://inbox/iris.csv", "s3://runs/iris-1/", **fields)


@pytest.fixture(params=[True, False], ids=["in a terminal", "piped"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=request.param, width=80, markup=False, highlight=False
    )


def told(console: Console, about: Facts) -> str:
    with console.capture() as captured:
        for part in story(about):
            console.print(part)
    return captured.get()


def test_tables_fold_what_is_long_and_drop_nothing(console):
    lines = told(console, facts(metrics=METRICS, profile=PROFILE, schema={"columns": COLUMNS}))
    together = "".join(re.sub(r"\x1b\[[0-9;]*m", "", lines).split())
    for column in COLUMNS:
        assert column["role"] in together
    for word in [
        *LONG.split(),
        "顧客区分",
        "[bold]",
        "(no",
        "name)",
        "frequent",
        "1,034",
        "support",
    ]:
        assert word in together
    plain = Console(file=io.StringIO(), width=80)
    assert all(
        plain.measure(line).maximum <= 80 for line in lines.splitlines() if "\x1b" not in line
    )


def test_the_terminal_tells_the_verdict_first_with_the_baseline_beside_it(console):
    lines = told(console, facts(metrics=METRICS)).splitlines()
    assert lines[0] == "iris: live, 91.2 % right"
    (right,) = (line for line in lines if line.startswith("right on"))
    assert right.split() == ["right", "on", "1,234", "held-out", "rows", "91.2", "%", "51.0", "%"]


def test_the_terminal_tells_why_and_what_to_do(console):
    problem = {"code": "NoLabel", "message": "There is no label.", "remedy": "Name it."}
    lines = told(console, facts(Status.REFUSED, problem=problem)).splitlines()
    assert "NoLabel: There is no label." in lines
    assert "What to do: Name it." in lines


REMEDY = (
    'Say which one it is. If it is "a b", with either of:\n'
    "    knn drop 'my rows.csv' --label 'a b'\n"
    "    aws s3 cp 'my rows.csv' 's3://inbox/my rows.csv' --metadata 'label=a b'"
)


def test_a_remedys_command_is_shown_as_it_has_to_be_typed_here():
    here = Local(Path("/tmp/local"), 4566)
    assert remedy_here(REMEDY, Path("data dir/my rows.csv"), here).splitlines() == [
        'Say which one it is. If it is "a b", with:',
        f"    {this_command()} drop 'data dir/my rows.csv' --label 'a b'",
    ]
    on_aws = remedy_here(REMEDY, Path("my rows.csv"), None).splitlines()
    assert on_aws[1] == f"    {this_command()} drop 'my rows.csv' --label 'a b'"
    assert on_aws[2] == REMEDY.splitlines()[2]
    # Of a run that came of no file here.
    as_called = REMEDY.replace("knn", this_command())
    assert remedy_here(REMEDY, None, None) == as_called
    both = "knn unpin iris, then knn promote iris-1"
    assert remedy_here(both, None, here) == both.replace("knn", this_command())
