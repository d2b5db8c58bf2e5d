"""What a page that is open in a real browser can do to the embedded AWS."""

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedded_aws.testing import EmbeddedAws

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
)

PAGE = """<!doctype html><pre id="found"></pre><script>
const aws = %(aws)s, found = {};
const attempt = async (name, path, options) => {
  try {
    const answer = await fetch(aws + path, options);
    found[name] = answer.type === "opaque" ? "sent" : await answer.text();
  } catch (error) { found[name] = "blocked"; }
};
const simple = body => (
  {method: "POST", mode: "no-cors", headers: {"content-type": "text/plain"}, body});
const queue = name => "Action=CreateQueue&Version=2012-11-05&QueueName=" + name;
const image = path => new Promise(done => {
  const tag = new Image();
  tag.onload = tag.onerror = done;
  tag.src = aws + path;
});
(async () => {
  await attempt("create", "/2015-03-31/functions", simple(JSON.stringify({
    FunctionName: "made-by-a-page", Runtime: "python3.13", Handler: "a.b",
    Role: "arn:aws:iam::000000000000:role/any", Code: {ZipFile: ""}})));
  await attempt("invoke", "/2015-03-31/functions/any/invocations", simple("{}"));
  await attempt("make a queue", "/", simple(queue("made-by-a-page")));
  await image("/?" + queue("made-by-an-image"));
  await attempt("upload", "/%(bucket)s/uploaded.txt", {method: "PUT", body: "x"});
  await attempt("read", "/%(bucket)s/secret.txt");
  await attempt("read the API", "/2015-03-31/functions");
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script>"""


@pytest.fixture
def page(embedded_aws: EmbeddedAws) -> Iterator[str]:
    """The origin of a page that tries, on a port that isn't the embedded AWS's."""
    content = PAGE % {"aws": json.dumps(embedded_aws.endpoint_url), "bucket": "browsed"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server asks for
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def bucket(embedded_aws: EmbeddedAws) -> None:
    s3 = embedded_aws.client("s3")
    s3.create_bucket(Bucket="browsed")
    s3.delete_object(Bucket="browsed", Key="uploaded.txt")
    s3.delete_bucket_cors(Bucket="browsed")
    s3.put_object(Bucket="browsed", Key="secret.txt", Body=b"secret")


def opened(page: str, profile: Path) -> dict[str, str]:
    """Open a page, and return what came of what it tried."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [str(BROWSER), *FLAGS, *as_root, f"--user-data-dir={profile}", "--dump-dom", page]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (text,) = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    found: dict[str, str] = json.loads(html.unescape(text))
    return found


def keys(aws: EmbeddedAws) -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket="browsed")["Contents"]
    return [each["Key"] for each in found]


def test_a_page_on_another_port_creates_invokes_reads_and_uploads_nothing(
    embedded_aws, page, tmp_path
):
    found = opened(page, tmp_path)
    # Without CORS a page never sees the answer to what it sends, so look at what came of it.
    sent = ("create", "invoke", "make a queue")
    assert found == {
        **dict.fromkeys(sent, "sent"),
        **dict.fromkeys(("upload", "read", "read the API"), "blocked"),
    }
    functions = embedded_aws.client("lambda").list_functions()["Functions"]
    assert "made-by-a-page" not in [each["FunctionName"] for each in functions]
    queues = embedded_aws.client("sqs").list_queues(QueueNamePrefix="made-by-")
    assert not queues.get("QueueUrls")
    assert keys(embedded_aws) == ["secret.txt"]


def test_a_page_whose_origin_a_bucket_allows_reads_and_uploads_there_alone(
    embedded_aws, page, tmp_path
):
    rule = {"AllowedOrigins": [page], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    embedded_aws.client("s3").put_bucket_cors(
        Bucket="browsed", CORSConfiguration={"CORSRules": [rule]}
    )
    found = opened(page, tmp_path)
    assert (found["read"], found["upload"], found["read the API"]) == ("secret", "", "blocked")
    assert keys(embedded_aws) == ["secret.txt", "uploaded.txt"]
