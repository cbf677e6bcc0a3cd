"""Values are frozen: what is shared between a run, its trace and its views cannot be changed by one of them."""

import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module

import dia
import dia2

# What is filled step by step, by one owner.
CHANGED = frozenset(
    {
        "dia.loop.GenerationState",
        "dia.state.DecoderInferenceState",
        "dia.state.DecoderOutput",
        "dia2.common.hooks.Span",
        "dia2.core.model.DecodeState",
        "dia2.inspect.sweeps.worker.Worker",
        "dia2.runtime.batch.schedule._Member",
        "dia2.runtime.batch.state.BatchState",
        "dia2.runtime.context.RuntimeContext",
        "dia2.runtime.frame.GenerationState",
        "dia2.runtime.recordings.Recording",
        "dia2.runtime.session.Session",
        "dia2.runtime.state_machine.State",
        "dia2.serve.runs.Run",
        "dia2.serve.speaker._Job",
    }
)


def dataclasses() -> Iterator[type]:
    """Those of both packages, each once."""
    for package in (dia2, dia):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for value in vars(import_module(module.name)).values():
                if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.name:
                    yield value


def test_dataclasses_are_frozen_unless_they_are_filled_step_by_step() -> None:
    every = list(dataclasses())
    changed = {one for one in every if not one.__dataclass_params__.frozen}  # type: ignore[attr-defined]  # it is there
    assert {f"{one.__module__}.{one.__qualname__}" for one in changed} == CHANGED
    assert len(every) > 100, "both packages are walked"
