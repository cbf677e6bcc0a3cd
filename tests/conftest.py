"""Tiny models are many times faster with one torch thread, in this process and in those that tests start."""

import gc
import os
import signal
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more at once than `bounded` lets a test have
os.environ["DIA2_INT8_PRODUCTS"] = "packed"  # a race would be decided by who else uses the machine
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the real hub; those with a local one set their own environment

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in its background: no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine is sometimes slow, and one commit must give one answer: examples are the same in every run.
settings.register_profile("dia2", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("dia2")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """One test's recordings and prefixes do not make another's run quicker."""
    yield
    from .support.reference import forget

    forget()


def pytest_collection_finish() -> None:
    """What was imported stays: a full collection need not look through all of torch and transformers each time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Else libraries complain at the end of what was never let go of."""
    gc.unfreeze()
