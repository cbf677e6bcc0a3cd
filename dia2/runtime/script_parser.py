"""From a script to the machine's entries: words, speaker tags, breaks.

`[S1] Hello there. <break time="0.4s"/> [S2] Hi!` becomes one `Entry` per word (the first of a turn is encoded
together with its tag) and one without tokens per break.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from dia2.common.errors import UsageError
from dia2.common.hooks import phase
from dia2.generation import MAX_SCRIPT_CHARS
from dia2.runtime.invisible import Visible
from dia2.runtime.script_notes import ScriptNotes
from dia2.runtime.state_machine import Entry, TokenIds

Encode = Callable[[str], list[int]]  # text → token ids, no special tokens added

MAX_BREAK_SECONDS = 120.0

_BREAK = re.compile(r'<break\s+time="(\d+(?:\.\d+)?)s"\s*/?>', re.ASCII)
_BREAK_START = re.compile(r"<break", re.IGNORECASE)
_TAG = re.compile(r"\[S([12])\]")
_TAG_LIKE = re.compile(r"\[S\d*\]", re.IGNORECASE)
_LONG_RUN = re.compile(r"\S{2001}")  # a stream must not scan an endless word again with every piece
_NOT_SPACE = re.compile(r"\S")
_LONGEST_BREAK_TAG = 200  # characters; an unclosed tag must not hold back a stream for ever


class ScriptParser:
    """Parses text that may arrive in pieces; the pieces are joined as they are, so a space separates words.

    An entry comes out as soon as the text that follows cannot change it. Joined pieces give the entries of
    the whole script.
    """

    def __init__(
        self,
        encode: Encode,
        ids: TokenIds,
        frame_rate: float,
        *,
        after_prefix: bool = False,
        notes: ScriptNotes | None = None,
    ) -> None:
        self._encode = encode
        self._ids = ids
        self._frame_rate = frame_rate
        self._after_prefix = after_prefix
        self._notes = notes  # on what is read aloud and looks like a tag
        self._visible = Visible()
        self._held = ""  # text whose last word or tag is not complete yet
        self._tag: int | None = None  # 1 or 2: speaker tag that waits for its word
        self._speaker: int | None = None  # who speaks; none before the first word

    def feed(self, text: str) -> list[Entry]:
        """Take more text; returns the entries that are complete now.

        Raises:
            UsageError: an unknown tag, a malformed or too long break, a control character, too much text.
        """
        if len(self._held) + len(text) > MAX_SCRIPT_CHARS:
            raise UsageError(
                f"The script has more than {MAX_SCRIPT_CHARS:,} characters: split it and generate the parts one by one."
            )
        refuse_controls(text, "The script")
        return self._take(self._visible.feed(text))

    def _take(self, piece: str) -> list[Entry]:
        """`feed`, of visible text."""
        text = self._held + piece.replace("’", "'").replace(":", " ")
        if run := _LONG_RUN.search(text):
            raise UsageError(
                f"The script has a word of more than 2,000 characters ({run[0][:30]!r}…): put spaces into it."
            )
        end = max((i + 1 for i, char in enumerate(text) if char.isspace()), default=0)
        opened = text.rfind("<", 0, end)
        if opened >= 0 and _BREAK_START.match(text, opened) and ">" not in text[opened:end]:
            end = opened  # a break tag may contain spaces: wait for its ">"
            if ">" not in text[end:] and len(text) - opened > _LONGEST_BREAK_TAG:
                raise _bad_break(text[opened:])
        self._held = text[end:]
        entries = self._parse(text[:end])
        if self._notes is not None:
            self._notes.feed(piece)
        return entries

    def close(self) -> list[Entry]:
        """No more text will come; returns what was held back. Raises as `feed` does."""
        entries = self._take(self._visible.close())
        held, self._held = self._held, ""
        entries += self._parse(held)
        if self._notes is not None:
            self._notes.close()
        return entries

    def _parse(self, text: str) -> list[Entry]:
        entries: list[Entry] = []
        at = 0
        while item := _NOT_SPACE.search(text, at):
            at = item.start()
            if _BREAK_START.match(text, at):
                found = _BREAK.match(text, at)
                if found is None or len(found[0]) > _LONGEST_BREAK_TAG:
                    raise _bad_break(text[at:])
                entries.extend(self._break(found))
                at = found.end()
            elif like := _TAG_LIKE.match(text, at):
                tag = _TAG.match(text, at)
                if tag is None:
                    raise UsageError(f"Unknown speaker tag {like[0][:20]} in the script: use [S1] or [S2].")
                self._tag = int(tag[1])
                at = tag.end()
            else:
                end = _word_end(text, at)
                entries.extend(self._word(text[at:end]))
                at = end
        return entries

    def _break(self, tag: re.Match[str]) -> Iterable[Entry]:
        seconds = float(tag[1])
        if seconds > MAX_BREAK_SECONDS:
            raise UsageError(f"Break {_shorten(tag[0])} is too long: at most {MAX_BREAK_SECONDS:g} seconds.")
        frames = round(seconds * self._frame_rate)
        if frames:
            yield Entry(tokens=[], text="", padding=frames)

    def _word(self, word: str) -> Iterable[Entry]:
        tokens = self._encode(word)
        if not tokens:
            return  # a tokenizer may drop a word altogether
        if self._tag:
            tokens = self._encode(f"[S{self._tag}] {word}")
        # A script begins with speaker 1 unless it says otherwise. After a prefix the published runtime puts the
        # token even before an explicit [S2], which its numbers show, so there we do as well.
        if self._speaker is None and (self._tag is None or (self._after_prefix and self._tag == 2)):
            tokens = [self._ids.spk1, *tokens]
        self._speaker = self._tag or self._speaker or 1
        self._tag = None
        yield Entry(tokens=tokens, text=word, padding=len(tokens), speaker=self._speaker)


@phase("script.parse")
def parse_script(
    lines: Iterable[str],
    encode: Encode,
    ids: TokenIds,
    frame_rate: float,
    *,
    after_prefix: bool = False,
    notes: ScriptNotes | None = None,
) -> list[Entry]:
    """Parse a whole script given as lines; `after_prefix` says that a prefix comes before it.

    Raises:
        UsageError: as `ScriptParser.feed`.
    """
    parser = ScriptParser(encode, ids, frame_rate, after_prefix=after_prefix, notes=notes)
    return parser.feed("\n".join(lines)) + parser.close()


def check_script(text: str, *, tell: bool = True) -> None:
    """Judge a script before a checkpoint, whose tokenizer alone knows its tokens, is loaded.

    Args:
        text: the script.
        tell: in the log, what it has that looks like a tag or a cue, and is read aloud.

    Raises:
        UsageError: as `ScriptParser.feed`; or the script has no words.
    """
    require_words(_parsed(text, ScriptNotes() if tell else None))


def words_of(text: str) -> list[str]:
    """The words of a script, also those that a tokenizer drops.

    Raises:
        UsageError: as `ScriptParser.feed`.
    """
    return [entry.text for entry in _parsed(text) if entry.tokens]


def _parsed(text: str, notes: ScriptNotes | None = None) -> list[Entry]:
    """Entries as if every word had a token."""
    return parse_script([text], lambda _: [0], TokenIds(*[0] * 10), 12.5, notes=notes)


def require_words(script: Sequence[Entry]) -> None:
    """Refuse a script of which nothing is to be said; a tokenizer, too, may leave nothing of a text.

    Raises:
        UsageError: says so.
    """
    if not any(entry.tokens for entry in script):
        raise UsageError("The script has no words: give some text besides tags and breaks.")


def _word_end(text: str, start: int) -> int:
    """Where the word that begins at `start` ends: at white space, a tag or a break."""
    for at in range(start + 1, len(text)):
        if text[at].isspace() or _TAG_LIKE.match(text, at) or _BREAK_START.match(text, at):
            return at
    return len(text)


def refuse_controls(text: str, where: str) -> None:
    """Raise UsageError if `text` has a control character other than white space; `where` names the text."""
    for at, char in enumerate(text):
        if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r\v\f":
            raise UsageError(f"{where} has the control character U+{ord(char):04X} at position {at}: remove it.")


def _bad_break(text: str) -> UsageError:
    tag = text[: text.find(">") + 1] or text
    return UsageError(f'Break {_shorten(tag)} is malformed: write <break time="0.4s"/>, seconds without sign.')


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
