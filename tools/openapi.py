"""Write what clients are given of ``api/openapi.yaml``: without what is for API Gateway alone.

.venv/bin/python -m tools.openapi
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "api/openapi.yaml"
TARGET = ROOT / "functions/predict/openapi.json"
CONDITIONS = {
    "ApiTakesKeys": True,
    "ApiTakesSignatures": False,
    "ApiAllowsOrigins": False,
    "ShiftsRequests": False,
}
"""What the template's conditions are by default."""
NOTHING = {"Ref": "AWS::NoValue"}


def document() -> str:
    """Return the document as clients are given it."""
    return json.dumps(_for_clients(chosen(yaml.safe_load(SOURCE.read_text()))), indent=1) + "\n"


def chosen(value: Any, **conditions: bool) -> Any:
    """Return the document under these conditions and the template's other defaults."""
    if isinstance(value, dict):
        if "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            holds = (CONDITIONS | conditions)[condition]
            return chosen(then if holds else otherwise, **conditions)
        parts = {name: chosen(part, **conditions) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part != NOTHING}
    return [chosen(part, **conditions) for part in value] if isinstance(value, list) else value


def _for_clients(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _for_clients(part)
            for name, part in value.items()
            if not name.startswith("x-amazon-")
        }
    return [_for_clients(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    TARGET.write_text(document())
