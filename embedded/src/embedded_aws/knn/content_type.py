"""Content types with their parameters, as ``text/csv; label_size=1``."""

from collections.abc import Mapping
from dataclasses import dataclass

from embedded_aws.knn.errors import DataError

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"


@dataclass(frozen=True)
class ContentType:
    """A media type in small letters, and its parameters by name in small letters."""

    media_type: str
    parameters: Mapping[str, str]

    def label_size(self, default: int) -> int:
        """How many columns at the start of a CSV row are labels.

        Source: developer guide, "Data Formats for k-NN Training Input" and "k-NN Request and
        Response Formats": 1 in training, 0 in requests unless it is given.

        Raises DataError: it isn't a whole number.
        """
        text = self.parameters.get("label_size", str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise DataError(f"label_size must be a whole number, not {text!r}")
        return int(text)

    @property
    def encoding(self) -> str:
        """The encoding of text, UTF-8 unless the parameter ``encoding`` or ``charset`` is given."""
        return self.parameters.get("encoding") or self.parameters.get("charset") or "utf-8"


def parse_content_type(text: str) -> ContentType:
    """Parse the value of a header or of a channel's ``ContentType``."""
    media_type, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return ContentType(
        media_type.strip().lower(),
        {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs},
    )
