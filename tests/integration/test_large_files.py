"""A file in parts, by the tasks of the state machine in its order, against the same file in one."""

import gzip
import json
import random
from typing import Any

import pytest

from tests.function_app import ROOT, function_app, lambda_context
from tests.integration.pipeline import Pipeline, event

IRIS = (ROOT / "data/iris.csv").read_text()


class Run:
    """A run of a file that is read in parts of a few kilobytes."""

    def __init__(self, pipeline: Pipeline, dataset: str, content: bytes, part_bytes: int) -> None:
        created = pipeline.dropped(f"{dataset}/rows.csv", content)
        environment = {
            "LARGE_FILE_MEGABYTES": "0.000001",
            "PART_MEGABYTES": str(part_bytes / 1_000_000),
        }
        self.pipeline = Pipeline(pipeline.aws, pipeline.environment | environment)
        self.name = self.pipeline.handle("preprocess", created)["run"]
        self.started = self.pipeline.executions()[self.name]
        # Loaded once: a handler goes on working with the environment that it began with.
        with function_app("preprocess", self.pipeline.environment, "file_parts") as handler:
            self._preprocess = handler
        with function_app("split", self.pipeline.environment, "split_parts") as handler:
            self._split = handler

    def task(
        self,
        task: str,
        part: int | None = None,
        *,
        times: int = 1,
        seconds: int = 900,
        **fields: Any,
    ) -> dict[str, Any]:
        of_split = task in ("begin", "look", "proceed", "write", "finish")
        payload = event(f"{'split' if of_split else 'preprocess'}-parts-{task}.json")
        payload |= {"run": self.name, **fields}
        if part is not None:
            payload["part"] = part
        module = self._split if of_split else self._preprocess
        answers = [module.handler(payload, lambda_context(seconds=seconds)) for _ in range(times)]
        assert answers == answers[:1] * times
        return answers[0]

    def preprocess(self) -> dict[str, Any]:
        """What ``prepare_large_file`` does until the rows are clean."""
        answer = self.task("open", dataset=self.started["dataset"], source=self.started["source"])
        if "refusal" in answer:
            return answer
        self.parts = answer["parts"]
        for part in range(self.parts):
            self.task("scan", part)
        if "refusal" in (answer := self.task("align")):
            return answer
        for part in range(self.parts):
            self.task("survey", part)
        answer = self.task("merge")
        for part in answer.get("rewrite", ()):
            self.task("rewrite", part)
        return answer

    def split(self, *, times: int = 1) -> dict[str, Any]:
        """What it does then, each task so many times."""
        answer = self.task("begin", times=times)
        while "step" in answer and answer["step"] != "write":
            passes = answer["passes"]
            for part in range(self.parts):
                self.task("look", part, passes=passes, times=times)
            answer = self.task("proceed", passes=passes, times=times)
        if "refusal" in answer:
            return answer
        passes = answer["passes"]
        for part in range(self.parts):
            self.task("write", part, passes=passes, times=times)
        return self.task("finish", passes=passes, times=times)

    def rows(self, folder: str) -> str:
        names = sorted(name for name in self.pipeline.files(self.name) if name.startswith(folder))
        return "".join(self.pipeline.read(self.name, name) for name in names)

    def function_of_split(self, name: str) -> Any:
        return getattr(self._split, name)

    def json(self, name: str) -> Any:
        return json.loads(self.pipeline.read(self.name, name))


def at_once(pipeline: Pipeline, dataset: str, content: bytes) -> Run:
    """The same file through the functions that take it whole."""
    run = Run.__new__(Run)
    run.pipeline = pipeline
    run.name = pipeline.handle("preprocess", pipeline.dropped(f"{dataset}/rows.csv", content))[
        "run"
    ]
    pipeline.handle("split", pipeline.manifest_of(run.name))
    return run


def ask(pipeline: Pipeline, dataset: str, schema: dict[str, Any]) -> None:
    pipeline.s3.put_object(
        Bucket="inbox", Key=f"{dataset}/schema.json", Body=json.dumps(schema).encode()
    )


def messy(rows: int) -> bytes:
    """Rows with what makes parts hard: line breaks in quotes, rejects, classes that come late."""
    draw = random.Random(0)
    lines = ["x,note,who,at,y,label"]
    for number in range(rows):
        note = draw.choice(["plain", '"a, b"', '"two\nlines"', '"say ""hi"""', "é"])
        x = draw.choice([f"{draw.gauss(0, 5):.2f}"] * 30 + ["oops", "1e-3", ""])
        label = draw.choice("mmz" if number < rows // 2 else "mza")
        who, at = draw.randrange(40), draw.randrange(1000)
        lines.append(f"{x},{note},{who},{at},{draw.random():.4f},{label}")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"group": "who"},
        {"time": "at"},
        {"duplicates": "same_side"},
        {"missing": "median", "standardisation": "zscore"},
    ],
    ids=["by class", "by group", "by time", "equal rows together", "imputed and standardised"],
)
def test_parts_give_the_rows_that_the_whole_gives(pipeline, schema):
    name = "-".join(schema).replace("_", "-") or "plain"
    content = messy(300)
    for dataset in (f"whole-{name}"[:32], f"parts-{name}"[:32]):
        ask(pipeline, dataset, {"label": "label", "features": ["x", "y"], **schema})
    whole = at_once(pipeline, f"whole-{name}"[:32], content)
    parts = Run(pipeline, f"parts-{name}"[:32], content, 2000)
    assert "refusal" not in parts.preprocess()
    assert parts.parts >= 5
    assert parts.split()["rows"] == whole.json("split.json")["rows"]
    for folder in ("train/", "test/", "validation/held_out"):
        assert parts.rows(folder) == whole.rows(folder)
    assert parts.json("split.json") == whole.json("split.json")
    assert parts.json("clean/schema.json") == whole.json("clean/schema.json")
    if "missing" in schema:
        assert parts.json("transform.json") == whole.json("transform.json")
    assert parts.pipeline.status(parts.name)["status"] == "Training"


def test_each_task_of_a_split_may_be_done_again(pipeline):
    schema = {"time": "at", "missing": "median", "standardisation": "zscore"}
    content = messy(300)
    for dataset in ("once", "again"):
        ask(pipeline, dataset, {"label": "label", "features": ["x", "y"], **schema})
    once = Run(pipeline, "once", content, 2000)
    again = Run(pipeline, "again", content, 2000)
    for run, times in ((once, 1), (again, 2)):
        run.preprocess()
        assert run.split(times=times)["rows"] == run.json("split.json")["rows"]
    for name in ("split.json", "transform.json"):
        assert again.json(name) == once.json(name)
    for folder in ("train/", "test/", "validation/held_out"):
        assert again.rows(folder) == once.rows(folder)


def test_parts_give_the_profile_and_the_rejects_that_the_whole_gives(pipeline):
    content = messy(300)
    for dataset in ("profile-whole", "profile-parts"):
        ask(pipeline, dataset, {"label": "label", "features": ["x", "y"]})
    whole = at_once(pipeline, "profile-whole", content)
    parts = Run(pipeline, "profile-parts", content, 2000)
    parts.preprocess()
    profiles = [run.json("clean/profile.json") for run in (whole, parts)]
    for profile in profiles:
        for of_feature in profile["features"].values():
            for rank in ("q01", "q25", "median", "q75", "q99"):
                del of_feature[rank]
    assert profiles[0] == profiles[1]
    header = "line,reason,row\r\n".replace("\r", "")
    assert parts.rows("clean/rejects").replace(header, "") == whole.rows("clean/rejects").replace(
        header, ""
    )


def test_only_parts_with_a_class_that_came_up_late_are_written_again(pipeline):
    late = "".join(f"{n},m\n" for n in range(2000)) + "".join(f"{n},a\n" for n in range(100))
    run = Run(pipeline, "late", f"x,label\n{late}".encode(), 2000)
    assert run.preprocess()["rewrite"] == list(range(run.parts))
    assert run.json("clean/schema.json")["classes"] == ["a", "m"]
    in_order = Run(pipeline, "in-order", f"x,label\n{late.replace('a', 'z')}".encode(), 2000)
    assert in_order.preprocess()["rewrite"] == []


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
        ("a,b\n1,2\n", "NoLabel", '"a", "b"'),
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
    answer = Run(pipeline, "refused-parts", data, max(2000, len(data) // 8)).preprocess()
    assert answer["refusal"]["code"] == code
    assert says in answer["refusal"]["message"]


def test_more_groups_than_can_be_told_apart_are_refused_when_parts_are_put_together(
    pipeline, monkeypatch
):
    ask(pipeline, "groups", {"label": "label", "features": ["x", "y"], "group": "who"})
    run = Run(pipeline, "groups", messy(300), 2000)
    run.preprocess()
    groups = run.function_of_split("partial").__globals__["Groups"]
    monkeypatch.setitem(groups.merge.__globals__, "MAX_PAIRS", 3)
    assert run.split()["refusal"]["code"] == "TooManyGroups"


@pytest.mark.parametrize("late", ["look", "write"])
def test_a_part_that_takes_too_long_is_refused_with_what_to_do(pipeline, late):
    ask(
        pipeline,
        "slow",
        {"label": "label", "features": ["x", "y"], "standardisation": "zscore"},
    )
    run = Run(pipeline, "slow", messy(300), 2000)
    run.preprocess()
    run.task("begin")
    for part in range(run.parts):
        is_late = late == "look" and part == 1
        run.task("look", part, passes=0, seconds=10 if is_late else 900)
    answer = run.task("proceed", passes=0)
    if late == "write":
        for part in range(run.parts):
            run.task("write", part, passes=1, seconds=10 if part == 1 else 900)
        answer = run.task("finish", passes=1)
        assert "train/part-00001.csv" not in run.pipeline.files(run.name)
    assert answer["refusal"]["code"] == "OutOfTime"
    assert "LargeFilePartMegabytes" in answer["refusal"]["remedy"]


def test_a_part_in_another_encoding_is_read_as_the_first_says(pipeline):
    latin = ("x,label\n" + "1,a\n2,b\n" * 300 + "3,é\n4,é\n" * 3).encode("latin-1")
    run = Run(pipeline, "latin", latin, 1000)
    assert "refusal" not in run.preprocess()
    assert run.json("clean/schema.json")["classes"] == ["a", "b", "é"]


@pytest.mark.parametrize("encode", [gzip.compress, lambda data: data.decode().encode("utf-16")])
def test_a_large_file_that_cannot_be_cut_is_read_whole_whatever_its_name_says(pipeline, encode):
    environment = pipeline.environment | {"LARGE_FILE_MEGABYTES": "0.000001"}
    created = pipeline.dropped("uncut/rows.csv", encode(IRIS.encode()))
    answer = Pipeline(pipeline.aws, environment).handle("preprocess", created)
    assert answer["rows"] == 150


def test_lines_that_end_with_carriage_returns_are_read_in_parts(pipeline):
    rows = "".join(f"{n},{'ab'[n % 2]}\r" for n in range(300_000))
    run = Run(pipeline, "returns", f"x,label\r{rows}".encode(), 1_000_000)
    assert "refusal" not in run.preprocess()
    assert run.parts > 1
    assert run.json("clean/profile.json")["rows"]["kept"] == 300_000


def test_a_part_that_takes_too_long_is_refused_with_a_remedy_that_helps(pipeline):
    run = Run(pipeline, "slow-parts", IRIS.encode(), 2000)
    run.task("open", dataset=run.started["dataset"], source=run.started["source"])
    run.task("scan", 0)
    run.task("scan", 1)
    run.task("align")
    run.task("survey", 0, seconds=10)
    refusal = run.json("large/survey-00000.json")["refusal"]
    assert refusal["code"] == "OutOfTime"
    assert "LargeFilePartMegabytes" in refusal["remedy"]


def test_logs_of_parts_name_a_refusal_and_quote_nothing_of_the_file(pipeline, caplog):
    Run(pipeline, "private", b"secret,second\n1,2\n", 2000).preprocess()
    logged = str([record.__dict__ for record in caplog.records])
    assert "NoLabel" in logged
    assert "secret" not in logged
