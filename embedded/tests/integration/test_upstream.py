"""That ``docs/upstream.md`` lists what is patched, and tells the truth of it.

What stands there is run against a MiniStack without patches, and against the embedded AWS.
"""

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.testing import running_embedded_aws

PAGE = (Path(__file__).parents[2] / "docs/upstream.md").read_text()
ENTRY = re.compile(
    r"### (?P<title>[^\n]+)\n```python\n(?P<program>.+?)```\n"
    r"MiniStack: `(?P<ministack>.+?)`\. AWS.*?: `(?P<aws>.+?)`\. Source: ",
    re.DOTALL,
)
WITHOUT_AUTH, WITH_AUTH, UNPATCHED = re.split("## With AUTH=true|## What isn't patched", PAGE)
PROGRAM = re.search(r"```python\n(.+?)```", WITHOUT_AUTH, re.DOTALL)
PLAIN = {
    "BIND_HOST": "127.0.0.1",
    "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    "IOT_MTLS_ENABLED": "0",
    "LAMBDA_EXECUTOR": "local",
    "SFTP_ENABLED": "0",
}


@dataclass(frozen=True)
class Entry:
    """What MiniStack does otherwise: a program, and what it prints with each."""

    title: str
    program: str
    ministack: str
    aws: str
    auth: bool
    is_patched: bool


ENTRIES = [
    Entry(**found.groupdict(), auth=text is WITH_AUTH, is_patched=text is not UNPATCHED)
    for text in (WITHOUT_AUTH, WITH_AUTH, UNPATCHED)
    for found in ENTRY.finditer(text)
]


@pytest.fixture(scope="module", params=["ministack", "embedded_aws"])
def module(request: pytest.FixtureRequest) -> str:
    """Who answers."""
    return str(request.param)


@pytest.fixture(scope="module")
def servers(module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, str]]:
    """The URLs of two servers, by whether they enforce IAM."""
    folder = tmp_path_factory.mktemp(module)
    with (
        running_embedded_aws(folder / "open", PLAIN, module=module) as without,
        running_embedded_aws(folder / "auth", {**PLAIN, "AUTH": "true"}, module=module) as auth,
    ):
        yield {False: without.endpoint_url, True: auth.endpoint_url}


def test_the_page_lists_what_the_patches_fix() -> None:
    from embedded_aws.ministack import patch

    fixed = {title for declared in patch.load() for title in declared.fixes}
    listed = {entry.title.casefold() for entry in ENTRIES if entry.is_patched}
    assert listed == {title.casefold() for title in fixed}
    assert [entry.title for entry in ENTRIES] == re.findall(r"^### (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title.replace(" ", "-"))
def test_a_program_prints_what_the_page_says(
    entry: Entry, module: str, servers: dict[bool, str]
) -> None:
    assert PROGRAM
    namespace: dict[str, Any] = {}
    exec(PROGRAM[1].replace("http://127.0.0.1:4566", servers[entry.auth]), namespace)
    printed = StringIO()
    with redirect_stdout(printed):
        exec(entry.program, namespace)
    mended = module == "embedded_aws" and entry.is_patched
    assert printed.getvalue().strip() == (entry.aws if mended else entry.ministack)
