"""The template as the SAM transform hands it to CloudFormation."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import load
from cfnlint.template import Template
from cfnlint.template.transforms._sam import Transform

PATH = str(Path(__file__).parents[1] / "template.yaml")


@lru_cache
def transformed(region: str = "us-east-1") -> dict[str, Any]:
    """Return it with all that SAM adds; managed policies are of the region's partition."""
    transform = Transform(PATH, Template(PATH, load(PATH)).template, region)
    problems = transform.transform_template()
    assert problems == []
    found: dict[str, Any] = transform.template()
    return found
