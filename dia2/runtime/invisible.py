"""Characters that nobody sees, taken out of a text before anything is made of it.

Text that is pasted from the web or an editor brings byte-order marks, zero-width spaces, soft hyphens and direction
marks along; a tokenizer spells each, and a tag that has one inside is no tag. The model was trained on none of them.
Some characters without a shape do something where they stand, and stay there: joiners between letters of scripts that
join and inside emoji, variation selectors after what has variants, and the tags that make a flag of a black one.
"""

from __future__ import annotations

import re
import unicodedata

# Unicode's Default_Ignorable_Code_Point and Cf, but for what is a visible sign over the following letters (Arabic,
# Syriac and Kaithi number signs), what arranges Egyptian hieroglyphs, and what `_SOFT` has.
_HARD = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]+"
)
_BLANKS = re.compile("[\u2800\u3164\uffa0]")  # drawn as a space and none by name: Braille's blank, Hangul's fillers
_JOINERS = "\u180e\u200c\u200d"  # Mongolian's vowel separator among them
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = "\U000e0020-\U000e007f"
_SOFT = re.compile(f"[{_JOINERS}{_VARIANTS}{_TAGS}]+")  # what follows decides
_LONGEST_RUN = 64  # of those; no writing has so many in a row

_VARIANT = re.compile(f"[{_VARIANTS}]")
_FLAG = re.compile("[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")  # region and subdivision, the end
_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff\u3030"
    "\u303d\u3297\u3299\U0001f000-\U0001fbff]"
)
# Blocks of scripts whose letters join or stack: Arabic and its kin, those of India and South-East Asia, Mongolian.
_JOINING = re.compile(
    "[\u0600-\u077f\u07c0-\u07ff\u0840-\u08ff\u0900-\u0dff\u1000-\u109f\u1700-\u18af\u1a20-\u1aaf\u1b00-\u1c4f"
    "\u1cd0-\u1cff\ua840-\ua8ff\ua930-\uaaff\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010ac0-\U00010aff\U00010b80-\U00010baf\U00010d00-\U00010d3f\U00010ec0-\U00010fdf\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f]"
)
_ENDING = ("\u09cd", "\u0d4d")  # viramas: with a joiner they end a Bengali or Malayalam word in another sound


class Visible:
    """Takes them out of text that arrives in pieces; joined, what comes out is `visible` of the joined pieces."""

    def __init__(self) -> None:
        self._held = ""  # characters about which what follows decides
        self._last = ""  # the character before them, of those that stayed
        self._base = ""  # the same, variation selectors and the like not counted

    def feed(self, text: str) -> str:
        """Take more text; returns what is decided now: all but what the piece ends with and may go or stay."""
        return self._read(text, ended=False)

    def close(self) -> str:
        """No more text will come; returns what was held back."""
        return self._read("", ended=True)

    def _read(self, text: str, *, ended: bool) -> str:
        if not self._held and text.isascii():
            if text:
                self._last = self._base = text[-1]
            return text
        text = self._held + _BLANKS.sub(" ", _HARD.sub("", text))
        self._held = ""
        kept: list[str] = []
        at = 0
        for run in _SOFT.finditer(text):
            self._keep(kept, text[at : run.start()])
            at = run.end()
            if at == len(text) and not ended:
                self._held = run[0][:_LONGEST_RUN]
                return "".join(kept)
            kept.append(self._decide(run[0][:_LONGEST_RUN], text[at : at + 1]))
        self._keep(kept, text[at:])
        return "".join(kept)

    def _keep(self, kept: list[str], plain: str) -> None:
        if plain:
            kept.append(plain)
            self._last = self._base = plain[-1]

    def _decide(self, run: str, after: str) -> str:
        """What stays of a run between `self._base` and `after`, which is empty at the end of the text."""
        kept: list[str] = []
        at = 0
        while at < len(run):
            char = run[at]
            flag = _FLAG.match(run, at) if self._last == "\U0001f3f4" else None
            if flag:
                kept.append(flag[0])
            elif _VARIANT.match(char):
                if self._last == self._base and _varies(self._base, char, run[at + 1 :] + after):
                    kept.append(char)
            elif char in _JOINERS and self._last not in tuple(_JOINERS) and _joins(self._base, char, after):
                kept.append(char)
            self._last = kept[-1][-1] if kept else self._last
            at += len(flag[0]) if flag else 1
        return "".join(kept)


def visible(text: str) -> str:
    """`text` without characters that nobody sees and that do nothing where they stand."""
    reader = Visible()
    return reader.feed(text) + reader.close()


def _varies(base: str, selector: str, after: str) -> bool:
    """`base` has variants that a selector chooses from: emoji, symbols, ideographs and others without case."""
    if base.isascii():  # a digit becomes a keycap; also where nothing stands before
        return selector == "\ufe0f" and after[:1] == "\u20e3" and base in tuple("0123456789#*")
    return bool(_EMOJI.match(base)) or unicodedata.category(base) in ("Lo", "Sc", "Sk", "Sm", "So")


def _joins(before: str, joiner: str, after: str) -> bool:
    """A joiner between these does something: letters or marks of scripts that join, or emoji."""
    if joiner == "\u200d" and (before in _ENDING or (_EMOJI.match(before) and _EMOJI.match(after))):
        return True
    return _letter_that_joins(before) and _letter_that_joins(after)


def _letter_that_joins(char: str) -> bool:  # or nothing
    return bool(_JOINING.match(char)) and unicodedata.category(char)[0] in "LM"
