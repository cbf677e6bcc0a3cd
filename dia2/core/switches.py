"""Torch's switches that belong to the whole process: what they are while anybody runs, and putting them back.

As a rule nothing is touched, since a new torch has nearly all as a run wants them. (On CUDA it has convolutions of ten
bits, and attention by cuDNN.) A switch that the caller has set otherwise is set for as long as somebody runs, in all
threads: there is no other way. What the caller sets meanwhile stays.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

Value = TypeVar("Value")
Undo = Callable[[], None]
Secure = Callable[[], Undo | None]  # sets something as a run wants it; gives its undoing, or nothing where it was so


@contextmanager
def held() -> Iterator[None]:
    """The switches as a run wants them; the last of several threads to leave puts them back."""
    me, undo = threading.get_ident(), dict[int, Undo]()
    try:
        with _LOCK:
            _holders[me] += 1
            for number, secure in enumerate(_SWITCHES):
                back = secure()
                if back is not None:
                    undo[number] = back
        yield
    finally:
        with _LOCK:
            _holders[me] -= 1
            if _holders[me] <= 0:
                del _holders[me]
            _owed.update(undo)
            if _holders.keys() <= {me}:  # also at the end of a block within one of this thread
                owed = list(_owed.values())
                _owed.clear()
                for back in owed:
                    back()


_LOCK = threading.RLock()  # a garbage collector's call may come in between
_holders: Counter[int] = Counter()  # blocks, by thread
_owed: dict[int, Undo] = {}  # by switch: what is to be put back when nobody runs


def _switch(read: Callable[[], Any], write: Callable[[Any], object], wanted: Any) -> Secure:
    def secure() -> Undo | None:
        before = read()
        if before == wanted:
            return None
        write(wanted)

        def back() -> None:
            if read() == wanted:  # else the caller has set it in the meantime
                write(before)

        return back

    return secure


def _attribute(owner: Any, name: str, wanted: Any) -> Secure:
    return _switch(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), wanted)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


# Products of float32. Each kind of product has a switch with a word; the older switches `set_float32_matmul_precision`
# and `allow_tf32` set those too, and fail where they find that a kind's own switch was set to something else. So both
# are set, and both are put back.

_EXACT = ("none", "ieee")
_BACKENDS: Any = torch.backends  # its attributes have no types


def _inexact(*kinds: Any) -> bool:
    return any(kind.fp32_precision not in _EXACT for kind in kinds)


def _set_exact(*kinds: Any) -> None:
    for kind in kinds:
        if kind.fp32_precision not in _EXACT:
            kind.fp32_precision = "ieee"


def _putting_back(*kinds: tuple[Any, Any]) -> Undo:
    """Of kinds with what they inherit from: one that says the same as that has inherited it."""
    words = [
        (kind, "none" if kind.fp32_precision == parent.fp32_precision else kind.fp32_precision)
        for kind, parent in kinds
    ]

    def back() -> None:
        for kind, word in words:
            kind.fp32_precision = word

    return back


def _exact_products() -> Undo | None:
    kinds = _BACKENDS.cuda.matmul, _BACKENDS.mkldnn.matmul
    if not _inexact(*kinds) and _or_none(torch.get_float32_matmul_precision) == "highest":
        return None
    own = _putting_back((kinds[0], _BACKENDS.cudnn), (kinds[1], _BACKENDS.mkldnn))
    _set_exact(*kinds)
    before = torch.get_float32_matmul_precision()  # which would fail if the kinds were still set apart from it
    if before != "highest":
        torch.set_float32_matmul_precision("highest")

    def back() -> None:
        if _inexact(*kinds):  # the caller has set it in the meantime
            return
        if before != "highest":
            torch.set_float32_matmul_precision(before)
        own()

    return back


def _exact_convolutions() -> Undo | None:
    """On CUDA, where ten bits are the default."""
    if not torch.cuda.is_available():
        return None
    cudnn = _BACKENDS.cudnn
    kinds, older = (cudnn.conv, cudnn.rnn), _older_tf32()  # which is of both
    if not _inexact(*kinds) and older is False:
        return None
    own = _putting_back(*((kind, cudnn) for kind in kinds))
    _set_exact(*kinds)
    if older is None:  # it was set apart from the kinds; now that they say no, it fails only if it says yes
        older = _older_tf32() is None
    if older:
        cudnn.allow_tf32 = False
        _set_exact(*kinds)

    def back() -> None:
        if _inexact(*kinds):
            return
        if older:
            cudnn.allow_tf32 = True
        own()

    return back


def _older_tf32() -> bool | None:
    """What `cudnn.allow_tf32` says; `None` where it fails."""
    return _or_none(lambda: bool(_BACKENDS.cudnn.allow_tf32))


def _or_none(read: Callable[[], Value]) -> Value | None:
    """What an older switch says; `None` where it fails, which who compiles or calls a convolution would do, too."""
    try:
        return read()
    except RuntimeError:
        return None


def _exact_cpu_convolutions() -> Undo | None:
    kind = _BACKENDS.mkldnn.conv
    if not _inexact(kind):
        return None
    own = _putting_back((kind, _BACKENDS.mkldnn))
    _set_exact(kind)
    return lambda: None if _inexact(kind) else own()


_CUDA = _BACKENDS.cuda
_CUDNN_ATTENTION = {on: _switch(_CUDA.cudnn_sdp_enabled, _CUDA.enable_cudnn_sdp, on) for on in (True, False)}


def _attention_by_cudnn() -> Undo | None:
    """Not on CUDA: it makes a plan for each number of keys, 20 to 40 ms, and a frame has one key more than the last."""
    return _CUDNN_ATTENTION[not torch.cuda.is_available()]()


_SWITCHES: list[Secure] = [
    _switch(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    _switch(_deterministic, _set_deterministic, (False, False)),
    _exact_products,
    _exact_convolutions,
    _exact_cpu_convolutions,
    _attribute(_BACKENDS.mkldnn, "enabled", True),
    _attribute(_BACKENDS.mkldnn, "deterministic", False),
    _attribute(_BACKENDS.cudnn, "enabled", True),
    _attribute(_BACKENDS.cudnn, "benchmark", False),
    _attribute(_BACKENDS.cudnn, "deterministic", False),
    _attribute(_CUDA.matmul, "allow_bf16_reduced_precision_reduction", True),
    _attribute(_CUDA.matmul, "allow_fp16_reduced_precision_reduction", True),
    _attribute(_CUDA.matmul, "allow_fp16_accumulation", False),
    _switch(_CUDA.flash_sdp_enabled, _CUDA.enable_flash_sdp, True),
    _switch(_CUDA.mem_efficient_sdp_enabled, _CUDA.enable_mem_efficient_sdp, True),
    _switch(_CUDA.math_sdp_enabled, _CUDA.enable_math_sdp, True),
    _attention_by_cudnn,
]
