"""Where a checkpoint's parts are found: in local files, and on a hub that is well, sick or out of reach."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from dia2 import CheckpointError, Dia2, UsageError
from dia2.runtime.assets import Assets, from_local, from_repo

from .support.hub import FakeHub
from .support.models import put
from .support.reference import ROOT, Case

TINY8 = ROOT / "tiny8"
SPEAKS = Case("tiny8", "plain_cfg1")
MANIFEST = "dia2_assets.json"


def lay_out(
    folder: Path, changes: Mapping[str, object] | None = None, *, tokenizer: str | None = None, mimi: str | None = None
) -> Path:
    """Put tiny8's config and weights into `folder`, and beside them tokenizer and codec if they are named.

    Args:
        folder: made if need be.
        changes: of the config, by dotted field names.
        tokenizer: subfolder for the tokenizer's files; "." is the folder itself.
        mimi: the same for the codec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((TINY8 / "config.json").read_text(encoding="utf-8"))
    for name, value in (changes or {}).items():
        put(config, name, value)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(TINY8 / "model.safetensors", folder)
    for source, target in (("tokenizer", tokenizer), ("mimi", mimi)):
        if target is not None:
            shutil.copytree(TINY8 / source, folder / target, dirs_exist_ok=True)
    return folder


# Local files


def local(folder: Path, **options: str) -> Assets:
    return from_local(folder / "config.json", folder / "model.safetensors", **options)


def test_the_tokenizer_is_the_argument_then_assets_then_data_then_the_folder(tmp_path: Path) -> None:
    everything = {"assets.tokenizer": "owner/assets", "data.tokenizer_path": "owner/data"}
    folder = lay_out(tmp_path / "all", everything, tokenizer=".")
    assert local(folder, tokenizer="owner/argument").tokenizer == "owner/argument"
    assert local(folder).tokenizer == "owner/assets"
    folder = lay_out(tmp_path / "data", {"data.tokenizer_path": "owner/data"}, tokenizer=".")
    assert local(folder).tokenizer == "owner/data"
    folder = lay_out(tmp_path / "folder", tokenizer=".")
    assert local(folder).tokenizer == str(folder)


def test_without_any_tokenizer_the_error_says_which_flag_to_give(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "bare")
    with pytest.raises(CheckpointError) as caught:
        local(folder)
    message = f"{folder / 'config.json'} names no tokenizer: give its folder or hub repo by --tokenizer."
    assert str(caught.value) == message
    assert local(folder, tokenizer="x/y").tokenizer == "x/y"


def test_either_tokenizer_file_makes_the_folder_a_tokenizer_s(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        folder = lay_out(tmp_path / name)
        shutil.copy(TINY8 / "tokenizer" / name, folder)
        assert local(folder).tokenizer == str(folder)


@pytest.mark.parametrize("field", ["assets.tokenizer", "data.tokenizer_path", "assets.mimi"])
@pytest.mark.parametrize("name", ["part", "./part", "../beside/part"])
def test_a_relative_path_in_the_config_is_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder = lay_out(tmp_path / "beside", {field: name}, tokenizer=".")
    (folder / "part").mkdir()
    found = local(folder)
    part = found.mimi if field == "assets.mimi" else found.tokenizer
    assert Path(part).is_absolute()
    assert Path(part).samefile(folder / "part")


def test_an_absolute_path_in_the_config_stands_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "codec").mkdir()
    folder = lay_out(tmp_path / "model", {"assets.mimi": str(tmp_path / "codec")}, tokenizer=".")
    assert local(folder).mimi == str(tmp_path / "codec")


def test_a_name_in_the_config_that_is_no_folder_beside_it_is_a_hub_repo(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, {"assets.tokenizer": "owner/words", "assets.mimi": "owner/codec"})
    assert (local(folder).tokenizer, local(folder).mimi) == ("owner/words", "owner/codec")


def test_the_codec_is_the_argument_then_assets_then_kyutai_mimi(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "named", {"assets.mimi": "owner/codec"}, tokenizer=".")
    assert local(folder, mimi="owner/argument").mimi == "owner/argument"
    assert local(folder).mimi == "owner/codec"
    assert local(lay_out(tmp_path / "bare", tokenizer=".")).mimi == "kyutai/mimi"


def test_a_folder_laid_out_like_a_repo_is_as_good_as_one(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, {"assets.mimi": "codec"}, tokenizer=".", mimi="codec")
    found = from_repo(str(folder))
    assert (found.config_path, found.weights_path) == (folder / "config.json", folder / "model.safetensors")
    assert (found.tokenizer, found.mimi) == (str(folder), str(folder / "codec"))
    assert found == local(folder)
    given = from_repo(str(folder), tokenizer="a/b", mimi="c/d")
    assert (given.tokenizer, given.mimi) == ("a/b", "c/d")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_missing_local_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = lay_out(tmp_path, tokenizer=".")
    (folder / missing).unlink()
    told = f"There is no (config|weights) file {folder / missing}: "
    with pytest.raises(CheckpointError, match=told):
        local(folder)
    with pytest.raises(CheckpointError, match=told):
        from_repo(str(folder))


def test_a_folder_is_no_weights_file(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, tokenizer=".")
    with pytest.raises(CheckpointError, match="There is no weights file"):
        from_local(folder / "config.json", folder)


LONG = "x" * 5000  # longer than a file name may be


@pytest.mark.parametrize(
    "changes",
    [{"assets.tokenizer": LONG}, {"data.tokenizer_path": LONG}, {"assets.mimi": LONG}, {"assets.mimi": "a\0b"}],
    ids=["assets.tokenizer", "data.tokenizer_path", "assets.mimi", "a NUL"],
)
def test_a_name_that_no_folder_can_have_is_no_folder(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = lay_out(tmp_path, changes, tokenizer=".")
    (name,) = changes.values()
    found = local(folder)
    assert name in (found.tokenizer, found.mimi)


def test_a_weights_path_that_is_too_long_is_an_error_like_any_other(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, tokenizer=".")
    with pytest.raises(CheckpointError):
        from_local(folder / "config.json", LONG)


# A hub

# Answers calls, one JSON line each, until its input ends. The hub's client pauses before it tries again to reach a hub
# that refused it; together that is minutes.
CLIENT = """
import json, os, sys, time

time.sleep = lambda seconds: None

from dia2 import CheckpointError, Dia2, Dia2Error, GenerationConfig, SamplingConfig, UsageError
from dia2.runtime import assets

GREEDY = SamplingConfig(0.0, 50)

def find(repo, **options):
    found = assets.from_repo(repo, **options)
    return str(found.config_path), str(found.weights_path), found.tokenizer, found.mimi

def speak(repo, script, **options):
    config = GenerationConfig(text=GREEDY, audio=GREEDY, cfg_scale=1.0)
    return Dia2.from_repo(repo, device="cpu", **options).generate(script, config).audio_tokens.tolist()

for line in sys.stdin:
    name, arguments, options, manifest = json.loads(line)
    os.environ.pop("DIA2_ASSET_MANIFEST", None)
    if manifest is not None:
        os.environ["DIA2_ASSET_MANIFEST"] = manifest
    try:
        answer = [None, globals()[name](*arguments, **options)]
    except Exception as error:
        kinds = (kind for kind in (UsageError, CheckpointError, Dia2Error) if isinstance(error, kind))
        answer = [next(kinds, type(error)).__name__, str(error)]
    print(json.dumps(answer), flush=True)
"""


class Refused(Exception):  # noqa: N818  # an answer, not a failure of the test
    """What a client's call raised: the name of the public class that it is of, and its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


class Client:
    """A process that asks a hub."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str, *arguments: str, manifest: str | None = None, **options: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments, options, manifest]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client has died with exit code {self._process.wait()}"
        kind, answer = json.loads(line)
        if kind is not None:
            raise Refused(kind, answer)
        return answer

    def find(self, repo: str, **options: str) -> tuple[str, str, str, str]:
        """Config, weights, tokenizer and codec; of the files, their paths within the repo's snapshot."""
        config, weights, tokenizer, mimi = self.ask("find", repo, **options)
        return inside(config), inside(weights), tokenizer, mimi

    def refusal(self, repo: str, *, of: str = "find", **options: str) -> Refused:
        """The error that a call ends with: one that is meant to be read, in one sentence."""
        arguments = [SPEAKS.expected["script"]] if of == "speak" else []
        with pytest.raises(Refused) as caught:
            self.ask(of, repo, *arguments, **options)
        refused = caught.value
        assert refused.kind in ("Dia2Error", "CheckpointError", "UsageError"), refused
        assert len(refused.message.splitlines()) == 1
        assert refused.message.isprintable()
        assert refused.message.endswith((".", "?"))
        return refused

    def speaks(self, repo: str, **options: str) -> bool:
        """Whether the repo's checkpoint says what the reference says."""
        tokens = self.ask("speak", repo, SPEAKS.expected["script"], **options)
        return torch.equal(torch.tensor(tokens), SPEAKS.tensors["aligned"].long())


def inside(path: str) -> str:
    return path.partition("/snapshots/")[2].partition("/")[2]


@contextmanager
def client(env: dict[str, str], log: Path) -> Iterator[Client]:
    command = [sys.executable, "-W", "error", "-c", CLIENT]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        yield Client(process)
        process.kill()  # it has nothing to lose, and takes a second to end by itself


class Short(bytes):
    """Says that it is longer than it is, so that a download of it ends too soon."""

    def __len__(self) -> int:
        return super().__len__() + 1000


class Hub(FakeHub):
    """A hub that can fall sick."""

    sick = ""

    def reply(self, path: str) -> Any:
        if self.sick == "hangs up":
            raise ConnectionResetError
        reply = super().reply(path)
        if self.sick == "breaks off" and reply.status == 200:
            return reply._replace(body=Short(reply.body))
        return reply._replace(status=503, headers={}) if self.sick == "is overloaded" else reply


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[Hub]:
    plain = lay_out(folder / "plain", tokenizer=".")
    with Hub({"owner/plain": plain, "kyutai/mimi": TINY8 / "mimi", "owner/words": TINY8 / "tokenizer"}) as hub:
        yield hub


class Clients(NamedTuple):
    """Two with one cache; the second one's hub refuses connections."""

    online: Client
    offline: Client


@pytest.fixture(scope="module")
def clients(hub: Hub, folder: Path) -> Iterator[Clients]:
    with FakeHub({}) as stopped:
        nowhere = stopped.env(folder / "cache")
    with (
        client(hub.env(folder / "cache"), folder / "online.log") as online,
        client(nowhere, folder / "offline.log") as offline,  # started early: its imports take seconds
    ):
        yield Clients(online, offline)


@pytest.fixture
def online(clients: Clients) -> Client:
    return clients.online


NUMBERS = count()


@pytest.fixture
def publish(hub: Hub, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Put a repo on the hub: `publish(manifest, changes of the config)` returns its name."""
    published: list[str] = []

    def put_up(manifest: object = None, changes: Mapping[str, object] | None = None) -> str:
        repo = f"owner/repo-{next(NUMBERS)}"  # never the same twice: the client's cache stays
        at = lay_out(tmp_path / repo, changes)
        if manifest is not None:
            text = manifest if isinstance(manifest, str | bytes) else json.dumps(manifest)
            (at / MANIFEST).write_bytes(text.encode() if isinstance(text, str) else text)
        hub.repos[repo] = at
        published.append(repo)
        return repo

    yield put_up
    for repo in published:
        del hub.repos[repo]


@pytest.mark.slow
def test_a_repo_with_all_at_its_top_level_speaks_with_kyutai_mimi(hub: Hub, online: Client) -> None:
    assert online.find("owner/plain") == ("config.json", "model.safetensors", "owner/plain", "kyutai/mimi")
    assert online.speaks("owner/plain")
    assert any(re.fullmatch("/kyutai/mimi/resolve/[^/]+/model.safetensors", path) for _, path in hub.requests)


def test_a_folder_laid_out_like_a_repo_speaks(online: Client, tmp_path: Path) -> None:
    assert online.speaks(str(lay_out(tmp_path, {"assets.mimi": "codec"}, tokenizer=".", mimi="codec")))


def test_a_manifest_names_other_files_and_repos(hub: Hub, online: Client, publish: Callable[..., str]) -> None:
    parts = {"config": "conf/dia.json", "weights": "files/dia.safetensors"}
    repo = publish(parts | {"tokenizer": "owner/words", "mimi": "kyutai/mimi", "note": [1, 2]})
    at = hub.repos[repo]
    for name, target in (("config.json", parts["config"]), ("model.safetensors", parts["weights"])):
        (at / target).parent.mkdir()
        (at / name).rename(at / target)
    assert online.find(repo) == (parts["config"], parts["weights"], "owner/words", "kyutai/mimi")
    assert online.speaks(repo)


def test_what_a_manifest_leaves_out_has_its_default(online: Client, publish: Callable[..., str]) -> None:
    repo = publish({"tokenizer": "", "mimi": "owner/codec"})
    assert online.find(repo) == ("config.json", "model.safetensors", repo, "owner/codec")


def test_the_manifest_s_name_can_be_overridden(hub: Hub, online: Client, publish: Callable[..., str]) -> None:
    repo = publish({"mimi": "owner/usual"})
    (hub.repos[repo] / "other.json").write_text('{"mimi": "owner/other"}')
    assert online.find(repo)[3] == "owner/usual"
    assert online.find(repo, manifest="other.json")[3] == "owner/other"
    assert online.find(repo, manifest="")[3] == "kyutai/mimi"  # none at all


def test_the_argument_wins_over_the_manifest_and_that_over_the_config(
    online: Client, publish: Callable[..., str]
) -> None:
    config = {"assets.tokenizer": "owner/assets", "assets.mimi": "owner/codec", "data.tokenizer_path": "owner/data"}
    repo = publish({"tokenizer": "owner/manifest", "mimi": "owner/manifest-codec"}, config)
    assert online.find(repo, tokenizer="a/b", mimi="c/d")[2:] == ("a/b", "c/d")
    assert online.find(repo)[2:] == ("owner/manifest", "owner/manifest-codec")
    assert online.find(publish(None, config))[2:] == ("owner/assets", "owner/codec")
    assert online.find(publish(None, {"data.tokenizer_path": "owner/data"}))[2:] == ("owner/data", "kyutai/mimi")


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"config": "../config.json"}, "'../config.json' points outside the "),
        ({"weights": "a/../../model.safetensors"}, "'a/../../model.safetensors' points outside the "),
        ({"config": "/etc/passwd"}, "'/etc/passwd' points outside the "),
        ({"tokenizer": "../../tokenizer"}, "'../../tokenizer' points outside the "),
        ({"mimi": "/mimi"}, "'/mimi' points outside the "),
        ({"config": "..\\config.json"}, "config"),
        ({"config": "a\0b"}, "config"),
        ('{"config": "\\ud800"}', "config"),
        ({"config": LONG}, "config"),
        ({"config": "a\nb"}, "config"),
        ({"weights": "\x1b[2J"}, "weights"),
        ({"config": 1}, "config must be a string"),
        ({"weights": ["model.safetensors"]}, "weights must be a string"),
        ({"tokenizer": {}}, "tokenizer must be a string"),
        ({"mimi": False}, "mimi must be a string"),
        ([], "must be an object with config, weights, tokenizer, mimi"),
        ('"x"', "must be an object"),
        ("", "is not JSON ("),
        ("{", "is not JSON ("),
        (b"\xff\xfe", "is not JSON ("),
        ("[" * 100_000, "is not JSON ("),
        ("<html>\n</html>", "is not JSON ("),
    ],
    ids=lambda value: str(value)[:30] if not isinstance(value, str) else "",
)
def test_a_hostile_manifest_is_refused(
    online: Client, publish: Callable[..., str], manifest: object, told: str
) -> None:
    repo = publish(manifest)
    refused = online.refusal(repo)
    assert told in refused.message
    assert repo in refused.message
    assert len(refused.message) < 500


@pytest.mark.parametrize("name", ["../up.json", "..\\up.json", "/etc/passwd"])
def test_a_manifest_s_name_that_leads_out_of_the_repo_is_refused(online: Client, name: str) -> None:
    online.refusal("owner/plain", manifest=name)


@pytest.mark.parametrize("key", ["config", "weights"])
def test_a_manifest_may_name_no_file_that_is_not_there(online: Client, publish: Callable[..., str], key: str) -> None:
    repo = publish({key: "gone/file"})
    assert online.refusal(repo).message == f"Hub repo {repo} has no file gone/file: is it a Dia2 checkpoint?"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_repo_without_a_file_is_no_checkpoint(
    hub: Hub, online: Client, publish: Callable[..., str], name: str
) -> None:
    repo = publish()
    (hub.repos[repo] / name).unlink()
    assert online.refusal(repo).message == f"Hub repo {repo} has no file {name}: is it a Dia2 checkpoint?"


def test_a_repo_s_config_is_checked(hub: Hub, online: Client, publish: Callable[..., str]) -> None:
    repo = publish(None, {"data.channels": "ten"})
    assert "config.json: field data.channels must be a whole number, not a string." in online.refusal(repo).message


@pytest.mark.parametrize("repo", ["no such repo", "a/b/c", "/nowhere/at/all", "owner/..", "x" * 300, LONG])
def test_what_is_neither_folder_nor_repo_is_bad_usage(online: Client, repo: str) -> None:
    refused = online.refusal(repo)
    assert refused.kind == "UsageError"
    assert "is neither a folder nor a hub repo" in refused.message


def test_an_unknown_repo_is_named(online: Client) -> None:
    refused = online.refusal("nobody/nothing")
    assert refused.message == "There is no hub repo nobody/nothing, or it is private: check its name."


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "--tokenizer"),  # the repo has no tokenizer files
        ({"tokenizer_id": "nobody/words"}, "There is no hub repo nobody/words"),
        ({"tokenizer_id": "owner/words", "mimi_id": "nobody/codec"}, "There is no hub repo nobody/codec"),
        ({"tokenizer_id": "owner/words", "mimi_id": "owner/words"}, "codec"),  # has no config.json
        ({"tokenizer_id": LONG}, "is neither a folder nor a hub repo"),
        ({"tokenizer_id": "owner/words", "mimi_id": LONG}, "is neither a folder nor a hub repo"),
    ],
    ids=["none", "no such tokenizer", "no such codec", "not a codec", "no possible tokenizer", "no possible codec"],
)
def test_a_tokenizer_or_codec_that_cannot_be_had_is_told(
    online: Client, publish: Callable[..., str], options: dict[str, str], told: str
) -> None:
    assert told in online.refusal(publish(), of="speak", **options).message


def test_a_speaker_tag_that_the_model_has_no_embedding_for_is_refused(online: Client, tmp_path: Path) -> None:
    shutil.copytree(TINY8 / "tokenizer", tmp_path, dirs_exist_ok=True)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    size = len(tokenizer["model"]["vocab"])
    names = [f"<filler {n}>" for n in range(size, 320)] + ["[S3]", "[S1]"]  # tiny8 knows 320 tokens
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "[S1]"]
    tokenizer["model"]["vocab"] = {
        {"[S1]": "<gone>"}.get(name, name): token for name, token in tokenizer["model"]["vocab"].items()
    }
    tokenizer["added_tokens"] += [
        tokenizer["added_tokens"][0] | {"id": size + n, "content": t} for n, t in enumerate(names)
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(Refused) as caught:  # an untagged script: the tag is put before its first word
        online.ask("speak", "owner/plain", "Hello.", tokenizer_id=str(tmp_path))
    assert caught.value.kind == "CheckpointError"
    assert "give the model's own by --tokenizer" in caught.value.message


# Out of reach


@pytest.mark.parametrize("sick", ["hangs up", "breaks off", "is overloaded"])
def test_a_hub_that_fails_is_told(
    hub: Hub, online: Client, publish: Callable[..., str], monkeypatch: pytest.MonkeyPatch, sick: str
) -> None:
    repo = publish()
    monkeypatch.setattr(hub, "sick", sick)
    refused = online.refusal(repo)
    assert refused.kind == "Dia2Error"
    assert repo in refused.message
    monkeypatch.undo()
    assert online.find(repo)[0] == "config.json"  # and no damage stays in the cache


@pytest.fixture
def offline(clients: Clients) -> Client:
    """The client that is out of reach of a hub, once the other one has used `owner/plain`."""
    assert clients.online.find("owner/plain")[3] == "kyutai/mimi"
    return clients.offline


def test_without_a_network_what_is_not_cached_is_told(offline: Client) -> None:
    refused = offline.refusal("owner/never-seen")
    assert refused.kind == "Dia2Error"
    assert refused.message.startswith("The hub cannot be reached and ")
    assert (
        "of owner/never-seen is not in the cache: connect, or give local files in its place (--help says how)."
        in refused.message
    )


def test_without_a_network_a_tokenizer_or_codec_that_is_not_cached_is_told(offline: Client, tmp_path: Path) -> None:
    folder = str(lay_out(tmp_path))
    for options in (
        {"tokenizer_id": "owner/unseen"},
        {"tokenizer_id": str(TINY8 / "tokenizer"), "mimi_id": "owner/unseen"},
    ):
        refused = offline.refusal(folder, of="speak", **options)
        assert refused.kind == "Dia2Error"
        assert "of owner/unseen is not in the cache: connect, or give local files" in refused.message


def test_without_a_network_what_was_used_before_is_found_again(offline: Client) -> None:
    assert offline.find("owner/plain") == ("config.json", "model.safetensors", "owner/plain", "kyutai/mimi")


@pytest.mark.slow
def test_without_a_network_what_was_used_before_speaks_again(online: Client, offline: Client) -> None:
    assert online.speaks("owner/plain")
    assert offline.speaks("owner/plain")


@pytest.mark.slow
def test_told_to_stay_offline_what_was_used_before_speaks_again(hub: Hub, online: Client, folder: Path) -> None:
    assert online.speaks("owner/plain")
    with client(hub.env(folder / "cache") | {"HF_HUB_OFFLINE": "1"}, folder / "told.log") as process:
        asked = len(hub.requests)
        assert process.speaks("owner/plain")
        assert len(hub.requests) == asked


def test_neither_repo_nor_files_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="Give either a repo, or both a config path and a weights path"):
        Dia2()
