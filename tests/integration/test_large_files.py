"""A file in parts, by the tasks of the state machine in its order, against the same file in one."""

import csv
import gzip
import io
import json
import random
from typing import Any

import pytest

from tests.function_app import ROOT, function_app, lambda_context
from tests.integration.pipeline import Pipeline, event

IRIS = (ROOT / "data/iris.csv").read_text()
TOGETHER = (
    "clean/data",
    "clean/rejects",
    "train/",
    "test/",
    "validation/held_out",
    "fingerprints/train",
    "fingerprints/held_out",
)
"""Rows: a file when a run is prepared whole, a file a part else."""

HEADER = b"line,reason,row\n"


class Run:
    """A run of a file that is read in parts of a few kilobytes.

    ``prepare`` does what ``prepare_large_file`` does, each task so many times.
    """

    def __init__(
        self, pipeline: Pipeline, dataset: str, content: bytes, part_bytes: int, **metadata: str
    ) -> None:
        created = pipeline.dropped(f"{dataset}/rows.csv", content, **metadata)
        environment = {
            "LARGE_FILE_MEGABYTES": "0.000001",
            "PART_MEGABYTES": str(part_bytes / 1_000_000),
        }
        self.pipeline = Pipeline(pipeline.aws, pipeline.environment | environment)
        self.name = self.pipeline.handle("preprocess", created)["run"]
        self.facts = self.pipeline.executions("LARGE_FILE_STATE_MACHINE_ARN")[self.name]
        self.steps: list[str] = []
        self.parts = 0
        # Imported once: a handler goes on working with the environment that it began with.
        self._handlers = {}
        for function in ("preprocess", "split"):
            with function_app(function, self.pipeline.environment, "parts") as module:
                self._handlers[function] = module.handler

    def ask(self, function: str, done: str, *, times: int = 1) -> str:
        """Ask what is next; return the step."""
        payload = event(f"{function}-parts-begin.json")
        payload |= {"run": self.name, "facts": self.facts, "done": done}
        answers = [self._handlers[function](payload, lambda_context()) for _ in range(times)]
        assert answers == answers[:1] * times
        self.parts = answers[0]["parts"] or self.parts
        self.steps.append(answers[0]["step"])
        return str(answers[0]["step"])

    def do(
        self, function: str, step: str, part: int, *, times: int = 1, seconds: int = 900
    ) -> None:
        """Do a part of a step."""
        recorded = "split-parts-write" if function == "split" else "preprocess-parts-scan"
        payload = event(f"{recorded}.json") | {"run": self.name, "step": step, "part": part}
        for _ in range(times):
            assert self._handlers[function](payload, lambda_context(seconds)) == {}

    def prepare(self, *, times: int = 1, late: str = "") -> None:
        """Do all tasks; the second part of the step that is `late` has no time."""
        function, step = "preprocess", ""
        while (step := self.ask(function, step, times=times)) != "done":
            if step == "split":
                function, step = "split", ""
                continue
            for part in range(self.parts):
                is_late = step == late and part == 1
                self.do(function, step, part, times=times, seconds=10 if is_late else 900)

    @property
    def started(self) -> dict[str, Any]:
        """What the execution was started with that trains, or only reports."""
        return self.pipeline.executions()[self.name]

    def rows(self, folder: str) -> bytes:
        names = sorted(name for name in self.pipeline.files(self.name) if name.startswith(folder))
        files = [self.pipeline.read_bytes(self.name, name) for name in names]
        return b"".join(each.removeprefix(HEADER) for each in files)

    def documents(self) -> dict[str, Any]:
        """The run's JSON files, but for where it stands and what its parts tell each other."""
        return {
            name: json.loads(self.pipeline.read(self.name, name))
            for name in self.pipeline.files(self.name)
            if name.endswith(".json")
            and not name.startswith(("large/", "status", "clean/manifest", "clean/parts"))
        }


def at_once(pipeline: Pipeline, dataset: str, content: bytes, **metadata: str) -> Run:
    """The same file through the functions that take it whole."""
    run = Run.__new__(Run)
    run.pipeline = pipeline
    created = pipeline.dropped(f"{dataset}/rows.csv", content, **metadata)
    run.name = pipeline.handle("preprocess", created)["run"]
    if "clean/manifest.json" in pipeline.files(run.name):
        pipeline.handle("split", pipeline.manifest_of(run.name))
    return run


def messy(rows: int, seed: int = 1) -> str:
    """Rows of all kinds: columns of every role, quotes over line ends, rejects, a single one."""
    draw, lines = random.Random(seed), io.StringIO()
    table = csv.writer(lines)
    table.writerow(["id", "x", "price", "note", "who", "at", "color", "paid", "y", "label"])
    for number in range(rows):
        label = draw.choice("mmz" if number < rows // 2 else "mza")
        x = draw.choice([f"{draw.gauss(ord(label) / 3, 5):.2f}"] * 30 + ["1e-3", "", "NA"])
        spelled = label.upper() if number % 9 == 0 else label
        table.writerow(
            [
                number + 1,
                "oops" if number % 50 == 7 else x,
                f"${draw.randrange(9000):,}.50",
                draw.choice(["plain", "a, b", "two\nlines", 'say "hi"', "é"]) + f" {number}",
                draw.randrange(40),
                draw.randrange(1000),
                draw.choice(["red", "green", "Blue", ""]),
                draw.choice(["yes", "no"]),
                f"{draw.random():.4f}",
                "only" if number == 2 * rows // 3 else spelled,
            ]
        )
    return lines.getvalue()


FIXED = {"standardisation": "zscore", "k": "3", "weights": "uniform", "metric": "L2"}
"""Nothing is left to cross-validation, which would take most of a test's time."""

WAYS: dict[str, dict[str, str]] = {
    "all chosen": {},
    "by class": FIXED,
    "by group": FIXED | {"group": "who"},
    "by time": FIXED | {"time": "at"},
    "equal rows together": FIXED | {"duplicates": "same_side"},
    "no missing values": FIXED | {"missing": "refuse", "max-rejected-fraction": "0.5"},
}


def alike(whole: Any, parts: Any) -> Any:
    """What `parts` must be equal to: means, and what follows from them, are added up otherwise."""
    if isinstance(whole, dict):
        return {name: alike(value, parts.get(name)) for name, value in whole.items()}
    return pytest.approx(whole, rel=1e-9) if isinstance(whole, float) else whole


@pytest.mark.parametrize(
    ("way", "encoding"), [*((way, "utf-8") for way in WAYS), ("by class", "windows-1252")]
)
def test_parts_give_the_folder_that_the_whole_gives(pipeline, way, encoding):
    content = messy(400).encode(encoding)
    name = f"{way.replace(' ', '-')}-{encoding[-4:]}"
    whole = at_once(pipeline, f"whole-{name}"[:32], content, **WAYS[way])
    parts = Run(pipeline, f"parts-{name}"[:32], content, 3000, **WAYS[way])
    parts.prepare()
    assert parts.parts > 5
    for folder in TOGETHER:
        assert parts.rows(folder) == whole.rows(folder)
    documents = whole.documents()
    profile = documents.pop("clean/profile.json")
    assert {"clean/sample.json", "transform.json", "choice.json"} < documents.keys()
    found = parts.documents()
    assert found.pop("clean/profile.json") == alike(profile, profile)
    assert found == documents
    assert (parts.started["hyperparameters"], parts.started["dropped"]) == (
        whole.started["hyperparameters"],
        whole.started["dropped"],
    )
    assert parts.pipeline.status(parts.name)["status"] == "Training"


def test_each_task_may_be_done_again(pipeline):
    content = messy(400).encode()
    once = Run(pipeline, "once", content, 3000, time="at", **FIXED)
    once.prepare()
    again = Run(pipeline, "again", content, 3000, time="at", **FIXED)
    again.prepare(times=2)
    assert again.documents() == once.documents()
    for folder in TOGETHER:
        assert again.rows(folder) == once.rows(folder)


def test_what_parts_leave_for_other_parts_and_for_the_training_is_marked_as_intermediate(pipeline):
    run = Run(pipeline, "marked", messy(400).encode(), 3000, **FIXED)
    run.prepare()
    names = set(run.pipeline.files(run.name))
    marked = {n for n in names if n.startswith(("clean/data-", "train/", "large/"))}
    assert {n.partition("/")[0] for n in marked} == {"clean", "train", "large"}
    assert run.pipeline.tagged(run.name) == {name: {"Kind": "intermediate"} for name in marked}


def test_a_split_by_time_counts_until_it_knows_the_first_time_that_is_held_out(pipeline):
    run = Run(pipeline, "counted", messy(400).encode(), 3000, time="at", **FIXED)
    run.prepare()
    counts = [step for step in run.steps if step.startswith("count-")]
    assert run.steps == ["scan", "survey", "split", *counts, "write", "done"]
    assert len(counts) > 1


def test_a_class_of_earlier_files_of_which_there_is_a_single_row_is_set_aside(pipeline):
    earlier = "x,label\n" + "".join(f"{n},{'abc'[n % 3]}\n" for n in range(90))
    now = "x,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(90)) + "5,c\n"
    for dataset in ("single-whole", "single-parts"):
        at_once(pipeline, dataset, earlier.encode(), **FIXED)
    whole = at_once(pipeline, "single-whole", now.encode(), **FIXED)
    parts = Run(pipeline, "single-parts", now.encode(), 100, **FIXED)
    parts.prepare()
    assert parts.rows("clean/rejects") == b'92,"it is the only row of the class ""c""","5,c"\n'
    for run in (whole, parts):
        assert run.documents()["split.json"]["classes"].keys() == {"a", "b"}
    assert parts.documents()["split.json"] == whole.documents()["split.json"]
    assert parts.rows("train/") == whole.rows("train/")


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (IRIS.replace("setosa\n", "setosa,?\n"), "TooManyRejects", "50 of 150"),
        (
            IRIS + '1,2,3,4,"setosa\n' + "5.1,3.5,1.4,0.2,setosa\n" * 200,
            "BrokenQuoting",
            "line 152",
        ),
        (
            IRIS.encode() + b"5.1,3.5,1.4,0.2,\xc3\xa9\n" * 50 + b"5,3,1,0,\xff\n",
            "NotUtf8",
            "line 202",
        ),
        (IRIS.encode() + b"x" * 3_000_000, "LineTooLong", "longer than"),
        ("a,b\n1.5,2.5\n3.5,4.5\n", "NoLabel", "label"),
        (
            "x,label\n" + "".join(f"{n},name-{n}\n" * 2 for n in range(1200)),
            "TooManyClasses",
            "more than 1,000",
        ),
    ],
    ids=["rejects", "quotes", "utf-8", "long line", "no label", "classes of all parts"],
)
def test_a_file_is_refused_in_parts_as_it_is_whole(pipeline, content, code, says):
    data = content.encode() if isinstance(content, str) else content
    named = {"label": "label"} if code == "TooManyClasses" else {}
    run = Run(pipeline, "refused-parts", data, max(2000, len(data) // 8), **named)
    run.prepare()
    assert run.started["refusal"]["code"] == code
    assert says in run.started["refusal"]["message"]
    assert run.started["dropped"]


def test_groups_that_cannot_be_told_apart_are_refused_when_parts_are_put_together(pipeline):
    content = "x,who,label\n" + "".join(f"{n % 7}.5,all,{'ab'[n % 2]}\n" for n in range(90))
    run = Run(pipeline, "groups", content.encode(), 200, group="who", **FIXED)
    run.prepare()
    assert run.started["refusal"]["code"] == "TooFewGroups"


@pytest.mark.parametrize("late", ["survey", "count-0", "write"])
def test_a_part_that_takes_too_long_is_refused_with_a_remedy_that_helps(pipeline, late):
    run = Run(pipeline, f"slow-{late}", messy(400).encode(), 3000, time="at", **FIXED)
    run.prepare(late=late)
    assert run.started["refusal"]["code"] == "OutOfTime"
    assert "LargeFilePartMegabytes" in run.started["refusal"]["remedy"]
    assert "train/part-00001.pbr" not in run.pipeline.files(run.name)


def test_a_part_in_another_encoding_is_read_as_the_first_says(pipeline):
    latin = ("x,label\n" + "1,a\n2,b\n" * 300 + "3,é\n4,é\n" * 3).encode("latin-1")
    run = Run(pipeline, "latin", latin, 1000, **FIXED)
    run.prepare()
    assert run.documents()["clean/schema.json"]["classes"] == ["a", "b", "é"]


@pytest.mark.parametrize("encode", [gzip.compress, lambda data: data.decode().encode("utf-16")])
def test_a_large_file_that_cannot_be_cut_is_read_whole_whatever_its_name_says(pipeline, encode):
    environment = pipeline.environment | {"LARGE_FILE_MEGABYTES": "0.000001"}
    created = pipeline.dropped("uncut/rows.csv", encode(IRIS.encode()))
    answer = Pipeline(pipeline.aws, environment).handle("preprocess", created)
    assert answer["rows"] == 150


def test_lines_that_end_with_carriage_returns_are_read_in_parts(pipeline):
    rows = "".join(f"{n % 1000},{'ab'[n % 2]}\r" for n in range(300_000))
    run = Run(pipeline, "returns", f"x,label\r{rows}".encode(), 1_000_000, **FIXED)
    run.prepare()
    assert run.parts > 1
    assert run.documents()["clean/profile.json"]["rows"]["kept"] == 300_000


def test_logs_of_parts_name_a_refusal_and_quote_nothing_of_the_file(pipeline, caplog):
    Run(pipeline, "private", b"secret,second\n1.5,2.5\n3.5,4.5\n", 2000).prepare()
    logged = str([record.__dict__ for record in caplog.records])
    assert "NoLabel" in logged
    assert "secret" not in logged
