"""Imports point one way, those inside functions too; and looking at a trace in a terminal brings no model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOMS = {  # what each may import, besides itself; the longest name that fits a module is its room
    "dia2.common": (),
    "dia2.core": ("dia2.common",),
    "dia2.audio": ("dia2.core", "dia2.common", "dia2.generation"),
    "dia2.generation": ("dia2.common",),
    "dia2.runtime": ("dia2.audio", "dia2.core", "dia2.common", "dia2.generation"),
    "dia2.inspect.schema": ("dia2.common",),
    "dia2.inspect.store": ("dia2.inspect.schema", "dia2.common"),
    "dia2.inspect.trace": ("dia2.inspect.store", "dia2.inspect.schema", "dia2.common"),
    "dia2.inspect.record": ("dia2.inspect.store", "dia2.inspect.schema", "dia2.common", "dia2.core"),
    "dia2.inspect.views": (
        *("dia2.inspect.sweeps", "dia2.inspect.trace", "dia2.inspect.record", "dia2.inspect.store"),
        *("dia2.inspect.schema", "dia2.common"),
    ),
    "dia2.inspect.sweeps": ("dia2.inspect.trace", "dia2.inspect.store", "dia2.inspect.schema", "dia2.common"),
    "dia2.inspect.lab": (
        *("dia2.inspect.views", "dia2.inspect.trace", "dia2.inspect.record", "dia2.inspect.store"),
        *("dia2.inspect.schema", "dia2.common"),
    ),
    "dia2.inspect": ("dia2.common",),  # the facade, and the command line: all of its rooms
    "dia2.serve": (
        *("dia2.inspect.views", "dia2.inspect.record", "dia2.inspect.store", "dia2.inspect"),
        *("dia2.adapter", "dia2.engine", "dia2.runtime", "dia2.generation", "dia2.common"),
    ),
    "dia2.engine": (
        *("dia2.inspect.record", "dia2.runtime", "dia2.audio", "dia2.core", "dia2.common", "dia2.generation"),
    ),
    "dia2.adapter": (
        *("dia2.inspect.sweeps", "dia2.inspect.record", "dia2.inspect.trace", "dia2.inspect.store"),
        *(
            "dia2.inspect.schema",
            "dia2.engine",
            "dia2.runtime",
            "dia2.audio",
            "dia2.core",
            "dia2.common",
            "dia2.generation",
        ),
    ),
    "dia2.analysis": (
        *("dia2.adapter", "dia2.inspect.trace", "dia2.inspect.schema"),
        *("dia2.engine", "dia2.runtime", "dia2.core", "dia2.common"),
    ),
    "dia.adapter": (
        *("dia2.inspect.record", "dia2.inspect.trace", "dia2.inspect.store", "dia2.inspect.schema"),
        *("dia", "dia2.core", "dia2.common"),
    ),
    "dia": ("dia2.inspect.record", "dia2.runtime", "dia2.audio", "dia2.core", "dia2.common", "dia2.generation"),
    "dia2": (
        "dia2.inspect.cli",
        "dia2.inspect.sweeps",
        "dia2.serve",
        "dia2.engine",
        "dia2.common",
    ),  # the package itself, and its command line
}
FACADES = {"dia2.inspect", "dia2.inspect.cli", "dia2", "dia2.cli", "dia2.__main__"}  # over all rooms beneath them


def room_of(module: str) -> str:
    return max((room for room in ROOMS if module == room or module.startswith(f"{room}.")), key=len)


def wrong_arrows() -> Iterator[str]:
    graph = grimp.build_graph("dia2", "dia", exclude_type_checking_imports=True, cache_dir=None)
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            home, target = room_of(module), room_of(imported)
            if home == target or imported == "dia2" or (module in FACADES and imported.startswith(home)):
                continue
            if not any(imported == room or imported.startswith(f"{room}.") for room in ROOMS[home]):
                yield f"{module} -> {imported}"


def test_arrows_point_one_way() -> None:
    assert list(wrong_arrows()) == []


@pytest.mark.parametrize("room", ["schema", "store", "trace", "views.console"])
def test_a_room_brings_neither_torch_nor_transformers(room: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module('dia2.inspect.{room}')\n"
        "for found in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(sorted({'torch', 'transformers', 'pyarrow', 'matplotlib'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_core_does_not_know_the_example_of_a_third_model() -> None:
    root = Path(__file__).parents[1]
    files = [file for name in ("dia", "dia2") for kind in ("*.py", "*.js") for file in (root / name).rglob(kind)]
    assert len(files) > 200
    assert [str(file) for file in files if "csm" in file.read_text(encoding="utf-8").lower()] == []
