"""Pages of other origins and names of other machines get nothing out of the embedded AWS."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from embedded_aws.testing import EmbeddedAws

EVIL = "http://127.0.0.1:1"
FRIEND = "https://friend.example"


def request(
    aws: EmbeddedAws,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as it is; return status, headers and body of the answer."""
    server = urlsplit(aws.endpoint_url)
    connection = http.client.HTTPConnection(server.hostname or "", server.port, timeout=30)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, found, answer.read()


def host_of(aws: EmbeddedAws) -> str:
    return urlsplit(aws.endpoint_url).netloc


@pytest.fixture(scope="module")
def bucket(embedded_aws: EmbeddedAws) -> str:
    s3 = embedded_aws.client("s3")
    s3.create_bucket(Bucket="shared-with-friends")
    s3.put_object(Bucket="shared-with-friends", Key="a.txt", Body=b"hello")
    rule = {"AllowedOrigins": [FRIEND], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket="shared-with-friends", CORSConfiguration={"CORSRules": [rule]})
    return "shared-with-friends"


ACTIONS = [
    ("GET", "/?Action=CreateQueue&QueueName=made-by-a-page&Version=2012-11-05", b""),
    ("POST", "/", b"Action=CreateQueue&QueueName=made-by-a-page&Version=2012-11-05"),
    ("POST", "/2015-03-31/functions", b'{"FunctionName": "made-by-a-page"}'),
    ("POST", "/2015-03-31/functions/any/invocations", b"{}"),
    ("GET", "/shared-with-friends/a.txt", b""),
    ("PUT", "/shared-with-friends/b.txt", b"uploaded"),
    ("POST", "/shared-with-friends", b"Action=CreateQueue&QueueName=made-by-a-page"),
    ("GET", "/_ministack/health", b""),
    ("OPTIONS", "/", b""),
    ("OPTIONS", "/shared-with-friends/a.txt", b""),
]
PAGES = {
    "another port": {"Origin": EVIL},
    "a file or a sandboxed frame": {"Origin": "null"},
    "an image or a script": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a subdomain of localhost": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "a link": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize(("method", "path", "body"), ACTIONS)
def test_a_page_of_another_origin_is_refused(embedded_aws, bucket, page, method, path, body):
    status, headers, answer = request(
        embedded_aws, method, path, {**page, "Content-Type": "text/plain"}, body or None
    )
    assert status in (400, 403), answer
    assert not [name for name in headers if name.startswith("access-control-")]
    queues = embedded_aws.client("sqs").list_queues(QueueNamePrefix="made-by-a-page")
    assert not queues.get("QueueUrls")
    assert [
        each["Key"] for each in embedded_aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    ] == ["a.txt"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:4566",
        "192.168.0.1",
        "[::2]",
    ],
)
def test_a_name_of_another_machine_is_refused(embedded_aws, bucket, host):
    status, _, answer = request(embedded_aws, "GET", f"/{bucket}/a.txt", {"Host": host})
    assert (status, answer) == (403, f"{host} is not a name of this machine.".encode())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:80", "[::1]:4566", "LOCALHOST", "host.docker.internal:4566"]
)
def test_names_of_this_machine_are_answered(embedded_aws, bucket, host):
    assert request(embedded_aws, "GET", f"/{bucket}/a.txt", {"Host": host})[0] == 200
    below = {"Host": f"{bucket}.localhost:4566"}
    assert request(embedded_aws, "GET", "/a.txt", below)[2] == b"hello"


def test_what_a_buckets_cors_configuration_allows_is_answered_with_its_headers(
    embedded_aws, bucket
):
    path = f"/{bucket}/a.txt"
    status, headers, body = request(embedded_aws, "GET", path, {"Origin": FRIEND})
    assert (status, body) == (200, b"hello")
    assert headers["access-control-allow-origin"] == FRIEND
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "PUT"}
    status, headers, _ = request(embedded_aws, "OPTIONS", path, asked)
    assert (status, headers["access-control-allow-methods"]) == (200, "GET, PUT")
    # The method isn't one of the rule's.
    assert request(embedded_aws, "DELETE", path, {"Origin": FRIEND})[0] == 403
    assert request(embedded_aws, "GET", path, {})[0] == 200


def test_own_pages_and_clients_that_are_no_browsers_are_answered_without_cors(embedded_aws, bucket):
    own = {"Origin": f"http://{host_of(embedded_aws)}", "Sec-Fetch-Site": "same-origin"}
    typed = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}
    for sent in (own, typed, {}):
        status, headers, _ = request(embedded_aws, "GET", f"/{bucket}/a.txt", sent)
        assert status == 200
        assert not [name for name in headers if name.startswith("access-control-")]


def test_a_link_with_a_signature_leads_to_its_file(embedded_aws, bucket):
    url = embedded_aws.client("s3").generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "a.txt"}
    )
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    path = url.removeprefix(embedded_aws.endpoint_url)
    assert request(embedded_aws, "GET", path, link)[2] == b"hello"


def api_of(aws: EmbeddedAws, options: dict[str, Any] | None) -> str:
    """Return the path of an API's only resource, which answers OPTIONS if it is told how."""
    gateway = aws.client("apigateway")
    api = gateway.create_rest_api(name="pages")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    methods = {"GET": {}} | ({"OPTIONS": options} if options else {})
    for method, headers in methods.items():
        where = {"restApiId": api, "resourceId": root, "httpMethod": method}
        gateway.put_method(**where, authorizationType="NONE")
        template = {"application/json": json.dumps({"statusCode": 200})}
        gateway.put_integration(**where, type="MOCK", requestTemplates=template)
        named = {f"method.response.header.{name}": value for name, value in headers.items()}
        gateway.put_method_response(
            **where, statusCode="200", responseParameters=dict.fromkeys(named, False)
        )
        gateway.put_integration_response(**where, statusCode="200", responseParameters=named)
    gateway.create_deployment(restApiId=api, stageName="v1")
    return f"/_aws/execute-api/{api}/v1/"


def test_an_api_is_answered_to_pages_that_its_own_preflight_allows(embedded_aws):
    closed = api_of(embedded_aws, None)
    assert request(embedded_aws, "GET", closed, {})[0] == 200
    assert request(embedded_aws, "GET", closed, {"Origin": FRIEND})[0] == 403
    opened = api_of(
        embedded_aws,
        {
            "Access-Control-Allow-Origin": f"'{FRIEND}'",
            "Access-Control-Allow-Methods": "'GET'",
        },
    )
    assert request(embedded_aws, "GET", opened, {"Origin": FRIEND})[0] == 200
    assert request(embedded_aws, "GET", opened, {"Origin": EVIL})[0] == 403
    assert request(embedded_aws, "GET", opened, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    status, headers, _ = request(embedded_aws, "OPTIONS", opened, {"Origin": FRIEND})
    assert (status, headers["access-control-allow-origin"]) == (200, FRIEND)
