"""The steps of `gpu.py`: in which order they run, how long each may take, and which make room for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SHAPES = ("2b", "1b", "300m", "nano")
DIA_SHAPES = ("1.6b", "tiny")


@dataclass(frozen=True)
class Step:
    """What one process does."""

    name: str
    work: str  # module:function, called with a `Report` and the options
    seconds: float  # after which it is ended, from when it may begin
    drop: int  # of the steps that do not all fit, those with the largest number make room first
    options: Mapping[str, Any] = field(default_factory=dict)
    least: float | None = None  # it is worth beginning with so many seconds, and to be cut is no fault; `None`: it is

    @property
    def needs(self) -> float:
        """Seconds without which it is not begun."""
        return self.seconds if self.least is None else self.least


def patient(steps: Sequence[Step], times: float) -> list[Step]:
    """The same steps, each with so many times the seconds."""
    return [
        replace(step, seconds=times * step.seconds, least=None if step.least is None else times * step.least)
        for step in steps
    ]


def plan(shapes: Sequence[str], dia: str, measure: float) -> list[Step]:
    """All steps: the first of `shapes` in every way, the others' speed; what compiles is last.

    Args:
        shapes: of `SHAPES`.
        dia: of `DIA_SHAPES`.
        measure: seconds for each thing that is timed.
    """
    main, *others = shapes

    def speed(shape: str, precision: str, seconds: float, drop: int, **more: Any) -> Step:
        options = {"shape": shape, "precision": precision, "seconds": measure}
        return Step(f"speed {shape} {precision}", "gpu_speed:speed", seconds, drop, options | more)

    def kernels(shape: str, precision: str, drop: int) -> Step:
        options = {"shape": shape, "precision": precision}
        return Step(f"kernels {shape} {precision}", "gpu_kernels:measure", 60, drop, options)

    def exact(precision: str, drop: int) -> Step:
        return Step(f"exact {precision}", "gpu_exact:runs", 60, drop, {"precision": precision})

    def conformance(model: str, way: str, drop: int) -> Step:
        options = {"use_cuda_graph": way == "graphs"}
        return Step(f"conformance {model} {way}", f"gpu_conformance:{model}", 60, drop, options)

    def of_main(name: str, work: str, seconds: float, drop: int) -> Step:
        return Step(f"{name} {main}", work, seconds, drop, {"shape": main, "seconds": measure})

    compiled = {"shape": main, "precision": "bfloat16", "seconds": measure, "compiled": True}
    return [
        Step("device", "gpu_device:measure", 60, 0),
        speed(main, "bfloat16", 75, 1),
        kernels(main, "bfloat16", 2),
        conformance("dia2", "graphs", 3),
        exact("float32", 4),
        speed(main, "int8", 60, 5),
        speed(main, "float32", 60, 8),
        Step("speed dia", "gpu_dia:speed", 60, 6, {"shape": dia, "seconds": measure}),
        conformance("dia", "graphs", 7),
        exact("bfloat16", 9),
        exact("int8", 10),
        conformance("dia2", "eager", 11),
        conformance("dia", "eager", 12),
        of_main("counters", "gpu_cost:counters", 45, 15),
        of_main("stream", "gpu_stream:measure", 60, 16),
        of_main("tracing", "gpu_cost:tracing", 45, 17),
        Step("exact dia", "gpu_dia:exact", 45, 13, {}),
        Step("kernels dia", "gpu_dia:kernels", 45, 18, {"shape": dia}),
        kernels(main, "int8", 19),
        of_main("loading", "gpu_cost:loading", 60, 20),
        *(speed(shape, "bfloat16", 45, 21 + i) for i, shape in enumerate(others)),
        Step(f"compile {main}", "gpu_speed:speed", 150, 14, compiled, least=45),
        Step("compile exact", "gpu_exact:compiled", 90, 30, {}, least=30),
        Step("compile dia", "gpu_dia:compiled", 90, 31, {}, least=30),
    ]


def kept(steps: Sequence[Step], left: float) -> list[Step]:
    """Those that fit into the seconds that are `left`, in their order."""
    stay = list(steps)
    for step in sorted(steps, key=lambda step: -step.drop):
        if sum(one.needs for one in stay) <= left:
            break
        stay.remove(step)
    return stay


def chosen(steps: Sequence[Step], only: Sequence[str], skip: Sequence[str]) -> list[Step]:
    """Those whose names begin with one of `only` (all, if there is none) and with none of `skip`.

    Raises:
        SystemExit: a name fits no step.
    """
    for name in (*only, *skip):
        if not any(step.name.startswith(name) for step in steps):
            raise SystemExit(f"There is no step {name!r}: --list shows them.")
    return [
        step
        for step in steps
        if (not only or step.name.startswith(tuple(only))) and not step.name.startswith(tuple(skip))
    ]
