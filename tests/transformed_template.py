"""The template as the SAM transform hands it to CloudFormation."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode.cfn_yaml import load
from cfnlint.template import Template
from cfnlint.template.transforms._sam import Transform

ROOT = Path(__file__).parents[1]
PATH = str(ROOT / "template.yaml")


class Included(Transform):
    """The SAM transform, after AWS::Include: CloudFormation begins with what is deepest."""

    def _replace_local_codeuri(self) -> None:
        super()._replace_local_codeuri()
        api = self._template["Resources"]["PredictionsApi"]["Properties"]
        api["DefinitionBody"] = yaml.safe_load((ROOT / "api/openapi.yaml").read_text())


@lru_cache
def transformed(region: str = "us-east-1", **parameters: str) -> dict[str, Any]:
    """Return it with all that SAM adds; managed policies are of the region's partition.

    Some of what SAM does goes by parameters: their defaults, unless they are given.
    """
    template = Template(PATH, load(PATH)).template
    for name, value in parameters.items():
        template["Parameters"][name]["Default"] = value
    transform = Included(PATH, template, region)
    problems = transform.transform_template()
    assert problems == []
    found: dict[str, Any] = transform.template()
    return found
