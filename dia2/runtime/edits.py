"""Declared interventions: what a run is made to do at a call that it would not have done by itself.

    edits = [ForceAction(57, "new_word"), ReplaceToken(60, 17, codebook=3), ChangeSampling(80, cfg_scale=3)]
    tts.generate(script, edits=edits)

A call is named as a trace names it: counted from 0 over warm-up and main loop. Only calls of the main loop can be
edited; in the warm-up the prefix decides everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from dia2.common.checks import is_number, make_plain, short
from dia2.common.errors import UsageError
from dia2.generation import GenerationConfig, merge_generation_config
from dia2.runtime import activation_json
from dia2.runtime.activations import ActivationEdit, until_call
from dia2.runtime.vectors import Vector


def _check_call(call: object) -> None:
    if isinstance(call, bool) or not isinstance(call, int) or call < 0:
        raise UsageError(f"An edit's call must be a whole number from 0, not {short(call)}.")


class _Choice:
    """What all edits of choices have."""

    def as_table(self) -> dict[str, Any]:
        """As a plan of a sweep has it."""
        return edit_to_json(cast("ChoiceEdit", self))


@dataclass(frozen=True)
class ForceAction(_Choice):
    """Take this action instead of the drawn one. The machine's own rules still apply to it."""

    call: int
    action: Literal["new_word", "pad"]

    def __post_init__(self) -> None:
        """Refuse what is no action.

        Raises:
            UsageError: says what may be given.
        """
        make_plain(self)
        _check_call(self.call)
        if self.action not in ("new_word", "pad"):
            raise UsageError(f"A forced action is new_word or pad, not {short(self.action)}.")

    @property
    def what(self) -> str:
        """What it does, without the call."""
        return f"action {self.action}"

    def __str__(self) -> str:
        return f"call {self.call}: {self.what}"


@dataclass(frozen=True)
class ReplaceToken(_Choice):
    """Put another token in the place of one that the call makes: of a codebook, or of a text stream."""

    call: int
    token: int
    codebook: int | None = None  # 0 … K-1; later codebooks of the frame are drawn after it
    stream: Literal["main", "second"] | None = None  # instead of `codebook`; the machine does not notice

    def __post_init__(self) -> None:
        """Refuse what names no token, or two.

        Raises:
            UsageError: says what may be given.
        """
        make_plain(self)
        _check_call(self.call)
        if (self.codebook is None) == (self.stream is None):
            raise UsageError("ReplaceToken needs either a codebook or a stream (main or second).")
        if self.stream not in (None, "main", "second"):
            raise UsageError(f"ReplaceToken's stream is main or second, not {short(self.stream)}.")
        for name, value in (("token", self.token), ("codebook", self.codebook)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31):
                raise UsageError(f"ReplaceToken's {name} must be a whole number from 0, not {short(value)}.")

    @property
    def what(self) -> str:
        """What it does, without the call."""
        place = f"codebook {self.codebook}" if self.stream is None else f"{self.stream} stream"
        return f"{place} becomes {self.token}"

    def __str__(self) -> str:
        return f"call {self.call}: {self.what}"


@dataclass(frozen=True)
class ChangeSampling(_Choice):
    """Guidance and sampling from this call on; what is None stays as it is."""

    call: int
    cfg_scale: float | None = None
    cfg_filter_k: int | None = None
    temp_text: float | None = None
    topk_text: int | None = None
    temp_audio: float | None = None
    topk_audio: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no run can have.

        Raises:
            UsageError: names the value.
        """
        make_plain(self)
        _check_call(self.call)
        if not self.changes:
            raise UsageError("ChangeSampling changes nothing: give cfg_scale, temp_audio or the like.")
        self.apply(GenerationConfig())

    @property
    def changes(self) -> dict[str, float]:
        """What is changed, by the name of the override."""
        return {name: value for name, value in vars(self).items() if name != "call" and value is not None}

    def apply(self, config: GenerationConfig) -> GenerationConfig:
        """`config` as it is from this call on."""
        return merge_generation_config(config, self.changes)

    @property
    def what(self) -> str:
        """What it does, without the call."""
        return ", ".join(f"{name} = {value:g}" for name, value in self.changes.items())

    def __str__(self) -> str:
        return f"from call {self.call} on: {self.what}"


ChoiceEdit = ForceAction | ReplaceToken | ChangeSampling  # of what a call chooses
Edit = ChoiceEdit | ActivationEdit
_KINDS: dict[str, type[ChoiceEdit]] = {kind.__name__: kind for kind in get_args(ChoiceEdit)}


def checked_edits(edits: object) -> tuple[Edit, ...]:
    """What was given as the edits of a run.

    Raises:
        UsageError: it is no list of edits.
    """
    known = get_args(Edit)
    kinds = ", ".join(kind.__name__ for kind in known)
    if not isinstance(edits, Sequence) or isinstance(edits, str):
        raise UsageError(f"edits is a list of edits ({kinds}), not {short(edits)}.")
    for edit in edits:
        if not isinstance(edit, known):
            raise UsageError(f"An edit is one of {kinds}, not {short(edit)}.")
    return tuple(edits)


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """For a trace's manifest; of an edit of activations without the numbers, see `activation_json`."""
    if isinstance(edit, ActivationEdit):
        return activation_json.to_json(edit)
    return {"kind": type(edit).__name__} | {name: value for name, value in asdict(edit).items() if value is not None}


def edit_from_json(value: object, read: Callable[[object], Vector] = activation_json.digested) -> Edit:
    """What `edit_to_json` wrote.

    Args:
        value: the edit.
        read: gives the vector of an edit of activations from what stands there.

    Raises:
        UsageError: it is not an edit.
    """
    known = (*_KINDS, *activation_json.KINDS)
    if not isinstance(value, Mapping) or value.get("kind") not in known:  # a kind may be no key at all
        raise UsageError(f"{short(value)} is not an edit.")
    if value["kind"] in activation_json.KINDS:
        return activation_json.from_json(value, read)
    kind = _KINDS[value["kind"]]
    given = {str(name): part for name, part in value.items() if name != "kind"}
    if not set(given) <= {field.name for field in fields(kind)} or not all(
        is_number(part) or isinstance(part, str) for part in given.values()
    ):
        raise UsageError(f"{short(value)} is not an edit.")
    try:
        return kind(**given)
    except TypeError as error:
        raise UsageError(f"{short(value)} is not an edit.") from error


def choices_of(edits: Sequence[Edit]) -> list[ChoiceEdit]:
    """Those of what calls choose."""
    return [edit for edit in edits if isinstance(edit, ChoiceEdit)]


def activations_of(edits: Sequence[Edit]) -> list[ActivationEdit]:
    """Those of activations."""
    return [edit for edit in edits if isinstance(edit, ActivationEdit)]


def ended(edit: Edit, call: int) -> Edit | None:
    """An edit as it is where it does nothing from `call` on; `None`: nothing of it is left.

    Raises:
        UsageError: it has changed sampling before, which goes on until something else is asked for.
    """
    if edit.call >= call:
        return None
    if isinstance(edit, ChangeSampling):
        raise UsageError(f"The edit “{edit}” has begun before call {call}: change sampling back by another one.")
    return edit if isinstance(edit, ChoiceEdit) else until_call(edit, call)


def guided(config: GenerationConfig, edits: Sequence[Edit]) -> bool:
    """Whether guidance is on at some call of a run, which then needs both branches all along."""
    scales = [edit.cfg_scale for edit in edits if isinstance(edit, ChangeSampling)]
    return any(scale not in (None, 1.0) for scale in (config.cfg_scale, *scales))


def config_at(config: GenerationConfig, edits: Sequence[Edit], call: int) -> GenerationConfig:
    """The config that is in force at `call`."""
    changes: dict[str, float] = {}
    for edit in sorted((edit for edit in edits if isinstance(edit, ChangeSampling)), key=lambda edit: edit.call):
        if edit.call <= call:
            changes |= edit.changes
    return merge_generation_config(config, changes) if changes else config
