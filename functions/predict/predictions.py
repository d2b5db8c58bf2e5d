"""Predictions as the API answers them: of the neighbours that an endpoint has found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.algorithm import Neighbors, lengths, vote
from predict.errors import ApiError, Code

MAX_ANSWER_BYTES = 6_000_000
"""What a function can answer, nearly. Source: Lambda developer guide, "Lambda quotas"."""

_SHOWN = 80


def neighbors_asked(text: str | None) -> int:
    """Return how many neighbours an answer is to show, none unless it is asked for."""
    if text is None:
        return 0
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text):
        return int(text)
    message = f'"neighbors" must be a whole number from 1 to 999,999,999, not "{text[:_SHOWN]}".'
    raise ApiError(400, Code.INVALID_NEIGHBORS, message)


def check_answer_fits(instances: int, neighbors: int, classes: Sequence[str]) -> None:
    """Raise an `ApiError` if the answer about so many instances would be too large in any case."""
    shortest = min(classes, key=lambda name: _answered(json.dumps(name)))
    neighbor = {"label": shortest, "distance": 0.0}
    one = {"label": shortest, "probabilities": {shortest: 1.0}}
    size = _answered(json.dumps(one))
    if neighbors:
        size += len('"neighbors": []') + neighbors * _answered(json.dumps(neighbor))
    if instances * size > MAX_ANSWER_BYTES:
        raise _too_large(instances)


def predictions(
    found: Sequence[Neighbors], classes: Sequence[str], weights: str, neighbors: int
) -> list[dict[str, Any]]:
    """Return the label that each row's neighbours vote for, the shares, and some neighbours."""
    answer = []
    for labels, distances in found:
        winner, shares = vote(labels, distances, weights)
        name = classes[winner]
        probabilities = {name: 1.0}
        if len(shares) > 1:
            ordered = sorted(shares.items(), key=lambda each: (-each[1], each[0]))
            probabilities = {classes[label]: share for label, share in ordered}
        prediction: dict[str, Any] = {"label": name, "probabilities": probabilities}
        if neighbors:
            near = zip(labels, lengths(distances[:neighbors]), strict=False)
            prediction["neighbors"] = [
                {"label": classes[int(label)], "distance": distance} for label, distance in near
            ]
        answer.append(prediction)
    return answer


def answer_body(run: str, found: Sequence[dict[str, Any]]) -> str:
    """Return predictions as JSON; raise an `ApiError` if a function can't answer that much."""
    body = json.dumps({"predictions": found, "run": run}, check_circular=False)
    if _answered(body) > MAX_ANSWER_BYTES:
        raise _too_large(len(found))
    return body


def _answered(body: str) -> int:
    """Return the bytes of a body in a function's answer, which is JSON with the body as a text."""
    return len(body) + body.count('"') + body.count("\\")


def _too_large(instances: int) -> ApiError:
    return ApiError(
        413,
        Code.ANSWER_TOO_LARGE,
        f"The answer for {instances:,} instances is larger than {MAX_ANSWER_BYTES:,} bytes: "
        "send them in several requests, or ask for fewer neighbors.",
    )
