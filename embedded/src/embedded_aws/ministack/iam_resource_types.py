"""Resource types of IAM that MiniStack's CloudFormation lacks.

Like the server this takes hold of MiniStack's internals, and the same test watches over it.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import provisioners

Properties = Mapping[str, Any]


def install() -> None:
    """Add what isn't there."""
    handlers = provisioners._RESOURCE_HANDLERS
    policy = handlers["AWS::IAM::Policy"]
    handlers["AWS::IAM::RolePolicy"] = {
        "create": lambda name, properties, stack: policy["create"](
            name, of_one_role(properties), stack
        ),
        "update": lambda physical_id, old, new, *rest: policy["update"](
            physical_id, of_one_role(old), of_one_role(new), *rest
        ),
        "delete": lambda physical_id, properties: policy["delete"](
            physical_id, of_one_role(properties)
        ),
    }
    handlers["AWS::IAM::OIDCProvider"] = {"create": create_provider, "delete": delete_provider}


def of_one_role(properties: Properties) -> dict[str, Any]:
    """Return a role policy as a policy of that role alone."""
    return {**properties, "Roles": [properties["RoleName"]]}


def create_provider(_: str, properties: Properties, __: str) -> tuple[str, dict[str, str]]:
    """Create an identity provider, and return its ARN."""
    lists = {
        f"{member}.member.{number}": value
        for member in ("ClientIDList", "ThumbprintList")
        for number, value in enumerate(properties.get(member.replace("ID", "Id"), []), 1)
    }
    status, _, body = iam._create_oidc_provider({"Url": properties["Url"], **lists})
    if status >= 400:
        raise ValueError(f"the identity provider could not be created: {body!r}")
    arn = next(a for a, p in iam._oidc_providers.items() if p["Url"] == properties["Url"])
    return arn, {"Arn": arn}


def delete_provider(arn: str, _: Properties) -> None:
    """Delete an identity provider, if it is there."""
    iam._delete_oidc_provider({"OpenIDConnectProviderArn": arn})
