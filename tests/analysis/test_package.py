"""The package imports nothing before it is used, and all that it names is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dia2 import analysis


def test_every_name_is_there() -> None:
    assert sorted(analysis.__all__) == sorted(name for names in analysis._HOMES.values() for name in names)
    for name in analysis.__all__:
        assert getattr(analysis, name).__doc__
        assert name in dir(analysis)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing


def test_importing_it_brings_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, dia2.analysis; print(sorted({'torch', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_scikit_learn_comes_with_the_first_probe_only() -> None:
    code = "import sys; from dia2.analysis import probe; print('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
