"""Write the regions' accounts of the k-NN image from the SageMaker SDK into ``template.yaml``.

.venv-sdk/bin/python scripts/knn_images.py            writes
.venv-sdk/bin/python scripts/knn_images.py --check    exits with 1 if the template differs
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
BEGIN = "  # From the SageMaker SDK's image_uris, by scripts/knn_images.py."
END = "  # End of what scripts/knn_images.py writes."
_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/knn:1")


def accounts() -> dict[str, str]:
    """Return the account that holds the k-NN image, by region.

    The rest of the image's address is the same everywhere: the region, and the partition's domain,
    which CloudFormation knows as ``AWS::URLSuffix``.
    """
    from sagemaker.core import image_uris

    config = image_uris.config_for_framework("knn")
    found = {}
    for region in sorted(config["versions"]["1"]["registries"]):
        uri = image_uris.retrieve("knn", region, version="1")
        match = _URI.fullmatch(uri)
        if match is None or match["region"] != region:
            raise ValueError(f"not the image's usual address: {uri}")
        found[region] = match["account"]
    return found


def mapping(by_region: dict[str, str]) -> str:
    """Return the section between the marks, as YAML."""
    lines = [f'    {region}: {{Account: "{account}"}}' for region, account in by_region.items()]
    return "\n".join([BEGIN, "  KnnImage:", *lines, END])


def with_mapping(template: str, by_region: dict[str, str]) -> str:
    """Return the template with the section between the marks written anew."""
    section = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    written, count = section.subn(lambda _: mapping(by_region), template)
    if count != 1:
        raise ValueError(f"the template has {count} sections between the marks, instead of one")
    return written


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Keep the template's images those of the SDK.")
    parser.add_argument("--check", action="store_true", help="only tell whether they are the same")
    parser.add_argument("--template", type=Path, default=TEMPLATE)
    options = parser.parse_args()
    template = options.template.read_text()
    written = with_mapping(template, accounts())
    if options.check and written != template:
        print("template.yaml and the SageMaker SDK differ: run make images", file=sys.stderr)
        return 1
    if not options.check:
        options.template.write_text(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
