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


def document() -> str:
    """Return the document as clients are given it."""
    return json.dumps(_for_clients(yaml.safe_load(SOURCE.read_text())), indent=1) + "\n"


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
