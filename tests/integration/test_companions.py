"""The templates in companions/, sent to the embedded CloudFormation as they stand."""

from typing import Any

import pytest

from embedded_aws.testing import EmbeddedAws
from tests.states_language import ROOT

COMPANIONS = sorted((ROOT / "companions").glob("*.yaml"))


def parameters(aws: EmbeddedAws, companion: str) -> dict[str, str]:
    """What a companion must be given, as its documentation has it."""
    if companion == "deploy_role":
        return {"Repository": "owner/name"}
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    (table, *_) = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    return {"VpcId": vpc, "SubnetIds": subnet, "RouteTableIds": table["RouteTableId"]}


@pytest.mark.parametrize("path", COMPANIONS, ids=lambda path: path.stem)
def test_a_companion_is_deployed_as_it_stands(embedded_aws: EmbeddedAws, path: Any) -> None:
    cloudformation, name = embedded_aws.client("cloudformation"), path.stem.replace("_", "-")
    given = parameters(embedded_aws, path.stem)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=path.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert all(output["OutputValue"] for output in stack["Outputs"])
    if path.stem == "deploy_role":
        arn = stack["Outputs"][0]["OutputValue"]
        policies = embedded_aws.client("iam").list_role_policies(RoleName=arn.partition("/")[2])
        assert policies["PolicyNames"] == ["ApplicationRoles"]
    cloudformation.delete_stack(StackName=name)
