"""What users import stays importable: `addresses.txt` lists what the docs named before the rooms were laid out anew."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from dia2.common import moved

ADDRESSES = (Path(__file__).parent / "addresses.txt").read_text(encoding="utf-8").split()


def found(address: str) -> object:
    """What lies at a dotted address: a module, or something within one."""
    parts = address.split(".")
    for end in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            value = getattr(value, name)
        return value
    raise ImportError(address)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("address", ADDRESSES)
def test_what_was_importable_is(address: str) -> None:
    assert found(address) is not None


@pytest.mark.parametrize("old", sorted(moved._MOVED))
def test_an_old_address_is_the_module_itself_and_says_where_it_is_now(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"^{old} is {moved._MOVED[old]} now: import it from there.$") as told:
        module = import_module(old)
    assert told[0].filename.endswith("importlib/__init__.py")  # whoever imports, not the import system
    assert module is import_module(moved._MOVED[old])


def test_no_module_of_ours_uses_an_old_address() -> None:
    """In a process of its own, since the addresses above were imported in this one."""
    code = (
        "import warnings; warnings.simplefilter('error', DeprecationWarning); import importlib, pkgutil, dia2, dia\n"
        "for package in (dia2, dia):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith(('__main__', 'mpeg_child')):\n"
        "            importlib.import_module(found.name)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_address_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("dia2.nowhere")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModuleNotFoundError, match=r"dia2\.inspect\.nowhere"):
            import_module("dia2.inspect.nowhere")
