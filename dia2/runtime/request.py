"""What is asked of a checkpoint for one script, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.files import check_sound_writable
from dia2.common.hooks import Observer, unobserved
from dia2.common.progress import ProgressCallback
from dia2.generation import GenerationConfig, merge_generation_config, normalize_script
from dia2.runtime.edits import Edit, checked_edits
from dia2.runtime.live_text import LiveText
from dia2.runtime.script_parser import check_script
from dia2.runtime.voice_clone import check_prefix

Trace = str | Path | AbstractContextManager[object]  # a folder, or a recording that is not begun yet


class Request:
    """One script of a batch, with all that is to be done for it: the keywords of `Dia2.generate`, but for `verbose`.

    It stays as it was checked.
    """

    script: str | Sequence[str] | LiveText
    config: GenerationConfig  # in force
    output_wav: str | Path | None
    progress: ProgressCallback | None
    observer: Observer | None
    trace: Trace | None
    edits: Sequence[Edit]
    _given: tuple[GenerationConfig | None, dict[str, Any]]  # from which `config` follows

    def __init__(
        self,
        script: str | Sequence[str] | LiveText,
        config: GenerationConfig | None = None,
        output_wav: str | Path | None = None,
        *,
        progress: ProgressCallback | None = None,
        observer: Observer | None = None,
        trace: Trace | None = None,
        edits: Sequence[Edit] = (),
        **overrides: Any,
    ) -> None:
        """Note what is asked, and refuse what no checkpoint can do.

        Args:
            script: as in `Dia2.generate`, and so are all others; for an open batch also text that is still written.
            config: sampling, guidance and prefix; the defaults if none.
            output_wav: where to write the audio as well.
            progress: called after every frame of this script.
            observer: looks on at this script alone.
            trace: where to record it, a folder; or `dia2.inspect.record(folder, …)`, with its levels and filters.
            edits: what the run is made to do at certain calls.
            **overrides: single fields on top of `config`: seed, cfg_scale, temperature, prefix_speaker_1, …

        Raises:
            UsageError: something given is not acceptable; the message says what.
        """
        if "verbose" in overrides:
            raise UsageError(
                "A Request takes no verbose: give it progress, a function that is called after every frame."
            )
        vars(self).update(script=script, output_wav=output_wav, progress=progress, observer=observer, trace=trace)
        vars(self).update(edits=checked_edits(edits), _given=(config, overrides))
        if trace is not None and not isinstance(trace, str | Path | AbstractContextManager):
            raise UsageError(f"trace is a folder, or a record(…) that is not begun yet, not {short(trace)}.")
        with unobserved():
            vars(self)["config"] = self.checked(tell=False)[0]  # it is told when it is spoken

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refused."""
        raise AttributeError(f"A Request stays as it was checked: make another one, with another {name}.")

    def __delattr__(self, name: str) -> NoReturn:
        """Refused."""
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        return f"<Request: {short(self.script)}>"

    def checked(self, *, tell: bool = True) -> tuple[GenerationConfig, str]:
        """The config in force, and the script's text; the phases that a run begins with.

        Args:
            tell: what the script's author may not have meant, see `check_script`.

        Raises:
            UsageError: something given is not acceptable, now that files may have changed.
        """
        config = merge_generation_config(*self._given)
        text = ""
        if not isinstance(self.script, LiveText):
            text = normalize_script(self.script)
            check_script(text, tell=tell)
        check_prefix(config.prefix)
        if self.output_wav is not None:
            check_sound_writable(self.output_wav)
        return config, text
