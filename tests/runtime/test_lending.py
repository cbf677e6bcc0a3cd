"""What is lent to one run is no other's until it is back."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass

from dia2.runtime.lease import Lender, Loan


@dataclass(eq=False)
class Thing:
    size: int


def test_what_is_lent_is_nobody_else_s() -> None:
    lender, thing = Lender[Thing](2), Thing(1)
    lender.take_back(thing)
    loan = Loan(lender, thing)
    assert lender.take(1) is thing
    assert lender.take(1) is None
    loan.end()
    assert lender.take(1) is thing


def test_only_one_of_the_size_serves() -> None:
    lender, small, large = Lender[Thing](2), Thing(1), Thing(2)
    lender.take_back(small)
    lender.take_back(large)
    assert lender.take(3) is None
    assert lender.take(1) is small


def test_a_loan_goes_back_once_by_its_end_or_when_it_is_dropped() -> None:
    lender = Lender[Thing](2)
    loan = Loan(lender, Thing(1))
    loan.end()
    loan.end()
    assert len(lender._free) == 1
    del loan
    gc.collect()
    assert len(lender._free) == 1
    dropped = Loan(lender, Thing(2))
    assert len(lender._free) == 1
    del dropped
    gc.collect()
    assert [thing.size for thing in lender._free] == [1, 2]


def test_those_given_back_last_stay() -> None:
    lender = Lender[Thing](2)
    for size in (1, 2, 3):
        lender.take_back(Thing(size))
    assert [thing.size for thing in lender._free] == [2, 3]
    lender.make_room()
    assert [thing.size for thing in lender._free] == [3]


def test_two_threads_never_hold_one_thing() -> None:
    lender, held, wrong = Lender[Thing](2), set[int](), list[int]()
    lender.take_back(Thing(0))
    lender.take_back(Thing(0))

    def use() -> None:
        for _ in range(2000):
            thing = lender.take(0)
            if thing is None:
                continue
            if id(thing) in held:
                wrong.append(id(thing))
            held.add(id(thing))
            held.discard(id(thing))
            lender.take_back(thing)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(lender._free) == 2
