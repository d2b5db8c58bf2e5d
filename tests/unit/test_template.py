"""What the template promises, beyond what cfn-lint looks at."""

import json
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load as load_template
from ministack.services import eventbridge

ROOT = Path(__file__).parents[2]
TEMPLATE = load_template(str(ROOT / "template.yaml"))
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = [n for n, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::Function"]


def statements():
    for resource in RESOURCES.values():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            documents = policy.get("Fn::If", [None, policy])[1:2]
            for document in documents:
                yield from document.get("PolicyDocument", document)["Statement"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_folder_its_log_group_and_pinned_requirements(name):
    folder = ROOT / "functions" / name.removesuffix("Function").lower()
    assert (folder / "app.py").exists()
    assert f"{name.removesuffix('Function')}LogGroup" in RESOURCES
    pinned = [
        line
        for line in (folder / "requirements.txt").read_text().splitlines()
        if line and line[0].isalpha()
    ]
    assert pinned
    assert all("==" in line for line in pinned)


def test_no_action_is_a_wildcard():
    for statement in statements():
        actions = statement["Action"]
        actions = actions if isinstance(actions, list) else [actions]
        assert not [action for action in actions if "*" in action]


def test_resources_are_wildcards_only_where_aws_has_no_resource_level():
    allowed = {"LogAndTrace", "Measure", "LogInToRegistry", "FindDeployments"}
    assert {s["Sid"] for s in statements() if s["Resource"] == "*"} == allowed


@pytest.mark.parametrize("bucket", ["InboxBucket", "RunsBucket"])
def test_buckets_are_closed_encrypted_versioned_and_outlive_the_stack(bucket):
    resource = RESOURCES[bucket]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    properties = resource["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "BucketEncryption" in properties
    (statement,) = RESOURCES[f"{bucket}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def pattern(function: str, event: str, bucket: str) -> dict:
    found = RESOURCES[function]["Properties"]["Events"][event]["Properties"]["Pattern"]
    return json.loads(json.dumps(found).replace(json.dumps({"Ref": bucket}), '"the-bucket"'))


def matches(pattern: dict, key: str, **changes) -> bool:
    event = json.loads((ROOT / "events/preprocess-iris.json").read_text())
    event["detail"]["bucket"]["name"] = "the-bucket"
    event["detail"]["object"]["key"] = key
    event |= changes
    request = {"EventPattern": json.dumps(pattern), "Event": json.dumps(event)}
    _, _, answer = eventbridge._test_event_pattern(request)
    return json.loads(answer)["Result"]


@pytest.mark.parametrize("key", ["iris.csv", "iris/2026.csv", "a b.CSV", "iris.csv.gz", "x.Csv.GZ"])
def test_csv_files_in_the_inbox_start_preprocess(key):
    assert matches(pattern("PreprocessFunction", "FileDropped", "InboxBucket"), key)


@pytest.mark.parametrize("key", ["iris.txt", "csv", "iris.csv.zip", "iris.gz", "iris/schema.json"])
def test_other_files_start_nothing(key):
    assert not matches(pattern("PreprocessFunction", "FileDropped", "InboxBucket"), key)


def test_only_a_manifest_starts_split():
    of_split = pattern("SplitFunction", "DataPrepared", "RunsBucket")
    assert matches(of_split, "runs/iris-1/clean/manifest.json")
    assert not matches(of_split, "runs/iris-1/clean/data.csv")
    assert not matches(of_split, "runs/iris-1/manifest.json")
    assert not matches(of_split, "runs/x/clean/manifest.json", **{"detail-type": "Object Deleted"})
