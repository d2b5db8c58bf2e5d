"""What a transform job does to records besides inference: filter, join, filter again.

Source: developer guide, "Associate Prediction Results with Input Records"; API reference,
"DataProcessing".
"""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from embedded_aws.sagemaker.transform.json_path import (
    JsonPath,
    NotFoundError,
    UnsupportedError,
    compile_path,
)

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
FORMATS = (CSV, JSON, JSON_LINES)


class ProcessingError(Exception):
    """A record or an answer can't be read, filtered or joined."""


@dataclass(frozen=True)
class DataProcessing:
    """Filters and join of a job, and the formats of its records and answers."""

    input_filter: JsonPath
    join_input: bool
    output_filter: JsonPath
    content_type: str
    accept: str

    @property
    def filters_input(self) -> bool:
        """Whether records are sent otherwise than they are."""
        return bool(self.input_filter.steps)

    @property
    def changes_output(self) -> bool:
        """Whether answers are written otherwise than they come."""
        return self.join_input or bool(self.output_filter.steps)

    def to_send(self, record: bytes) -> bytes:
        """The part of a record that the model gets."""
        if not self.filters_input:
            return record
        value = decode(record, self.content_type, "input")
        return encode(select(self.input_filter, value), self.content_type)

    def to_write(self, records: list[bytes], answer: bytes) -> list[bytes]:
        """For each of a request's records, what is written of it and its answer.

        Raises ProcessingError: there isn't one answer for each record.
        """
        answers = [answer] if self.accept == JSON else answer.splitlines()
        if len(answers) != len(records):
            raise ProcessingError(
                f"The algorithm gave {len(answers)} answers of type {self.accept} for "
                f"{len(records)} records: set BatchStrategy to SingleRecord, or Accept to "
                f"{JSON_LINES}"
            )
        return [
            encode(select(self.output_filter, self.joined(record, one)), self.accept)
            for record, one in zip(records, answers, strict=True)
        ]

    def joined(self, record: bytes, answer: bytes) -> Any:
        """An answer, together with its record if the job joins them."""
        output = decode(answer, self.accept, "output from the algorithm")
        if not self.join_input:
            return output
        value = decode(record, self.content_type, "input")
        if self.content_type == self.accept == CSV:
            return value + output
        if isinstance(value, dict):
            return {**value, "SageMakerOutput": output}
        if self.content_type == CSV:
            value = [number(cell) for cell in value]
        return {"SageMakerInput": value, "SageMakerOutput": output}


def parse_data_processing(given: dict[str, Any], content_type: str, accept: str) -> DataProcessing:
    """The DataProcessing of a request.

    Raises JsonPathError: a filter is none.
    """
    return DataProcessing(
        compile_path(given.get("InputFilter") or "$"),
        given.get("JoinSource") == "Input",
        compile_path(given.get("OutputFilter") or "$"),
        media_type(content_type),
        media_type(accept) or JSON,
    )


def media_type(header: str) -> str:
    """A content type without its parameters."""
    return header.split(";")[0].strip().lower()


def decode(record: bytes, kind: str, what: str) -> Any:
    """A record as a value: a row of CSV as an array of its cells."""
    try:
        if kind == CSV:
            rows = list(csv.reader(io.StringIO(record.decode()), strict=True))
            if len(rows) != 1:
                raise ProcessingError(f"Failed to parse {what} as CSV: {len(rows)} rows")
            return rows[0]
        return json.loads(record)
    except (csv.Error, ValueError) as error:
        name = "CSV" if kind == CSV else "JSON"
        raise ProcessingError(f"Failed to parse {what} as {name}: {error}") from error


def encode(value: Any, kind: str) -> bytes:
    """A value as a record."""
    if kind != CSV:
        return json.dumps(value).encode()
    text = io.StringIO()
    row = value if isinstance(value, list) else [value]
    csv.writer(text, lineterminator="").writerow(row)
    return text.getvalue().encode()


def select(path: JsonPath, value: Any) -> Any:
    """The part that a filter selects."""
    try:
        return path.select(value)
    except UnsupportedError as error:
        raise ProcessingError(f"Invalid JsonPath: {path.expression}: {error}") from error
    except NotFoundError as error:
        raise ProcessingError(f"{path.expression} can't be applied to a record: {error}") from error


def number(cell: str) -> Any:
    """A cell of CSV as JSON has it: a number if it is one."""
    try:
        value = json.loads(cell)
    except ValueError:
        return cell
    return value if isinstance(value, int | float) and not isinstance(value, bool) else cell
