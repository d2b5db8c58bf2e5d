"""AWS Step Functions: Parallel states, and the states of branches and iterations."""

import contextvars
import copy
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from embedded_aws.ministack.patch import Function, patch

PARALLEL = 'Step Functions developer guide, "Parallel workflow state"'
SCOPES = (
    'Step Functions developer guide, "Passing data between states with variables", variable scope'
)

States = Mapping[str, Mapping[str, Any]]

siblings_failed: contextvars.ContextVar[tuple[threading.Event, ...]] = contextvars.ContextVar(
    "siblings_failed", default=()
)
"""One of each Parallel state that what runs is in: whether another of its branches has failed."""


class Abandoned(Exception):
    """The execution, or a Parallel state around, has ended; nothing comes of what still runs."""


@patch(
    stepfunctions,
    "_run_parallel_branches",
    fixes=(
        "a Parallel state ignores Arguments, Output and Assign in JSONata",
        "branches of a Parallel state assign variables outside of it",
    ),
    source=f"{PARALLEL}; {SCOPES}",
)
def run_branches(
    original: Function,
    state_def: Mapping[str, Any],
    raw_input: Any,
    execution: dict[str, Any],
    ctx: dict[str, Any],
) -> tuple[Any, str | None]:
    """Run the branches of a Parallel state_def, and return its output and the next state.

    In JSONata they get its ``Arguments``, and its ``Output`` and ``Assign`` are made of the list of
    theirs. A branch reads the variables around it and keeps its own to itself. When one fails the
    others are stopped before their next state; on AWS, at once.
    """
    jsonata = stepfunctions._state_query_language(state_def, ctx) == "JSONata"
    if jsonata:
        given = stepfunctions._apply_jsonata_arguments(state_def, raw_input, ctx)
    else:
        given = stepfunctions._apply_input_path(state_def, raw_input, ctx)
        given = stepfunctions._apply_parameters(state_def, given, ctx)
    stepfunctions._add_event(execution, "ParallelStateStarted")
    try:
        results = outputs_of(state_def["Branches"], given, execution, ctx)
    except Abandoned:
        if execution["status"] == "RUNNING":
            raise
        return raw_input, None
    except stepfunctions._ExecutionError:
        stepfunctions._add_event(execution, "ParallelStateFailed")
        raise
    stepfunctions._add_event(execution, "ParallelStateSucceeded")
    following = stepfunctions._next_or_end(state_def)
    if jsonata:
        output = stepfunctions._apply_jsonata_output(
            state_def, raw_input, ctx, result=results, default=results
        )
        stepfunctions._apply_state_assign(state_def, raw_input, ctx, result=results)
        return output, following
    result = stepfunctions._apply_result_selector(state_def, results)
    output = stepfunctions._apply_result_path(state_def, raw_input, result)
    return stepfunctions._apply_output_path(state_def, output, ctx), following


def outputs_of(
    branches: list[Mapping[str, Any]], given: Any, execution: dict[str, Any], ctx: dict[str, Any]
) -> list[Any]:
    """Run branches at once, and return their outputs in order, or raise the first error."""
    failed = threading.Event()
    ended: queue.SimpleQueue[tuple[int, Any, Exception | None]] = queue.SimpleQueue()

    def run(number: int, branch: Mapping[str, Any]) -> None:
        siblings_failed.set((*siblings_failed.get(), failed))
        scope = ctx | {"variables": dict(ctx.get("variables", {}))}
        try:
            output = stepfunctions._run_sub_machine(
                branch["States"], branch["StartAt"], given, execution, scope
            )
            ended.put((number, output, None))
        except Exception as error:
            ended.put((number, None, error))

    for number, branch in enumerate(branches):
        # A context for each, since no two threads can be in one.
        in_context = contextvars.copy_context().run
        threading.Thread(target=in_context, args=(run, number, branch), daemon=True).start()
    outputs: dict[int, Any] = {}
    while len(outputs) < len(branches):
        number, output, error = ended.get()
        if error is not None:
            failed.set()
            raise error
        outputs[number] = output
    return [outputs[number] for number in range(len(branches))]


@patch(
    stepfunctions,
    "_run_sub_machine",
    fixes="the history of an execution lacks the states of branches and iterations",
    source='Step Functions API reference, GetExecutionHistory, "HistoryEvent"',
)
def run_states(
    original: Function,
    states: States,
    start_at: str,
    input_data: Any,
    execution: dict[str, Any],
    ctx: dict[str, Any],
) -> Any:
    """Run the states of a branch or an iteration to their end, and return the output.

    They are told in the execution's history, as on AWS, and none is entered once the execution has
    ended or was stopped.
    """
    name, data = start_at, copy.deepcopy(input_data)
    while name:
        if execution["status"] != "RUNNING" or any(e.is_set() for e in siblings_failed.get()):
            raise Abandoned
        if name not in states:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found")
        state, kind = states[name], states[name]["Type"]
        ctx["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        tell(execution, kind, "Entered", name, input=json.dumps(data))
        if kind == "Fail":
            error = stepfunctions._fail_state_error(state, data, ctx)
            raise stepfunctions._ExecutionError(*error)
        data, following = enter(state, data, execution, ctx)
        tell(execution, kind, "Exited", name, output=json.dumps(data))
        name = following
    return data


def enter(
    state: Mapping[str, Any], data: Any, execution: dict[str, Any], ctx: dict[str, Any]
) -> tuple[Any, Any]:
    """Run a state, and return its output and the next one, if any."""
    kind = state["Type"]
    if kind == "Succeed":
        data = stepfunctions._apply_input_path(state, data, ctx)
        return stepfunctions._apply_output_path(state, data, ctx), None
    execute = getattr(stepfunctions, f"_execute_{kind.lower()}", None)
    if execute is None:
        raise stepfunctions._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
    of_execution = (execution,) if kind in ("Task", "Parallel", "Map") else ()
    result: tuple[Any, Any] = execute(state, data, *of_execution, ctx)
    return result


def tell(execution: dict[str, Any], kind: str, what: str, name: str, **data: str) -> None:
    """Add to the execution's history that a state was entered or exited."""
    details = {f"state{what}EventDetails": {"name": name, **data}}
    stepfunctions._add_event(execution, f"{kind}State{what}", details)


@patch(
    stepfunctions,
    "_validate_definition_jsonata",
    fixes="a branch can assign a variable that is assigned around it",
    source=SCOPES,
)
def validate_definition(original: Function, definition_str: Any) -> str | None:
    """Refuse a definition in which a branch or an iteration assigns a variable from around it.

    "A variable assigned in an inner scope cannot have the same name as one assigned in an outer
    scope", whichever state of the scope assigns it. How AWS words the refusal is unknown.
    """
    refusal: str | None = original(definition_str)
    try:
        parsed = json.loads(definition_str)
    except (TypeError, ValueError):
        return refusal
    return refusal or next(assigned_twice(parsed, frozenset(), "/States"), None)


def assigned_twice(machine: Any, outer: frozenset[str], path: str) -> Iterator[str]:
    """Yield a refusal for each variable that a scope assigns as well as one around it."""
    states = machine.get("States") if isinstance(machine, dict) else None
    if not isinstance(states, dict):
        return
    own: set[str] = set()
    for name, state in states.items():
        for variable in variables_of(state):
            own.add(variable)
            if variable in outer:
                yield (
                    "SCHEMA_VALIDATION_FAILED: The variable "
                    f"'{variable}' is assigned in an outer scope\n  at {path}/{name}"
                )
    for name, state in states.items():
        for number, branch in enumerate(state.get("Branches", [])):
            yield from assigned_twice(
                branch, outer | own, f"{path}/{name}/Branches[{number}]/States"
            )
        for key in ("ItemProcessor", "Iterator"):
            yield from assigned_twice(state.get(key), outer | own, f"{path}/{name}/{key}/States")


def variables_of(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the variables that a state assigns, in whichever of its fields."""
    for assigning in (state, *state.get("Choices", []), *state.get("Catch", [])):
        # In JSONPath a name may end like a path.
        yield from (name.removesuffix(".$") for name in assigning.get("Assign", {}))
