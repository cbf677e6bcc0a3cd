"""What of a script looks like a speaker tag or a stage direction, and is words all the same.

Nothing here changes how a script is read. Patterns are bounded, so a long text costs a long text's time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

from dia2.runtime.cues import cue

Kind = Literal["tag", "marked", "sound", "pause"]


@dataclass(frozen=True)
class Lookalike:
    """One of them."""

    spelling: str  # as it stands in the script; white space is one space
    kind: Kind  # "marked": a tag that counts, with something around it that is read
    speaker: int | None = None  # 1 or 2, of a tag that says so


_WINDOW = 200  # characters from where one begins that can decide about it
_CONTEXT = 24  # characters before it that can

_NAME = r"speaker|spkr|spk|sprecher(?:in)?|locuteur|locutrice|hablante|person|voice|说话人|发言人|話者|スピーカー"
_NUMBER = r"\d{1,3}|[a-h]|one|two|three|four|i{1,3}"
_JOINT = r"[\s_\-.#:/=|\"']{0,3}"
_INNER = re.compile(
    rf"s{_JOINT}0{{0,2}}(?P<bare>\d{{1,2}})(?: ?[,&+/] ?s ?\d{{1,2}})?"
    rf"|(?:{_NAME})(?: id)?{_JOINT}(?P<number>{_NUMBER})['\"]?|(?P<none>s|speaker)"
)
_FRINGE = " \n*_`~|/\\:.-#"  # what may surround it inside its brackets
_IN_BRACKETS = (  # perhaps with marks of emphasis around them
    r"(?P<left>[*_`~]{0,3})(?P<open>[\[({<]{1,3})(?P<inner>[^\[\](){}<>]{1,60})"
    r"(?P<close>[\])}>]{1,3})(?P<right>[*_`~]{0,3})"
)
_CLOCK = r"[\[(]?\d{1,2}(?::\d\d){1,2}(?:[.,]\d{1,3})?[\])]?"
_LABEL = (  # as before a line of dialogue: a colon after it, half a bracket, a dash, or the end of the line
    rf"(?<![\w'*~`])(?P<label>[*_`~]{{0,3}}(?:(?:{_NAME})[ _\-.#]{{0,2}}(?P<of>{_NUMBER})"
    r"|(?P<s>s)[ _\-.]{0,2}0{0,2}(?P<one>[12]))(?![^\W_])[*_`~]{0,3}"
    r"(?:(?: {0,2}[\[(][^\[\]()\n]{1,40}[\])])? {0,2}:(?!\d|//)[*_`~]{0,3}"
    r"|(?P<half>\])"
    r"|(?P<dash> {0,2}(?:-?>|--?|\|)(?= ))"
    rf"|(?P<alone>(?= {{0,3}}(?:{_CLOCK})? {{0,3}}(?:\n|\Z)))))"
)
_EMPHASISED = (
    r"(?<![\w*~`])(?P<mark>\*{1,3}|_{1,3}|~{1,2}|`)(?P<emphasised>[^\s*_`~\[\](){}<>][^*_`~\[\](){}<>\n]{0,60})"
    r"(?P=mark)(?![\w*~`])"
)
_UNCLOSED = (
    rf"(?P<unclosed>\[(?:s[ _\-.]?|(?:{_NAME})[ _\-.#]{{0,2}})0{{0,2}}(?P<unclosed_of>\d))(?=\s)(?![^\[\]]{{0,80}}\])"
)
_CANDIDATE = f"{_IN_BRACKETS}|{_LABEL}|{_EMPHASISED}|{_UNCLOSED}"
_EXACT = re.compile(r"\[S([12])\]")
_SPEAKERS = {"1": 1, "2": 2, "a": 1, "b": 2, "one": 1, "two": 2, "i": 1, "ii": 2}
_SENTENCE_ENDS = '.!?…。！？"”’»)]}>*_~`|#-•·●▪'  # or what a line of a list or of a quotation begins with
_TIME = re.compile(r"\d:\d\d(?:[.,]\d{1,3})?\Z")


class Lookalikes:
    """Finds them in text that arrives in pieces: those of the joined pieces, each once the text after it is known."""

    def __init__(self) -> None:
        self._text = ""
        self._folded = ""  # the same, as the patterns have it
        self._at = 0  # up to where all is found
        self._table = _Fold()

    def feed(self, text: str) -> list[Lookalike]:
        """Take more text."""
        self._text += text
        self._folded += text.translate(self._table)
        found = self._find(len(self._text) - _WINDOW)
        spare = self._at - _CONTEXT
        if spare > 0:
            self._text, self._folded = self._text[spare:], self._folded[spare:]
            self._at = _CONTEXT
        return found

    def close(self) -> list[Lookalike]:
        """No more text will come."""
        found = self._find(len(self._text))
        self._text, self._folded, self._at = "", "", 0
        return found

    def _find(self, limit: int) -> list[Lookalike]:
        found = []
        while self._at < limit:
            match = _candidates().search(self._folded, self._at)
            if match is None or match.start() >= limit:
                self._at = limit
                break
            what, self._at = self._judge(match)
            if what is not None:
                found.append(what)
        return found

    def _judge(self, match: re.Match[str]) -> tuple[Lookalike | None, int]:
        """What is found, and from where to look on."""
        begin, end = match.span()
        what: Lookalike | None = None
        if match["open"]:
            return self._in_brackets(match)
        if match["mark"]:
            what = self._cue(begin, end, match["emphasised"], plain=True)
        elif match["unclosed"]:
            what = self._spelled(begin, end, "tag", _SPEAKERS.get(match["unclosed_of"]))
        elif self._is_label(match):
            what = self._spelled(begin, end, "tag", _SPEAKERS.get(match["one"] or match["of"]))
        return what, begin + 1 if what is None else end

    def _in_brackets(self, match: re.Match[str]) -> tuple[Lookalike | None, int]:
        opened, closed = match["open"], match["close"]
        around = min(len(opened), len(closed))
        begin, end = match.end("open") - around, match.start("close") + around
        left = match["left"] if around == len(opened) else ""
        right = match["right"] if around == len(closed) else ""
        if right and not left and self._folded[match.end() : match.end() + 1] not in ("", " ", "\n", ":"):
            right = ""  # they belong to the word that they touch
        wide = (begin - len(left), end + len(right))
        if exact := _EXACT.search(self._text, begin, end):
            bare = not left and not right and around == 1
            return None if bare else self._spelled(*wide, "marked", int(exact[1])), wide[1]
        inner = _INNER.fullmatch(match["inner"].strip(_FRINGE))
        if inner and self._may_be_tag(inner, opened[-1], self._folded[begin - 1 : begin] if begin else ""):
            number = inner["bare"] or inner["number"]
            padded = inner["number"] and len(number) > 1 and number[0] == "0"  # a diarisation's; those count from 0
            return self._spelled(*wide, "tag", None if padded or number is None else _speaker(number)), wide[1]
        found = self._cue(begin, end, match["inner"], plain=opened[-1] == "(")
        return found, match.start() + 1 if found is None else end

    @staticmethod
    def _may_be_tag(inner: re.Match[str], bracket: str, before: str) -> bool:
        if inner["none"]:
            return bracket == "["
        if bracket in "(<" and before and (before.isalnum() or before in "_/="):
            return False  # f(S1), List<S1>, a link
        if bracket != "(" or not inner["bare"]:
            return True
        return _speaker(inner["bare"]) is not None and "." not in inner[0]  # “Storage (S3)” and “(S. 1)” are prose

    def _is_label(self, match: re.Match[str]) -> bool:
        """It stands where a line or a sentence begins, and not within one."""
        begin, named = match.start(), match["s"] is None
        if match["half"]:
            return self._begins_sentence(begin) and self._folded[begin - 1 : begin] not in ("[", "(")
        if match["alone"] is not None:
            return self._begins_line(begin)
        if match["dash"]:  # “S1 - the fast train” is prose
            return self._begins_line(begin) and (named or ">" in match["dash"])
        return self._begins_sentence(begin)

    def _begins_line(self, at: int) -> bool:
        before = self._before(at)
        return not before or before.endswith("\n")

    def _begins_sentence(self, at: int) -> bool:
        before = self._before(at)
        return self._begins_line(at) or before[-1] in _SENTENCE_ENDS or bool(_TIME.search(before))

    def _before(self, at: int) -> str:
        return self._folded[max(0, at - _CONTEXT) : at].rstrip(" ")

    def _cue(self, begin: int, end: int, text: str, *, plain: bool) -> Lookalike | None:
        """`plain`: in what may hold prose too, round brackets or marks of emphasis."""
        kind = cue(text)
        if kind == "scene" and plain and not (self._folded[begin] == "(" and self._begins_sentence(begin)):
            return None
        if kind == "sound" and plain and self._folded[begin] != "(" and not self._begins_sentence(begin):
            # “I was *crying*”; what somebody *sighs* is a cue
            kind = kind if text.split()[0].strip(",.").endswith("s") else None
        return None if kind is None else self._spelled(begin, end, "pause" if kind == "pause" else "sound")

    def _spelled(self, begin: int, end: int, kind: Kind, speaker: int | None = None) -> Lookalike:
        return Lookalike(" ".join(self._text[begin:end].split()), kind, speaker)


def lookalikes(text: str) -> list[Lookalike]:
    """All of a whole text."""
    finder = Lookalikes()
    return finder.feed(text) + finder.close()


@cache
def _candidates() -> re.Pattern[str]:  # compiled when the first script comes, not at start-up
    return re.compile(_CANDIDATE)


def _speaker(number: str) -> int | None:
    return _SPEAKERS.get(number.lstrip("0"))


# Bracket by bracket, and so on; NFKC knows the wide ones.
_ALIKE = {
    **dict.fromkeys("【〔〖〚⟦⦋「『", "["),
    **dict.fromkeys("】〕〗〛⟧⦌」』", "]"),
    **dict.fromkeys("⟨〈《‹«❮", "<"),
    **dict.fromkeys("⟩〉》›»❯", ">"),
    **dict.fromkeys("∶꞉ː：", ":"),
    **dict.fromkeys("∗⁎＊", "*"),
    **dict.fromkeys("\r\v\f\u2028\u2029", "\n"),
    **dict.fromkeys("Ѕѕ", "s"),  # Cyrillic, and of the same shape
    "’": "'",
}


class _Fold(dict[int, str]):
    """Each character as the patterns have it: plain brackets, digits and letters, lowercase; always one for one."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        folded = _ALIKE.get(char)
        if folded is None:
            digit = unicodedata.digit(char, None)
            folded = unicodedata.normalize("NFKC", char).lower() if digit is None else str(digit)
            if folded.isspace() and folded != "\n":
                folded = " "
            elif unicodedata.category(char) == "Pd":
                folded = "-"
            elif len(folded) != 1:
                folded = char
        self[code] = folded
        return folded
