"""Ctrl-C that is noted, and raised the second time."""

from __future__ import annotations

import signal
import threading

import pytest

from dia2.common.stopping import Stopping


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_is_noted_once_and_then_raised() -> None:
    before, stopping = signal.getsignal(signal.SIGINT), Stopping()
    with stopping:
        press()
        assert stopping.asked
        _again()
    assert signal.getsignal(signal.SIGINT) is before


def _again() -> None:
    with pytest.raises(KeyboardInterrupt):
        press()


def _in_a_part(stopping: Stopping) -> None:
    with pytest.raises(KeyboardInterrupt), stopping.at_once():
        press()


def test_it_is_raised_in_a_part_that_has_nothing_to_lose_and_after_the_block() -> None:
    stopping = Stopping()
    with stopping:
        _in_a_part(stopping)
        assert not vars(stopping)["asked"]
        press()
    assert stopping.asked
    _again()
    _in_a_part(stopping)  # outside of the block


def test_where_it_is_ignored_it_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            press()
        assert not vars(stopping)["asked"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_no_ctrl_c_to_note() -> None:
    before, entered = signal.getsignal(signal.SIGINT), list[bool]()

    def work() -> None:
        with Stopping() as stopping, stopping.at_once():
            entered.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]
