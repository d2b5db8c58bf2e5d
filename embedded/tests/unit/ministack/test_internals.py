"""That MiniStack still has what ``embedded_aws.ministack`` takes hold of.

What is checked comes from the patches that are declared there, and from what its modules name of
MiniStack. A failure means that the pinned version was changed: look the name up in the new version,
and adapt the patch.
"""

import ast
import asyncio
import importlib
import inspect
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ministack import app
from ministack.core import lambda_runtime
from ministack.services import apigateway_v1, lambda_svc, s3, ses, stepfunctions
from ministack.services.cloudformation import stacks

from embedded_aws.ministack import apigateway, saving, server, services
from embedded_aws.ministack.patch import Patch, load

PATCHES = load()
REPLACED = [patch for patch in PATCHES if not patch.is_new]
ADDED = [patch for patch in PATCHES if patch.is_new]
SOURCES = sorted(Path(str(server.__file__)).parent.glob("*.py"))


def title(patch: Patch) -> str:
    """The name of what is patched."""
    return f"{getattr(patch.target, '__name__', 'table')}.{patch.name}"[-60:]


# --- what is patched -------------------------------------------------------------------------


def test_each_patch_was_written_for_the_version_that_is_pinned() -> None:
    assert {patch.version for patch in PATCHES} == {version("ministack")}


def test_no_function_is_patched_in_two_places() -> None:
    places = Counter((id(patch.target), patch.name) for patch in PATCHES)
    assert [place for place, number in places.items() if number > 1] == []


@pytest.mark.parametrize("patch", PATCHES, ids=title)
def test_a_patch_says_what_it_fixes_and_by_which_source_or_what_it_serves(patch: Patch) -> None:
    assert bool(patch.fixes) != bool(patch.serves)
    assert bool(patch.fixes) == bool(patch.source)


@pytest.mark.parametrize("patch", REPLACED, ids=title)
def test_a_function_takes_what_its_replacement_expects(patch: Patch) -> None:
    given = iter(inspect.signature(patch.current).parameters)
    expected = iter(inspect.signature(patch.replacement).parameters.values())
    assert next(expected).name == "original"
    for parameter in expected:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return
        assert parameter.name == next(given, None)
    assert list(given) == []


@pytest.mark.parametrize("patch", ADDED, ids=title)
def test_a_table_has_no_such_entry_of_its_own(patch: Patch) -> None:
    assert patch.name not in patch.target, "MiniStack has it now: decide which one to keep"


@pytest.mark.parametrize(
    "patch", [patch for patch in REPLACED if isinstance(patch.target, ModuleType)], ids=title
)
def test_nobody_has_a_hold_of_a_function_that_is_replaced(patch: Patch) -> None:
    """A module that has imported it by its name would go on with the original."""
    original = patch.current
    replaced = {(id(other.target), other.name) for other in REPLACED}
    holders = [
        (module.__name__, name)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("ministack.")
        for name, value in list(vars(module).items())
        if value is original
        and (id(module), name) not in replaced
        and module.__name__ != original.__module__
    ]
    assert holders == []


@pytest.mark.parametrize(
    "patch", [patch for patch in REPLACED if isinstance(patch.target, ModuleType)], ids=title
)
def test_a_function_that_is_replaced_is_used_by_its_name(patch: Patch) -> None:
    package = Path(str(app.__file__)).parent
    used = re.compile(rf"(?<!def ){re.escape(patch.name)}\b(?! = )")
    assert any(used.search(path.read_text()) for path in package.rglob("*.py"))


# --- what is named besides -------------------------------------------------------------------


def imported(tree: ast.Module) -> dict[str, Any]:
    """What a module has imported of MiniStack, by its name there."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def named() -> Iterator[tuple[str, Any, str]]:
    """What our modules name of MiniStack's: where, the module and the name."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        known = imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = known.get(node.value.id)
                if isinstance(module, ModuleType):
                    yield f"{path.name}:{node.lineno}", module, node.attr


def calls() -> Iterator[tuple[str, Any, ast.Call]]:
    """Calls of MiniStack's functions in our modules: where, the function and the call."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        known = imported(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            function = known.get(called.id) if isinstance(called, ast.Name) else None
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                function = getattr(known.get(called.value.id), called.attr, None)
            if function is not None:
                yield f"{path.name}:{node.lineno}:{node.col_offset}", function, node


def test_ministack_has_all_that_is_named() -> None:
    found = list(named())
    assert len(found) > 50
    assert [(at, name) for at, module, name in found if not hasattr(module, name)] == []
    assert [part for part in apigateway.API_PARTS if not hasattr(apigateway_v1, part)] == []


@pytest.mark.parametrize(
    ("function", "call"), [pytest.param(*rest, id=at) for at, *rest in calls()]
)
def test_a_function_takes_what_it_is_called_with(function: Any, call: ast.Call) -> None:
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    positional = [None for argument in call.args if not isinstance(argument, ast.Starred)]
    signature = inspect.signature(function)
    if starred or len(keywords) < len(call.keywords):
        signature.bind_partial(*positional, **keywords)
    else:
        signature.bind(*positional, **keywords)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        (stepfunctions._run_execution, '"Task": _execute_task'),
        (stepfunctions._run_sub_machine, '"Task": _execute_task'),
        (stepfunctions._execute_task, "_invoke_resource(resource, effective)"),
        (stepfunctions._invoke_resource_with_timeout, "_invoke_resource, resource"),
        (stepfunctions._run_execution, "_apply_output_path(state_def, current_input"),
        (stepfunctions._start_execution, "args=(_run_execution, exec_arn)"),
        (stepfunctions._start_execution, '"executionArn": exec_arn'),
        (stepfunctions._stop_execution, 'execution["status"] = "ABORTED"'),
        (lambda_runtime.invalidate_worker, "kill_workers(doomed)"),
        (lambda_runtime.Worker.invoke, "with self._lock:"),
        (lambda_runtime.Worker._spawn, "zf.extractall(code_dir)"),
        (lambda_runtime.Worker._spawn, "lzf.extractall(layer_dir)"),
        (lambda_svc.get_state, '"layers": copy.deepcopy(_layers)'),
        (lambda_svc._restore_state, '_layers.update(data.get("layers", {}))'),
        (apigateway_v1, "invoke = _invoke_lambda_proxy_v1"),
        (stacks, "_runs_on_worker_thread(rtype)"),
        (app._dispatch_service_request, "import (\n            access_denied_response"),
        (app._handle_ses_v2_request, "_enforce_ses_v2(method, path, headers, body"),
        (app._handle_ses_v2_request, '_get_module("ses_v2").handle_request('),
    ],
    ids=lambda value: str(getattr(value, "__name__", value))[:40],
)
def test_what_is_replaced_does_what_the_replacement_relies_on(where: Any, source: str) -> None:
    assert source in inspect.getsource(where)


def test_what_is_replaced_is_given_what_the_replacement_looks_for() -> None:
    assert "version_id" in inspect.signature(s3._fire_s3_event).parameters
    assert "body" in inspect.signature(apigateway_v1._invoke_lambda_proxy_v1).parameters
    assert hasattr(ses._sent_emails, "update")
    assert hasattr(stepfunctions._executions, "all_values")


def test_all_that_step_functions_keep_is_saved() -> None:
    keeps = re.findall(r'"(\w+)": copy', inspect.getsource(stepfunctions.get_state))
    (patched,) = (each for each in PATCHES if each.replacement is saving.stepfunctions_state)
    assert list(patched.replacement(patched.current)) == keeps


# --- what is added ---------------------------------------------------------------------------


def test_invocations_hold_up_neither_each_other_nor_the_control_plane() -> None:
    as_many_as_an_endpoint_may_have = 200
    started = threading.Semaphore(0)
    let = threading.Event()

    def respond(_: Any, __: str, path: str, *___: Any) -> Any:
        if path.startswith("/endpoints/"):
            started.release()
            assert let.wait(20)
        return 200, {}, b""

    handle = services.off_the_loop("sagemaker", respond, lambda *_: [])

    async def invoke_and_describe() -> None:
        waiting = [
            asyncio.create_task(handle("POST", "/endpoints/iris/invocations", {}, b"", {}))
            for _ in range(as_many_as_an_endpoint_may_have)
        ]
        try:
            for _ in waiting:
                assert await asyncio.to_thread(started.acquire, timeout=20)
            await asyncio.wait_for(handle("POST", "/", {}, b"", {}), 20)
        finally:
            let.set()
        await asyncio.gather(*waiting)

    asyncio.run(invoke_and_describe())
