"""What is lent to one run is no other's until it is back."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass

from dia2.runtime.lease import Lease, Pool


@dataclass(eq=False)
class Thing:
    size: int


def test_what_is_lent_is_nobody_else_s() -> None:
    pool, thing = Pool[Thing](2), Thing(1)
    pool.release(thing)
    lease = Lease(pool, thing)
    assert pool.take(1) is thing
    assert pool.take(1) is None
    lease.end()
    assert pool.take(1) is thing


def test_only_one_of_the_size_serves() -> None:
    pool, small, large = Pool[Thing](2), Thing(1), Thing(2)
    pool.release(small)
    pool.release(large)
    assert pool.take(3) is None
    assert pool.take(1) is small


def test_a_loan_goes_back_once_by_its_end_or_when_it_is_dropped() -> None:
    pool = Pool[Thing](2)
    lease = Lease(pool, Thing(1))
    lease.end()
    lease.end()
    assert len(pool._free) == 1
    del lease
    gc.collect()
    assert len(pool._free) == 1
    dropped = Lease(pool, Thing(2))
    assert len(pool._free) == 1
    del dropped
    gc.collect()
    assert [thing.size for thing in pool._free] == [1, 2]


def test_those_given_back_last_stay() -> None:
    pool = Pool[Thing](2)
    for size in (1, 2, 3):
        pool.release(Thing(size))
    assert [thing.size for thing in pool._free] == [2, 3]
    pool.make_room()
    assert [thing.size for thing in pool._free] == [3]


def test_two_threads_never_hold_one_thing() -> None:
    pool, held, wrong = Pool[Thing](2), set[int](), list[int]()
    pool.release(Thing(0))
    pool.release(Thing(0))

    def use() -> None:
        for _ in range(2000):
            thing = pool.take(0)
            if thing is None:
                continue
            if id(thing) in held:
                wrong.append(id(thing))
            held.add(id(thing))
            held.discard(id(thing))
            pool.release(thing)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(pool._free) == 2
