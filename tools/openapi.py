"""Write what clients are given of ``api/openapi.yaml``: without what is for API Gateway alone.

.venv/bin/python -m tools.openapi              writes functions/predict/openapi.json
.venv/bin/python -m tools.openapi --check      exits with 1 if it differs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "api/openapi.yaml"
TARGET = ROOT / "functions/predict/openapi.json"


def for_clients(value: Any) -> Any:
    """Return a document, or a part of one, without AWS's extensions."""
    if isinstance(value, dict):
        return {
            name: for_clients(part)
            for name, part in value.items()
            if not str(name).startswith("x-amazon-")
        }
    return [for_clients(part) for part in value] if isinstance(value, list) else value


def document() -> str:
    """Return the document as clients are given it."""
    whole = for_clients(yaml.safe_load(SOURCE.read_text()))
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        TARGET.write_text(document())
    elif TARGET.read_text() != document():
        sys.exit(f"{TARGET.relative_to(ROOT)} is out of date: python -m tools.openapi")


if __name__ == "__main__":
    main()
