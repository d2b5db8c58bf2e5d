"""The engine knows tables, and nothing of what is made of them."""

import ast
import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[3] / "layers" / "numeric"
MODULES = sorted((ENGINE / "tabular").glob("*.py"))
README = (ENGINE / "README.md").read_text()

# Words of the application.
OUTSIDE = re.compile(
    r"\b(labels?|features?|class(es)? of|datasets?|runs? id|models?|sagemaker|aws|s3|bucket"
    r"|schema\.json|settings\.json|iris|upload\.csv)\b",
    re.IGNORECASE,
)


def imports_of(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_the_engine_imports_numpy_and_what_comes_with_python(module):
    assert imports_of(module) <= {*sys.stdlib_module_names, "numpy", "tabular"}


@pytest.mark.parametrize("file", [*MODULES, ENGINE / "README.md"], ids=lambda file: file.stem)
def test_the_engine_does_not_speak_of_what_is_made_of_tables(file):
    lines = file.read_text().splitlines()
    assert [line for line in lines if OUTSIDE.search(line)] == []


def test_the_readme_shows_what_its_example_prints():
    code, printed = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL).groups()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "README.md", "exec"), {})
    assert output.getvalue() == printed


def test_each_name_in_the_readme_is_there():
    names = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    assert len(names) == 8
    for row in names:
        module, *others = re.findall(r"`([\w.]+)`", row)
        path, _, first = module.partition(".")
        found = __import__(f"tabular.{path}", fromlist=[path])
        assert all(hasattr(found, name) for name in [first, *others])
