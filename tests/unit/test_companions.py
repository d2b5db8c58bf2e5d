"""The templates in companions/, which are sent to CloudFormation as they stand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

COMPANIONS = sorted((Path(__file__).parents[2] / "companions").glob("*.yaml"))


def repetitions(text: str) -> Iterator[str]:
    """Yield each anchor, alias and merge key, of which CloudFormation refuses the last two.

    Source: CloudFormation user guide, "CloudFormation template formats".
    """
    for event in yaml.parse(text):
        where = f"in line {event.start_mark.line + 1}"
        if getattr(event, "anchor", None):
            kind = "alias" if isinstance(event, yaml.AliasEvent) else "anchor"
            yield f"{kind} {event.anchor} {where}"
        elif isinstance(event, yaml.ScalarEvent) and event.value == "<<":
            yield f"merge key {where}"


@pytest.mark.parametrize("path", COMPANIONS, ids=lambda path: path.name)
def test_a_template_that_is_sent_as_it_stands_has_no_anchors_aliases_or_merge_keys(path):
    assert list(repetitions(path.read_text())) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &one 1\n", ["anchor one in line 1"]),
        ("a: &one 1\nb: *one\n", ["anchor one in line 1", "alias one in line 2"]),
        ("a:\n  <<: {b: 1}\n", ["merge key in line 2"]),
        ('a: "&one *one"\n', []),
    ],
)
def test_anchors_aliases_and_merge_keys_are_found(text, found):
    assert list(repetitions(text)) == found
