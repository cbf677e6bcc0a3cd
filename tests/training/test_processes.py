"""Where steps are computed: what is asked of accelerate, and what of it is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import accelerate
import pytest
import torch

from dia2.common.errors import UsageError
from training.processes import Alone, Launched, launched


def pretended(kind: str, asked: dict[str, Any]) -> Any:
    """accelerate, configured for a kind of sharing."""

    def accelerator(**options: Any) -> Any:
        asked.update(options)
        return SimpleNamespace(
            distributed_type=SimpleNamespace(name=kind), num_processes=3, process_index=1, device=torch.device("cpu")
        )

    return accelerator


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_what_shards_the_network_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate, "Accelerator", pretended(kind, {}))
    with pytest.raises(UsageError, match=f"^accelerate is configured for {kind}, which shards the network"):
        Launched(torch.device("cpu"))
    assert kind in accelerate.DistributedType.__members__  # it is accelerate's own name


@pytest.mark.parametrize(("precision", "mixed"), [("float32", "no"), ("bfloat16", "bf16")])
def test_precision_is_accelerates(precision: str, mixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(accelerate, "Accelerator", pretended("MULTI_GPU", asked))
    processes = Launched(torch.device("cuda"), precision)
    assert asked == {"cpu": False, "mixed_precision": mixed}
    assert (processes.count, processes.rank) == (3, 1)


def test_it_was_launched_if_there_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for size, many in (("", False), ("1", False), ("2", True)):
        monkeypatch.setenv("WORLD_SIZE", size or "1")
        assert launched() is many


def test_alone_products_are_bfloat16_and_weights_are_not() -> None:
    model = torch.nn.Linear(2, 2)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with Alone(torch.device("cpu"), precision).computing():
            assert model(torch.ones(2)).dtype == dtype
    assert model.weight.dtype == torch.float32
