"""What Predict itself costs: reading instances, and answering with predictions.

.venv/bin/python -m tools.benchmarks.predict

Milliseconds of CPU, the best of some tries. The endpoint's answers are made up; most neighbours of
a row are of one class.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipeline.algorithm import parse_answer
from pipeline.schema import Role
from pipeline.transform import Encoding, Transform
from predict.errors import ApiError
from predict.instances import MAX_INSTANCES, request_to_csv
from predict.predictions import answer_body, predictions

CLASSES = ("setosa", "versicolor", "virginica")
NAMES = ("length", "width", "height", "weight")
TRIES = 20


def milliseconds(do: Callable[[], Any]) -> float:
    """Return what something costs."""
    tries = []
    for _ in range(TRIES):
        began = time.process_time()
        do()
        tries.append(time.process_time() - began)
    return min(tries) * 1000


def reading(body: str, content_type: str, transform: Transform) -> float:
    """Return what it costs to read a request, or to refuse it."""

    def read() -> None:
        with suppress(ApiError):
            request_to_csv(content_type, body, transform)

    return milliseconds(read)


def main() -> None:
    """Print what each step costs."""
    draw = random.Random(0)
    scaled = Transform(tuple(Encoding(n, Role.NUMBER, 0.5, (), (3.1,), (1.7,)) for n in NAMES))
    rows = [[round(draw.uniform(0, 9), 1) for _ in NAMES] for _ in range(MAX_INSTANCES)]
    objects = [dict(zip(NAMES, row, strict=True)) for row in rows]
    bodies = {
        "lists": (json.dumps({"instances": rows}), "application/json"),
        "objects": (json.dumps({"instances": objects}), "application/json"),
        "CSV": ("\n".join(",".join(map(str, row)) for row in rows), "text/csv"),
    }
    print(f"{MAX_INSTANCES:,} instances of {len(NAMES)} features, scaled, k = 5")
    read = {name: reading(*body, scaled) for name, body in bodies.items()}
    for name, cost in read.items():
        print(f"  read them as {name:<20} {cost:6.1f} ms")

    def found() -> dict[str, Any]:
        label = float(draw.randrange(3))
        labels = [label] * 4 + [label if draw.random() < 0.8 else float(draw.randrange(3))]
        return {"labels": labels, "distances": sorted(draw.random() for _ in labels)}

    answer = json.dumps({"predictions": [found() for _ in rows]}).encode()
    near = parse_answer(answer)
    made = predictions(near, CLASSES, "uniform", 0)
    after = 0.0
    for name, do in (
        ("parse the endpoint's answer", lambda: parse_answer(answer)),
        ("take the vote", lambda: predictions(near, CLASSES, "uniform", 0)),
        ("write the answer", lambda: answer_body("iris", made)),
    ):
        cost = milliseconds(do)
        after += cost
        print(f"  {name:<33} {cost:6.1f} ms")
    for name, cost in read.items():
        print(f"  all of it, as {name:<19} {cost + after:6.1f} ms")
    wide = Transform.of_numbers([f"x{number}" for number in range(5_000)])
    unknown = json.dumps({"instances": [{f"y{number}": 0 for number in range(450_000)}]})
    cost = reading(unknown, "application/json", wide)
    print(f"450,000 unknown names, 5,000 features: refused in {cost:.0f} ms")


if __name__ == "__main__":
    main()
