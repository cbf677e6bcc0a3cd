"""Which words in brackets are a stage direction: a sound that somebody makes, a pause, a manner, a sound of the scene.

By a list of words, since “(as I said)” must not count. It errs on the side of silence.
"""

from __future__ import annotations

import re
from typing import Literal

# "sound": in brackets of any kind. "pause": the same. "scene": a manner or scene, which in round brackets may be prose.
Cue = Literal["sound", "pause", "scene"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a voice does. A letter after + is doubled in the form with -ing.
_VERBS = """
    laugh chuckle giggle snicker snigger snort cackle guffaw chortle sigh gasp cough sneeze sniff sniffle sob+b cry weep
    whimper whine whisper shout yell scream shriek groan moan grunt growl snarl hum+m sing whistle yawn burp belch
    hiccup gulp swallow inhale exhale breathe pant wheeze mumble mutter murmur stutter stammer clap+p applaud cheer
    snore beep bleep hiss choke retch tut+t shush smirk grin+n smile nod+d shrug+g scoff howl squeal pause
"""
_NOUNS = _words("""
    laughter applause chatter breath breaths crosstalk inaudible unintelligible gunshot gunshots footsteps tsk
""")
_ELSEWHERE = _words("""
    lacht lachen lachend seufzt seufzen hustet husten räuspert flüstert weint niest gähnt rires soupire soupir tousse
    chuchote pleure risas suspira tose susurra llora risate sospira tossisce 笑 笑い 笑声 大笑 掌声 拍手 叹气 咳嗽 咳
    ため息 смеется смеётся смех вздыхает кашляет
""")  # the same in other languages
_PAUSES = _words("pause pauses pausing beat silence")
_MANNERS = _words("""
    softly quietly loudly angrily sadly happily nervously excitedly sarcastically cheerfully gently sternly calmly
    breathlessly tearfully playfully mischievously slowly quickly excited angry sad sarcastic nervous curious surprised
    annoyed happy deadpan monotone cheerful serious music thunder static noise explosion rain wind
    break
""")
_SCENE_ENDS = _words("music noise noises sounds voice accent tone playing effect")
_THINGS = _words("""
    door doors phone telephone bell bells doorbell alarm siren sirens engine car music thunder rain wind dog dogs cat
    bird birds glass gun crowd audience footsteps keys clock water waves static microphone horn drum drums piano radio
    keyboard chair train baby floor window machine
""")
_HAPPENS = """
    close open slam+m ring play fade stop+p start bark break howl tick approach creak crash crackle rustle shatter chirp
    buzz click rumble roar blow hoot honk drip+p splash bang meow cry squeak knock echo
"""

# What may follow in a direction: “laughs at her”, and not “laughing stock”.
_AFTER = _words("""
    a an the his her their my at to in with and out into under through over behind from off up down then while again
    hard harder loud louder something himself herself themselves little bit together along of
""")
_SMALL = _words("a an the deep heavy loud little small slight long short big brief light soft nervous awkward quick")
# A sentence, or a remark, has one of these.
_PROSE = _words("""
    i i'm you you're we is isn't are aren't was were am be been it's that that's which who as if because but or nor not
    see would will can could should may might must have has had do did does said say says saying like than about only
    what why how there these those no yes also for by eg ie cf really never ever
""")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_TIMED = re.compile(r'(?:pause|break|silence)(?: time)?[ :=]{0,2}"?\d{1,4}(?:\.\d{1,3})? ?(?:s|ms|secs?|seconds?)?"? ?')
_SPLIT = re.compile(r"[\s\-]+|\s*[,;&+/.]\s*")
_MOST_WORDS = 7


def _forms(verbs: str) -> tuple[set[str], set[str], set[str]]:
    """As they stand, with -s, with -ing."""
    plain, finite, running = set(), set(), set()
    for entry in verbs.split():
        verb, _, doubled = entry.partition("+")
        plain.add(verb)
        y = verb.endswith("y") and verb[-2] not in "aeiou"
        finite.add(verb[:-1] + "ies" if y else verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s"))
        running.add((verb.removesuffix("e") if not doubled else verb + doubled) + "ing")
    return plain, finite, running


_PLAIN, _FINITE, _RUNNING = _forms(_VERBS)
_DOING = set().union(*_forms(_HAPPENS)[1:])
_SOUNDS = _FINITE | _RUNNING | _NOUNS


def cue(text: str) -> Cue | None:
    """What kind of stage direction `text` is, lowercase and without its brackets; `None` if it is not one."""
    text = text.strip(" \n.,!?…*_~`|/:-♪")
    if _TIMED.fullmatch(text):
        return "pause"
    words = [word for word in _SPLIT.split(text) if word]
    if not 0 < len(words) <= _MOST_WORDS or not all(map(_WORD.fullmatch, words)) or _PROSE & set(words):
        return None
    if len(words) == 1:
        return _single(words[0])
    if words[-1] in _PAUSES and all(word in _SMALL for word in words[:-1]):
        return "pause"
    if _throat(words) or any(_directs(words, i) for i in range(len(words))):
        return "sound"
    if _THINGS & set(words) and _DOING & set(words):
        return "sound"
    if len(words) <= 3 and (words[-1] in _SCENE_ENDS or all(word in _MANNERS for word in words)):
        return "scene"
    return None


def _single(word: str) -> Cue | None:
    if word in _PAUSES:
        return "pause"
    if word in _SOUNDS | _PLAIN | _ELSEWHERE:
        return "sound"
    return "scene" if word in _MANNERS else None


def _throat(words: list[str]) -> bool:
    """“Clears his throat”, “throat clearing”."""
    return "throat" in words and any(word.startswith("clear") for word in words)


def _directs(words: list[str], i: int) -> bool:
    """Word `i` is a sound, and stands as in a direction."""
    before, after = words[:i], words[i + 1 :]
    if words[i] in _PLAIN - _SOUNDS:  # “cough medicine”: a bare verb only with what says how
        return all(word in _SMALL or word.endswith("ly") for word in before + after)
    if words[i] not in _SOUNDS:
        return words[i] in _ELSEWHERE
    return not after or after[0] in _AFTER | _SOUNDS or after[0].endswith("ly")
