"""A file that is scored: what the user is told when the API or the network fails."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.program import cli
from cli.score import TRIES
from cli.stack import Stack
from cli.target import Target

SIGNED = "?X-Amz-Signature=secret"
ONCE_MORE = " score 'my data' --batch b1"
Answer = tuple[int, Any] | None


class Api(ThreadingHTTPServer):
    """An API that gives its answers one after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: list[Answer] = []
        self.paths: list[str] = []


class Asked(BaseHTTPRequestHandler):
    """A request. An answer of None breaks the connection, one of bytes ends too early."""

    server: Api

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return
        status, content = answer
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + isinstance(content, bytes)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    """The API of a stack, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("a\n1\n")
    monkeypatch.setattr(Target, "poll_seconds", 0)
    monkeypatch.setattr(Stack, "api_key", lambda _: "key")
    with Api() as server:
        stack = Stack("", "", "", "", server.url, server.url, "")
        monkeypatch.setattr(Target, "stack", lambda _: stack)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def score(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["score", "my data", *arguments], obj=Target())


def scored(api: Api, **more: str) -> Answer:
    told = {"scored": 1, "set_aside": 0, "run": "r", "predicted": {"x": 1}}
    return 200, told | {"status": "Scored", "result": f"{api.url}/result{SIGNED}"} | more


def begun(api: Api) -> list[Answer]:
    """What a file that is handed in is answered."""
    upload = {"url": f"{api.url}/upload{SIGNED}", "method": "PUT", "headers": {}}
    return [(201, {"batch": "b1", "upload": upload}), (200, {})]


BUSY: list[Answer] = [(429, {"message": "Too Many Requests"}), (503, {}), (500, {}), None]


def test_an_api_that_is_busy_for_a_moment_is_asked_again(api: Api) -> None:
    waits: Answer = (200, {"status": "Waiting"})
    api.answers = [*begun(api), *BUSY, waits, *BUSY, scored(api), (200, "rows")]
    done = score("new.csv")
    assert done.exit_code == 0, done.output
    assert Path("new scored.csv").read_text() == '"rows"'
    assert api.paths[2] == "/datasets/my%20data/batches/b1"


@pytest.mark.parametrize("answer", [*BUSY, (403, {"error": {"message": "Forbidden."}})])
def test_whatever_ends_the_wait_the_user_is_told_how_to_fetch_the_result(
    api: Api, answer: Answer
) -> None:
    api.answers = [*begun(api), answer]
    done = score("new.csv")
    assert (done.exit_code, done.output.endswith(f"{ONCE_MORE}\n")) == (1, True), done.output
    # Whoever may not ask isn't let in by asking again.
    assert len(api.paths) == 2 + (1 if answer and answer[0] == 403 else TRIES)


@pytest.mark.parametrize("answer", [(403, {}), None, (200, b"cut")])
def test_a_result_that_does_not_come_can_be_fetched_later_and_its_url_stays_secret(
    api: Api, answer: Answer
) -> None:
    api.answers = [scored(api), answer]
    done = score("--batch", "b1")
    assert (done.exit_code, done.output.endswith(f"{ONCE_MORE}\n")) == (1, True), done.output
    assert "secret" not in done.output
    assert [path.name for path in Path().iterdir()] == ["new.csv"]


def test_a_batch_that_there_is_none_of_is_not_to_be_fetched_later(api: Api) -> None:
    api.answers = [(404, {"error": {"message": '"my data" has no batch "b1".'}})]
    done = score("--batch", "b1")
    assert 'Error: "my data" has no batch "b1".' in done.output
    assert ONCE_MORE not in done.output


def test_a_folder_that_there_is_none_of_loses_no_result(api: Api) -> None:
    api.answers = [scored(api), (200, "rows")]
    done = score("--batch", "b1", "--to", "nowhere/result.csv")
    assert done.exit_code == 1
    assert done.output.endswith(f"{ONCE_MORE} --to FOLDER\n")


@pytest.mark.parametrize("name", ["new scored.csv", "new scored set aside.csv"])
def test_no_file_is_written_over(api: Api, name: str) -> None:
    Path(name).write_text("mine")
    done = score("new.csv")
    assert (done.exit_code, api.paths, Path(name).read_text()) == (1, [], "mine")
    assert done.output == f"Error: {name} is there already. Choose another name: --to FILE\n"


def test_no_answer_to_an_upload_is_no_traceback(api: Api) -> None:
    api.answers = [begun(api)[0], None]
    done = score("new.csv")
    assert done.output.endswith(" score 'my data' new.csv\n")
