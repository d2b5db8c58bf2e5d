"""That the documentation names what there is, and what there is stands in it."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from cfnlint.decode.cfn_yaml import load as load_template

from cli.program import cli
from pipeline.settings import Settings
from tools.benchmarks.costs import Assumptions, Prices, tables

ROOT = Path(__file__).parents[2]
TEMPLATE = load_template(str(ROOT / "template.yaml"))
RUNBOOK = (ROOT / "docs/operations.md").read_text()
DATASETS = (ROOT / "docs/datasets.md").read_text()
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
DECISIONS = list(ROOT.glob("docs/decisions/*.md"))
WORKFLOWS = list(ROOT.glob(".github/workflows/*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def resources(resource_type: str) -> dict[str, dict]:
    return {n: r for n, r in TEMPLATE["Resources"].items() if r["Type"] == resource_type}


@pytest.mark.parametrize("alarm", resources("AWS::CloudWatch::Alarm"))
def test_the_runbook_says_what_to_do_about_each_alarm(alarm):
    rows = [line for line in RUNBOOK.splitlines() if line.startswith("|") and f"`{alarm}`" in line]
    assert rows


@pytest.mark.parametrize("machine", [path.name for path in (ROOT / "statemachine").iterdir()])
def test_the_runbook_says_what_to_do_about_each_error_that_an_execution_ends_with(machine):
    states = json.loads((ROOT / "statemachine" / machine).read_text())["States"]
    failures = [state["Error"] for state in states.values() if state["Type"] == "Fail"]
    names = {name for error in failures for name in re.findall(r"\b[A-Z]\w+", error)}
    # What these come to, an error among it, is for the execution to tell that asked for it.
    assert names or machine in ("canary.asl.json", "deploy_endpoint.asl.json")
    assert {name for name in names if f"| `{name}` |" not in RUNBOOK} == set()


def test_the_runbook_names_each_saved_query():
    names = [q["Properties"]["Name"] for q in resources("AWS::Logs::QueryDefinition").values()]
    saved = {str(name["Fn::Sub"]).partition("/")[2] for name in names}
    assert saved
    assert {name for name in saved if f"`{name}`" not in RUNBOOK} == set()


def test_the_costs_are_those_that_the_benchmark_computes():
    assert "\n".join(tables(Prices(), Assumptions())) in RUNBOOK


def test_a_setting_has_one_default_wherever_it_is_written_down():
    defaults = {f.name: f.default for f in fields(Settings) if f.default not in (None, ())}
    schema = json.loads((ROOT / "functions/preprocess/dataset.schema.json").read_text())
    assert defaults == {n: p["default"] for n, p in schema["properties"].items() if "default" in p}
    rows = re.findall(r"^\| (`\w+`.*) \| .* \| (.+) \|$", DATASETS, re.MULTILINE)
    told = {name: value for names, value in rows for name in re.findall(r"`(\w+)`", names)}
    assert defaults == {name: yaml.safe_load(told[name].strip("`")) for name in defaults}
    for name, parameter in TEMPLATE["Parameters"].items():
        if (setting := re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()) in defaults:
            assert yaml.safe_load(str(parameter["Default"])) == defaults[setting], name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_a_page_is_there(page):
    text = page.read_text()
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))
    targets = set(re.findall(r"\bmake ([a-z]+)\b", code))
    assert targets <= TARGETS
    flags = r"(?: --aws| --stack-name \S+)*"
    commands = set(re.findall(rf"(?:`|^|bin/)knn{flags}\s+([a-z]+)\b", code, re.MULTILINE))
    assert commands <= set(cli.commands)


def test_each_benchmark_of_a_page_is_there_and_finds_what_it_measures():
    named = {
        n for p in [*PAGES, *DECISIONS] for n in re.findall(r"benchmarks\.(\w+)", p.read_text())
    }
    assert {"accuracy", "preprocess_and_split"} <= named
    imports = "; ".join(f"import tools.benchmarks.{name}" for name in sorted(named))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", imports]
    assert subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_parameter_that_a_page_sets_is_one_of_a_template(page):
    known = set(TEMPLATE["Parameters"])
    for path in ROOT.glob("companions/*.yaml"):
        known |= set(load_template(str(path))["Parameters"])
    assert set(re.findall(r"\b([A-Z][a-z]+[A-Za-z]+)=", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_of_a_page_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    targets = [page.parent / link for link in links if "://" not in link]
    assert [str(target) for target in targets if not target.exists()] == []


def test_contributors_are_led_to_files_that_there_are():
    page = (ROOT / "docs/CONTRIBUTING.md").read_text()
    page = page.partition("## Where to change what")[2].partition("\n## ")[0]
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", page)
    assert "functions/preprocess/survey.py" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_configuration_sets_parameters_that_there_are():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert {"default", "dev", "prod", "local"} <= set(config)
    for name in set(config) - {"version"}:
        set_here = config[name]["deploy"]["parameters"].get("parameter_overrides", "").split()
        assert {pair.partition("=")[0] for pair in set_here} <= set(TEMPLATE["Parameters"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_there_is_by_actions_that_are_pinned(path):
    jobs = yaml.safe_load(path.read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        else:
            assert set(re.findall(r"\bmake ([a-z]+)\b", step["run"])) <= TARGETS
    assert all(job["timeout-minutes"] for job in jobs.values())


def test_only_what_is_tagged_and_has_passed_everything_is_deployed():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    deploy = jobs["deploy"]
    assert deploy["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert set(deploy["needs"]) == set(jobs) - {"deploy"}
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == [
        "deploy"
    ]
