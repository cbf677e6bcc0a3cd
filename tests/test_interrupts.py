"""Ctrl-C at any moment of a command: exit code 130, and at most one line."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

NOTE = "dia2: note: interrupted\n"


def start(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    def defaults() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=defaults,
    )


def ended(run: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = run.communicate(timeout=120)
    return run.returncode, err


PRESS = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


def pressed(tmp_path: Path, code: str) -> tuple[int, str, str]:
    """Run code that knows a module whose import presses Ctrl-C, and swallows what comes of it."""
    (tmp_path / "library.py").write_text(f"try:\n    {PRESS}\nexcept KeyboardInterrupt:\n    pass\n")
    run = start(["-c", "from dia2.common.terminal import interrupts\n" + textwrap.dedent(code)], tmp_path)
    out, err = run.communicate(timeout=60)
    return run.returncode, out, err


def test_an_import_never_sees_it(tmp_path: Path) -> None:
    code = """
        interrupts.watch("dia2")
        interrupts.begin_catching()
        import library
        print("went on")
    """
    assert pressed(tmp_path, code) == (130, "", NOTE)


def test_before_anybody_catches_it_ends_the_process(tmp_path: Path) -> None:
    assert pressed(tmp_path, f"interrupts.watch('dia2')\n{PRESS}\nprint('went on')") == (130, "", NOTE)


def test_elsewhere_it_is_raised_and_noted(tmp_path: Path) -> None:
    code = f"""
        interrupts.watch("dia2")
        interrupts.begin_catching()
        try:
            {PRESS}
        except KeyboardInterrupt:
            print("raised", interrupts.was_noted())
        try:
            interrupts.something_to_keep()
        except KeyboardInterrupt:
            print("and once more, as nobody minded", interrupts.was_noted())
        import library
        print("from then on imports see it")
    """
    code_, out, err = pressed(tmp_path, code)
    assert (code_, err) == (0, "")
    assert out.splitlines() == [
        "raised True",
        "and once more, as nobody minded False",
        "from then on imports see it",
    ]


def test_whoever_ignores_it_goes_on_doing_so(tmp_path: Path) -> None:
    code = f"""
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupts.watch("dia2")
        {PRESS}
        print("went on")
    """
    assert pressed(tmp_path, code) == (0, "went on\n", "")


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ModuleNotFoundError('x')", "SystemError('y')"])
def test_what_a_library_makes_of_it_is_no_fault(tmp_path: Path, error: str) -> None:
    code = f"""
        from dia2.common.terminal.command import Job, run_command

        def work():
            try:
                {PRESS}
            except KeyboardInterrupt:
                raise {error}

        raise SystemExit(run_command("dia2", None, lambda _: Job(work, "")))
    """
    assert pressed(tmp_path, code) == (130, "", NOTE)


def test_one_that_a_library_loses_is_told_at_the_end(tmp_path: Path) -> None:
    code = f"""
        from dia2.common.terminal.command import Job, run_command

        def work():
            try:
                {PRESS}
            except KeyboardInterrupt:
                return 0

        raise SystemExit(run_command("dia2", None, lambda _: Job(work, "")))
    """
    assert pressed(tmp_path, code) == (130, "", NOTE)


COMMANDS = {
    "dia2 trace": ["-m", "dia2.cli", "trace", "show", "run.dia2trace"],
    "dia2 generate": ["-m", "dia2", "out.wav", "--input", "[S1] Hi."],
    "dia": ["-m", "dia", "generate", "[S1] Hi.", "-o", "out.wav"],
}


SLOW = {"dia": pytest.mark.slow}
LAST = {"dia2 trace": "numpy"}  # of the large libraries that it imports; the others come to torch


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="/proc tells when a library is mapped")
@pytest.mark.parametrize(
    ("command", "library"),
    [
        pytest.param(command, LAST.get(name, "libtorch"), id=name, marks=SLOW.get(name, ()))
        for name, command in COMMANDS.items()
    ],
)
def test_while_libraries_are_imported(tmp_path: Path, command: list[str], library: str) -> None:
    run = start(command, tmp_path)
    maps = Path(f"/proc/{run.pid}/maps")
    while run.poll() is None and library not in maps.read_text():
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    code, err = ended(run)
    assert code in (130, -signal.SIGINT), err
    assert len(err.splitlines()) <= 1, err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="/proc tells when a command has begun")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_at_any_moment(tmp_path: Path, command: list[str]) -> None:
    codes = []
    for step in range(16):
        run = start(command, tmp_path)
        while run.poll() is None and "\0".join(command) not in Path(f"/proc/{run.pid}/cmdline").read_text():
            time.sleep(0.001)
        time.sleep(0.1 + 0.25 * step)
        run.send_signal(signal.SIGINT)
        code, err = ended(run)
        assert "Traceback" not in err, err
        assert "fault" not in err, err
        codes.append(code)
    assert {130, -signal.SIGINT} & set(codes)
    assert set(codes) <= {130, -signal.SIGINT, 0, 1}  # a quick machine may have ended before
