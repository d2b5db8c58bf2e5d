"""What the template promises, beyond what cfn-lint looks at."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.decode.cfn_yaml import load as load_template

from cli.embedded import WAIT_SCALE
from pipeline.layout import AsyncFolder, RunFolder
from pipeline.objects import INTERMEDIATE
from tests.transformed_template import transformed

ROOT = Path(__file__).parents[2]
TEMPLATE = load_template(str(ROOT / "template.yaml"))
TEXT = (ROOT / "template.yaml").read_text()
LINES = TEXT.splitlines()
RESOURCES = TEMPLATE["Resources"]
FIRST_RETRY_SECONDS = 60
FUNCTIONS = [n for n, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::Function"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_folder_its_log_group_and_pinned_requirements(name):
    package, module, function = RESOURCES[name]["Properties"]["Handler"].split(".")
    assert package == name.removesuffix("Function").removesuffix("Parts").lower()
    folder = ROOT / "functions" / package
    assert (folder / f"{module}.py").exists()
    assert function == "handler"
    assert f"{name.removesuffix('Function')}LogGroup" in RESOURCES
    pinned = [
        line
        for line in (folder / "requirements.txt").read_text().splitlines()
        if line and line[0].isalpha()
    ]
    assert pinned
    assert all("==" in line for line in pinned)


def test_what_is_said_more_than_once_stands_in_one_block_and_is_used():
    events = list(yaml.parse(TEXT))
    used = {event.anchor for event in events if isinstance(event, yaml.AliasEvent)}
    anchors = {
        event.anchor: event.start_mark.line
        for event in events
        if getattr(event, "anchor", None) and not isinstance(event, yaml.AliasEvent)
    }
    assert set(anchors) == used
    assert LINES.index("  Shared:") < min(anchors.values())
    assert max(anchors.values()) < LINES.index("  cfn-lint:")


def test_what_is_merged_is_not_given_again_which_checkov_does_not_read():
    def keys(node: yaml.MappingNode) -> Iterator[str]:
        for key, value in node.value:
            yield from keys(value) if key.value == "<<" else [key.value]

    waiting, mappings = [yaml.compose(TEXT)], 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            found = list(keys(node))
            assert len(found) == len(set(found)), (node.start_mark.line + 1, found)
            mappings += 1
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    assert mappings > 1000


def policy_statements(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield each statement of a policy in the template, as it stands there."""
    if isinstance(node, yaml.MappingNode):
        fields = {key.value: value for key, value in node.value}
        if {"Effect", "Action"} <= set(fields):
            yield node
        for value in fields.values():
            yield from policy_statements(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from policy_statements(value)


def is_wide(statement: yaml.MappingNode) -> bool:
    """Whether an action, resource or principal is a wildcard as a whole, ``s3:*`` included."""
    for key, value in statement.value:
        values = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if key.value in ("Action", "Resource", "Principal"):
            scalars = [item.value for item in values if isinstance(item, yaml.ScalarNode)]
            if any(text == "*" or re.fullmatch(r"[\w-]+:.*\*.*", text) for text in scalars):
                return key.value != "Resource" or "*" in scalars
    return False


def comment_of(statement: yaml.MappingNode) -> str:
    """The comments in a statement, and just above it."""
    first = statement.start_mark.line
    while LINES[first - 1].lstrip().startswith("#"):
        first -= 1
    return "\n".join(
        line for line in LINES[first : last_line(statement)] if line.lstrip().startswith("#")
    )


def last_line(node: yaml.Node) -> int:
    """The line that a node ends in; its end mark stands at whatever comes after."""
    if isinstance(node, yaml.CollectionNode) and node.value:
        last = node.value[-1]
        return last_line(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.line)


def test_every_wildcard_of_a_policy_has_its_reason_beside_it():
    wide = [s for s in policy_statements(yaml.compose(TEXT)) if is_wide(s)]
    assert wide
    for statement in wide:
        assert comment_of(statement), LINES[statement.start_mark.line]


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


@pytest.mark.parametrize("bucket", ["InboxBucket", "RunsBucket"])
def test_versions_are_kept_for_as_long_as_asked_and_forever_by_default(bucket):
    assert TEMPLATE["Parameters"]["NoncurrentVersionDays"]["Default"] == 0
    rule = rules_of(bucket)["ForgetVersions"]
    assert rule.pop("If") == "ForgetsVersions"
    expiry = {"NoncurrentDays": {"Ref": "NoncurrentVersionDays"}}
    assert rule == {"NoncurrentVersionExpiration": expiry}


def rules_of(bucket: str) -> dict[str, dict[str, Any]]:
    """The lifecycle rules of a bucket by their ids, each with the condition that it has as If."""
    found = {}
    for rule in RESOURCES[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]:
        condition, then, otherwise = rule.get("Fn::If", [None, rule, {"Ref": "AWS::NoValue"}])
        assert otherwise == {"Ref": "AWS::NoValue"}
        found[then["Id"]] = {"If": condition, **then}
        assert found[then["Id"]].pop("Status") == "Enabled"
        del found[then["Id"]]["Id"]
    return found


@pytest.mark.parametrize(
    ("bucket", "rule", "parameter", "selected"),
    [
        ("RunsBucket", "ExpireIntermediateFiles", "IntermediateFileDays", INTERMEDIATE),
        ("RunsBucket", "ExpireAsync", "AsyncDays", AsyncFolder("").prefix),
        ("RunsBucket", "ExpireBatches", "BatchDays", "batches/"),
        ("InboxBucket", "ExpireBatches", "BatchDays", "score/"),
    ],
)
def test_data_that_is_only_needed_for_a_while_expires_as_asked(bucket, rule, parameter, selected):
    """No version of it stays, and none of the delete markers."""
    key, _, value = selected.partition("=")
    found = rules_of(bucket)[rule]
    condition = found.pop("If")
    assert TEMPLATE["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, "0"]}]
    }
    assert found == {
        "ExpirationInDays": {"Ref": parameter},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        **({"TagFilters": [{"Key": key, "Value": value}]} if value else {"Prefix": selected}),
    }
    assert rules_of(bucket)["ForgetDeleteMarkers"] == {
        "If": None,
        "ExpiredObjectDeleteMarker": True,
    }


def test_files_are_kept_for_longer_than_an_event_about_them_may_wait_in_a_queue():
    queues = [
        resource["Properties"]["MessageRetentionPeriod"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::SQS::Queue"
    ]
    (seconds,) = set(queues)
    for name in ("IntermediateFileDays", "BatchDays"):
        pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
        allowed = [days for days in range(10_001) if re.fullmatch(pattern, str(days))]
        assert allowed == [0, *range(seconds // 86400, 10_000)]


def test_nothing_that_a_run_is_known_by_is_selected_by_a_rule_that_lets_it_expire():
    prefixes = [rule.get("Prefix", "") for rule in rules_of("RunsBucket").values()]
    run = RunFolder("iris-20261130T120000Z-00000000").prefix
    assert not any(prefix and run.startswith(prefix) for prefix in prefixes)


def test_there_is_a_dashboard_only_where_it_is_asked_for():
    assert TEMPLATE["Parameters"]["CreateDashboard"]["Default"] == "no"
    assert RESOURCES["Dashboard"]["Condition"] == "HasDashboard"


def test_the_api_is_throttled_for_each_key_and_each_operation_and_has_a_quota_as_asked():
    api = RESOURCES["PredictionsApi"]["Properties"]
    plan = api["Auth"]["UsagePlan"]
    assert plan["Throttle"] == {
        "RateLimit": {"Ref": "ApiRateLimit"},
        "BurstLimit": {"Ref": "ApiBurstLimit"},
    }
    (setting,) = api["MethodSettings"]
    assert (setting["ResourcePath"], setting["HttpMethod"]) == ("/*", "*")
    assert setting["ThrottlingRateLimit"] == plan["Throttle"]["RateLimit"]
    assert setting["ThrottlingBurstLimit"] == plan["Throttle"]["BurstLimit"]
    condition, quota, nothing = plan["Quota"]["Fn::If"]
    assert (condition, nothing) == ("HasApiQuota", {"Ref": "AWS::NoValue"})
    assert quota == {"Limit": {"Ref": "ApiQuota"}, "Period": {"Ref": "ApiQuotaPeriod"}}


def test_a_domain_of_ones_own_is_the_address_that_clients_and_emails_are_given():
    address = TEMPLATE["Outputs"]["ApiUrl"]["Value"]
    report = RESOURCES["ReportFunction"]["Properties"]["Environment"]["Variables"]
    assert report["API_URL"] == address
    condition, domain, own = address["Fn::If"]
    path, with_path, without = domain["Fn::If"]
    assert (condition, path) == ("HasApiDomain", "HasApiBasePath")
    assert with_path == {"Fn::Sub": "https://${ApiDomainName}/${ApiBasePath}"}
    assert without == {"Fn::Sub": "https://${ApiDomainName}"}
    assert ".execute-api." in own["Fn::Sub"]
    score = RESOURCES["ScoreFunction"]["Properties"]["Environment"]["Variables"]
    assert score["API_URL"] == {"Fn::If": ["ApiTakesKeys", address, ""]}


def test_requests_are_shifted_to_a_new_version_and_back_on_an_alarm_if_that_is_asked_for():
    def of_deployments(resources: dict[str, Any]) -> set[str]:
        return {n for n, r in resources.items() if r["Type"].startswith("AWS::CodeDeploy")}

    assert of_deployments(transformed()["Resources"]) == set()
    gradual = transformed(FunctionDeployment="Canary10Percent5Minutes")["Resources"]
    application, group = "ServerlessDeploymentApplication", "PredictFunctionDeploymentGroup"
    assert of_deployments(gradual) == {application, group}
    alias = gradual["PredictFunctionAliaslive"]
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"] == {
        "ApplicationName": {"Ref": application},
        "DeploymentGroupName": {"Ref": group},
    }
    shifts = gradual[group]["Properties"]
    _, name = shifts["DeploymentConfigName"]["Fn::Sub"]
    assert name == {"ConfigName": "Canary10Percent5Minutes"}
    alarms = [alarm["Name"]["Ref"] for alarm in shifts["AlarmConfiguration"]["Alarms"]]
    assert alarms == ["PredictErrorsAlarm", "ApiErrorsAlarm"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in shifts["AutoRollbackConfiguration"]["Events"]
    # SAM's own role would have no boundary.
    assert shifts["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}


def test_a_claim_ends_before_the_first_retry_also_where_retries_come_sooner():
    # Source: Lambda developer guide: the first retry comes after one minute.
    longest = TEMPLATE["Parameters"]["ClaimSeconds"]["MaxValue"]
    machine = json.loads((ROOT / "statemachine/train_deploy_validate.asl.json").read_text())
    assert longest < machine["States"]["Report"]["Retry"][1]["IntervalSeconds"]
    assert longest < FIRST_RETRY_SECONDS
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    given = config["local"]["deploy"]["parameters"]["parameter_overrides"]
    claim = re.search(r"ClaimSeconds=([0-9.]+)", given)
    assert claim
    assert float(claim[1]) < FIRST_RETRY_SECONDS * float(WAIT_SCALE)


def test_the_template_is_well_within_the_limits_of_cloudformation():
    # Source: CloudFormation user guide, "Understand CloudFormation quotas".
    largest = transformed(FunctionDeployment="Canary10Percent5Minutes")
    assert len(json.dumps(largest)) < 1_000_000 / 2
    for section, limit in {
        "Resources": 500,
        "Parameters": 200,
        "Outputs": 200,
        "Mappings": 200,
    }.items():
        assert len(largest[section]) < limit / 2


def test_functions_and_what_is_compiled_of_layers_are_for_one_processor():
    asked = [{"Ref": "Architecture"}]
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == asked
    layers = {n: r for n, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::LayerVersion"}
    for layer in (layer["Properties"] for layer in layers.values()):
        takes_wheels = (ROOT / layer["ContentUri"] / "requirements.txt").exists()
        assert layer.get("CompatibleArchitectures") == (asked if takes_wheels else None)


def test_each_way_to_deploy_is_one_that_sam_can_look_up():
    allowed = TEMPLATE["Parameters"]["FunctionDeployment"]["AllowedValues"]
    ways = TEMPLATE["Mappings"]["FunctionDeployments"]
    assert ways == {way: {"IsGradual": str(way != "AllAtOnce").lower()} for way in allowed}


def test_neither_a_domain_nor_a_web_acl_is_made_unless_it_is_asked_for():
    optional = {
        n: r["Condition"] for n, r in RESOURCES.items() if n.startswith(("ApiDomain", "ApiWebAcl"))
    }
    assert optional == {
        "ApiDomain": "HasApiDomain",
        "ApiDomainMapping": "HasApiDomain",
        "ApiDomainRecord": "HasApiHostedZone",
        "ApiWebAcl": "HasApiWebAcl",
    }
    parameters = ("ApiDomainName", "ApiHostedZoneId", "ApiWebAclArn")
    assert {TEMPLATE["Parameters"][name]["Default"] for name in parameters} == {""}


# What AWS gets, and what commands for AWS run; not what only emulates it.
DEPLOYED = [
    ROOT / "template.yaml",
    *ROOT.glob("statemachine/*.json"),
    *ROOT.glob("api/*.yaml"),
    *ROOT.glob("companions/*.yaml"),
    *ROOT.glob("functions/*/*.py"),
    *ROOT.glob("layers/pipeline/pipeline/*.py"),
    *ROOT.glob("cli/*.py"),
    *ROOT.glob("cli/commands/*.py"),
    *ROOT.glob(".github/workflows/*.yml"),
]
# These set up the embedded AWS, which is in one region.
OF_THE_EMBEDDED_AWS = {"containers.py", "embedded.py", "events.py", "relay.py", "settings.py"}
WRITTEN_OUT = re.compile(
    r"\barn:aws\b(?!-)|\barn:aws-(?:cn|us-gov)\b|\b(?:us|eu|ap|cn|sa|ca|me|af|il)(?:-gov)?-[a-z]+-\d\b"
    r"|\b\d{12}\b|\.amazonaws\.com\.cn\b|(?<=[}\w])\.(?:s3|ecr|execute-api|sagemaker)\S*\.amazonaws\.com"
)


def without_tables_of_regions(text: str) -> str:
    """The template without what is there of regions: the mappings, and a rule."""
    mappings = r"  # By tools/regions\.py.*\n(?:.*\n)*?  # End of what tools/regions\.py .*\n"
    rule = r"  ServerlessWhereOffered:\n(?:    .*\n)+"
    return re.sub(rule, "", re.sub(mappings, "", text))


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_account_region_or_partition_is_written_out(path):
    if path.name not in OF_THE_EMBEDDED_AWS:
        found = WRITTEN_OUT.findall(without_tables_of_regions(path.read_text()))
        assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:s3:::bucket",
        "arn:aws-cn:iam::aws:policy/x",
        "us-gov-west-1",
        "x.s3.us-east-1.amazonaws.com",
        "account 123456789012",
    ],
)
def test_what_is_written_out_is_found(text):
    assert WRITTEN_OUT.search(text)


def test_each_function_that_uses_the_key_can_read_what_former_keys_have_encrypted():
    policy = RESOURCES["FormerEncryptionKeysPolicy"]["Properties"]
    named = {role["Ref"].removesuffix("Role") for role in policy["Roles"]}
    functions = {
        name
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Serverless::Function" and "UseKey" in json.dumps(resource)
    }
    assert functions <= named


def test_the_name_of_a_transform_job_is_no_longer_than_sagemaker_takes():
    """63 characters, of which a batch's id has up to 58."""
    text = (ROOT / "statemachine/score_batch.asl.json").read_text()
    task = json.loads(text)["States"]["Transform"]
    suffixes = re.findall(r"'(-[^']*)'", task["Arguments"]["TransformJobName"])
    retries = sum(retry["MaxAttempts"] for retry in task["Retry"])
    assert 58 + sum(map(len, suffixes)) + len(str(retries)) <= 63
