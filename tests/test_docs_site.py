"""The site's pages without Sphinx: links and anchors lead somewhere, the CLI page is that of the parsers, and every
message and every flag that a page quotes is one of the code.

`python -m tests.test_docs_site` writes docs/cli.md anew.
"""

import argparse
import ast
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import dia.cli
from dia2.cli import build_parser
from dia2.inspect import plots

ROOT = Path(__file__).parents[1]
CLI = ROOT / "docs" / "cli.md"
TROUBLE, DIA = ROOT / "docs" / "troubleshooting.md", ROOT / "docs" / "dia.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "dia2" / "runtime" / "nano" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("*.ipynb")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
_HEAD = """# Command line

<!-- made from the parsers in dia2/cli.py, dia2/trace_flags.py, dia2/sweep_flags.py and dia/cli.py:
     python -m tests.test_docs_site -->

`dia2` is also `python -m dia2`. Where no command is named, it is `generate`: `dia2 hello.wav --input "[S1] Hello."`.
`dia2 --version` says the version, `dia2 COMMAND --help` what stands here. `dia`, also `python -m dia`, speaks with the
[first generation](dia.md); `dia2 trace` looks into the runs of both.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted (the audio so far is kept). Errors are one sentence
on standard error; `--debug` shows the traceback. All that is given is judged before a checkpoint is loaded, and a run
that is refused leaves nothing behind, an older trace in its place included.

Sound is written as WAV, so a name ends in `.wav`, or has no suffix; pipes and devices such as `/dev/null` may have any
name. What cannot be printed, on a full disk or where a shell has closed standard output, is exit code 1; the files that
were written are whole.

The defaults of `dia2 generate` are those of the published command line, which are not Python's: there guidance is 2 and
the text is drawn at temperature 0.6. The same run in Python is `cfg_scale=1, temp_text=0.8`.

Times of words, in the printed summary as in `--json`, `--words`, `--subtitles` and `--spectrogram`, say when a word
[sounds](concepts.md#when-a-word-sounds). `--words` writes `{"format": 2, "words": [{"text", "start", "speaker"}, …]}`;
`--prefix-words-1/2` and `dia2 voice --words` read that, or a bare list, `[{"text", "start", "end"}, …]`, whose times
are taken as they stand. All words of a file are taken, whoever says them.

Subtitles in SubRip, which has no escape, are written without what a player would obey (`<i>`, `{\\an8}`); in WebVTT
it is escaped.

## Examples

```bash
dia2 generate hello.wav --hf nari-labs/Dia2-2B --cfg 2 --seed 7 --subtitles hello.srt --words hello.json \\
  --input '[S1] Hello there. [S2] Hi! <break time="0.4s"/> How are you?'

# Continue from two recordings, which Whisper transcribes. The published runtime is called like this, too.
python -m dia2.cli --hf nari-labs/Dia2-2B --input input.txt \\
  --prefix-speaker-1 a.wav --prefix-speaker-2 b.wav --cuda-graph --verbose output_conditioned.wav

# Keep a recording as a voice, encoded and transcribed once.
dia2 voice a.wav --hf nari-labs/Dia2-2B --speaker 1 -o anna.voice
dia2 generate again.wav --hf nari-labs/Dia2-2B --input input.txt --prefix-speaker-1 anna.voice

# Record a run, then look into it.
dia2 generate hello.wav --input "[S1] Hello there. [S2] Hi!" --cfg 2 --seed 7 --trace run.dia2trace
dia2 trace findings run.dia2trace              # what is wrong, where, and what to do
dia2 trace show run.dia2trace                  # what the run was, a line for each step; --full says all of it
dia2 trace watch run.dia2trace                 # from another terminal, while it is recorded
dia2 trace frames run.dia2trace --call 11      # one call in full: every stream and draw
dia2 trace grid run.dia2trace                  # the delayed codebooks
dia2 trace prefix run.dia2trace                # what became of each word of a voice clone
dia2 trace diff run.dia2trace other.dia2trace  # the first call at which two runs part, and why
dia2 trace html run.dia2trace -o run.html      # the explorer: one file for any browser
```

| to … | say |
| --- | --- |
| use local files | `--config config.json --weights model.safetensors`, `--tokenizer FOLDER`, `--mimi FOLDER` |
| get the same audio again | `--seed N`; a run without one reports the seed it used |
| choose how tokens are drawn | `--temperature 0.8 --topk 50`, `--greedy`, `--cfg 2 --cfg-filter-k 50` |
| give your own word times instead of Whisper's | `--prefix-words-1 a.json`, with the times at which the words sound |
| choose the Whisper checkpoint | `--whisper NAME_OR_PATH` |
| choose device and precision | `--device cuda --dtype bfloat16 --quantize int8` |
| see the sound, with its words | `--spectrogram` |
| hand the result to a program | `--json` |

![dia2 trace frames in a terminal: one call of a two-speaker run](images/trace-frame.svg)

## Commands

| command | does |
| --- | --- |
"""


# The page of the command line


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Every command that can be run, with the line of help that its parent has for it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                below = list(_commands(child))
                yield from below or [(child, helps[name])]


def _value(action: argparse.Action) -> str:
    """What follows a flag: nothing, its choices, or the name of its value."""
    if action.nargs == 0:
        return ""
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _usage(action: argparse.Action) -> str:
    text = " ".join(filter(None, [action.option_strings[0] if action.option_strings else "", _value(action)]))
    optional = action.nargs == "?" if not action.option_strings else not action.required
    text += " …" * (action.nargs == "+")
    return f"[{text}]" if optional else text


def _row(action: argparse.Action, prog: str) -> str:
    flags = ", ".join(" ".join(filter(None, [flag, _value(action)])) for flag in action.option_strings)
    told = (action.help or "") % (vars(action) | {"prog": prog})
    cells = [f"`{flags or _value(action)}`", re.sub(r"(?<=[ (])(--[\w/-]+\w)", r"`\1`", told)]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |\n"


def _table(actions: Iterable[argparse.Action], prog: str) -> str:
    rows = [_row(action, prog) for action in actions]
    return "\n| flag | meaning |\n| --- | --- |\n" + "".join(rows) if rows else ""


def _groups(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """The flags of a command by the title of their group; "" for those of none, arguments first."""
    found: dict[str, list[argparse.Action]] = {"": []}
    for group in parser._action_groups:
        title = "" if group.title in ("positional arguments", "options") else str(group.title)
        shown = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        found.setdefault(title, []).extend(shown)
    return found


def _shared(parsers: Sequence[argparse.ArgumentParser]) -> list[argparse.Action]:
    """Flags that several commands have in the very same words."""
    first, *others = parsers
    rows = [{_row(action, "") for action in parser._actions} for parser in others]
    shown = [a for a in first._actions if a.option_strings and not isinstance(a, argparse._HelpAction)]
    return [action for action in shown if all(_row(action, "") in each for each in rows)]


def _section(parser: argparse.ArgumentParser, shared: set[str], note: str = "") -> Iterator[str]:
    yield f"\n## {parser.prog}\n\n{parser.description}\n"
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    arguments = [action for action in actions if not action.option_strings]
    needed = [action for action in actions if action.option_strings and action.required]
    yield f"\n    {parser.prog} {' '.join(map(_usage, arguments + needed))} [OPTION …]\n"
    for title, group in _groups(parser).items():
        own = [action for action in group if _row(action, "") not in shared]
        if own and title:
            yield f"\n**{title[0].upper()}{title[1:]}**\n"
        yield _table(own, parser.prog)
    if note:
        yield f"\n{note}\n"


def cli_page() -> str:
    """docs/cli.md as it has to be."""
    found = list(_commands(build_parser()))
    first_generation = list(_commands(dia.cli.build_parser()))
    listed = found + first_generation
    page = _HEAD + "".join(f"| [{p.prog}](#{p.prog.replace(' ', '-')}) | {text} |\n" for p, text in listed)
    parts = {
        "Flags that choose a checkpoint": [p for p, _ in found if p.prog in ("dia2 generate", "dia2 voice")],
        "Flags of every view of a trace": [p for p, _ in found if p.prog.startswith("dia2 trace ")],
    }
    for title, parsers in parts.items():
        shared = _shared(parsers)
        note = f"And the [{title[0].lower()}{title[1:]}](#{title.lower().replace(' ', '-')})."
        for parser in parsers:
            page += "".join(_section(parser, {_row(action, "") for action in shared}, note))
        page += f"\n## {title}\n{_table(shared, 'dia2')}"
    others = [parser for parser, _ in found if not any(parser in parsers for parsers in parts.values())]
    return page + "".join("".join(_section(parser, set())) for parser in [*others, *(p for p, _ in first_generation)])


def test_the_page_of_the_command_line_is_that_of_the_parsers() -> None:
    assert CLI.read_text(encoding="utf-8") == cli_page(), "python -m tests.test_docs_site"


def test_the_page_of_the_command_line_has_every_command_and_flag() -> None:
    page = CLI.read_text(encoding="utf-8")
    flags = {
        (parser.prog, flag)
        for root in (build_parser(), dia.cli.build_parser())
        for parser, _ in _commands(root)
        for action in parser._actions
        for flag in action.option_strings
        if not isinstance(action, argparse._HelpAction)
    }
    assert len(flags) > 60
    for command, flag in flags:
        shared = "Flags of every view of a trace" if "trace" in command else "Flags that choose a checkpoint"
        titles = (command, shared) if command.startswith(("dia2 trace", "dia2 generate", "dia2 voice")) else (command,)
        sections = [page[page.index(f"## {title}\n") :].partition("\n## ")[0] for title in titles]
        assert re.search(rf"`[^`]*{flag}\b", "".join(sections)), (command, flag)


# Links


@cache
def _text(page: Path) -> str:
    """The Markdown of a page or notebook, without its code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2`*$", "", text, flags=re.DOTALL | re.MULTILINE)


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", _text(page), flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        kept = "".join(c for c in shown.lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
        slug = kept.replace(" ", "-")
        again = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", other))
        found.append(f"{slug}-{again}" if again else slug)
    return frozenset(found) | frozenset(re.findall(r'\bid="([^"]+)"', _text(page)))


def _links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", _text(page))
    plain = re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", text)
    return plain + [html.unescape(link) for link in re.findall(r'\b(?:href|src)="([^"]+)"', text)]


def _broken(page: Path) -> Iterator[str]:
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and (target.suffix not in (".md", ".ipynb") or anchor not in _anchors(target)):
            yield f"{link}: there is no such heading"
        elif not target.is_relative_to(ROOT):
            yield f"{link}: leads out of the repository"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    assert list(_broken(page)) == []


def test_the_readme_is_short_and_says_what_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    command = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert command.startswith("make ")
    assert re.search(rf"^{command} +#", text, flags=re.MULTILINE)
    assert [line for line in text.splitlines() if line.startswith("![")], "a picture"


@pytest.mark.parametrize("name", plots.__all__)
def test_every_figure_stands_in_the_docs(name: str) -> None:
    assert f"`plots.{name}(" in (ROOT / "docs" / "explorer.md").read_text(encoding="utf-8")
    assert f".. autofunction:: {name}\n" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("## Plots")[1]


def test_broken_links_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two` (2)\n[a](#one-two-2) [b](#one) [c](gone.md) ![d](<no.png>) `[e](f.md)`\n"
        "```\n[g](h.md)\n```\n[i](https://i.org)\n# One two 2\n[j](#one-two-2-1)\n"
    )
    assert [line.split(":")[0] for line in _broken(page) if "leads out" not in line] == ["#one", "gone.md", "no.png"]


def test_every_page_is_reached_from_the_index() -> None:
    index = _text_with_code(ROOT / "docs" / "index.md")
    tree = " ".join(re.findall(r"```\{toctree\}(.*?)```", index, flags=re.DOTALL))
    names = set(tree.split())
    pages = {page.stem for page in (ROOT / "docs").iterdir() if page.suffix in (".md", ".ipynb")} - {"index"}
    assert pages <= names


def _text_with_code(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# What pages quote


@cache
def _messages() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The longest fixed part of every string of the package, and a pattern of it: what is filled in can be anything."""
    found = []
    for path in sorted([*(ROOT / "dia").rglob("*.py"), *(ROOT / "dia2").rglob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [str(p.value) if isinstance(p, ast.Constant) else "" for p in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                parts = re.sub(r"%(?:[sd]|\.\df)", "\0\0", node.value).split("\0")
            else:
                continue
            if len("".join(parts)) > 12:  # words, not one filled-in name
                pattern = "".join(re.escape(part) or ".+?" for part in parts)
                found.append((max(parts, key=len), re.compile(pattern, re.DOTALL)))
    return tuple(found)


def _quoted(page: Path) -> list[str]:
    """Messages in a page: what its ```text blocks hold, each as one line."""
    blocks = re.findall(r"^```text\n(.*?)^```", _text_with_code(page), flags=re.DOTALL | re.MULTILINE)
    lines = [re.split(r"dia2?: (?:error|warning|note): ", " ".join(block.split())) for block in blocks]
    return [part.strip() for parts in lines for part in parts if part.strip()]


def _is_message(text: str) -> bool:
    return any(fixed in text and pattern.fullmatch(text) for fixed, pattern in _messages())


@pytest.mark.parametrize(("page", "least"), [(TROUBLE, 20), (DIA, 5)], ids=["troubleshooting", "dia"])
def test_messages_that_the_pages_quote_are_those_of_the_code(page: Path, least: int) -> None:
    quoted = _quoted(page)
    assert len(quoted) >= least
    assert [text for text in quoted if not _is_message(text)] == []
    assert not _is_message("Device 'cuda' is not available here: try the sun.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_are_understood(page: Path) -> None:
    """Every line `dia2 …` or `dia …` of a console block names commands and flags that there are."""
    roots = (build_parser(), dia.cli.build_parser())
    parsers = {parser.prog: parser for root in roots for parser, _ in _commands(root)}
    blocks = re.findall(r"^```(?:bash|console|sh)\n(.*?)^```", _text_with_code(page), flags=re.DOTALL | re.MULTILINE)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].removeprefix("$ ").split()
        if words[:1] not in (["dia2"], ["dia"]) or len(words) < 2:
            continue
        command = " ".join(words[:3] if words[1] == "trace" else words[:2])
        if words[1].startswith("-"):
            continue
        assert command in parsers, line
        known = {flag for action in parsers[command]._actions for flag in action.option_strings}
        assert {word for word in words if word.startswith("--")} <= known, line


if __name__ == "__main__":
    CLI.write_text(cli_page(), encoding="utf-8")
