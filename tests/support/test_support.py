"""The stand-ins hold against the real clients and the real Whisper."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
import whisper
from tokenizers import Tokenizer

from .hub import FakeHub
from .whisper_checkpoint import SPOKEN, write_tiny_whisper

TINY8 = Path(__file__).parent.parent / "conformance" / "tiny8"
DIA2, MIMI, EMPTY, UNKNOWN = "nari-labs/Dia2-2B", "kyutai/mimi", "someone/empty", "nobody/nothing"
LOADS = [("file", "config.json"), ("tokenizer",), ("mimi",)]

# Prints for each call what it returned, or the classes of its error and of that error's cause. The clients pause before
# they try again to reach a hub that refused them; together that is minutes.
CLIENT = """
import json, sys, time
from pathlib import Path

time.sleep = lambda seconds: None

def file(repo, name):
    from huggingface_hub import hf_hub_download
    return Path(hf_hub_download(repo, name)).read_text()

def tokenizer(repo):
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(repo, trust_remote_code=False)("Hello")["input_ids"]

def mimi(repo):
    from transformers import MimiModel
    return MimiModel.from_pretrained(repo, use_safetensors=True).config.codebook_size

for repo, call, *arguments in json.loads(sys.argv[1]):
    try:
        outcome = globals()[call](repo, *arguments)
    except Exception as error:
        outcome = [type(error).__name__, type(error.__cause__).__name__]
    print(json.dumps(outcome))
"""


def run_client(env: dict[str, str], *calls: tuple[str, ...]) -> list[object]:
    command = [sys.executable, "-W", "error", "-c", CLIENT, json.dumps(calls)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def hub(tmp_path: Path) -> FakeHub:
    """A hub, not yet started, with repositories laid out as the published ones."""
    published, empty = tmp_path / "published", tmp_path / "empty"
    shutil.copytree(TINY8 / "tokenizer", published)
    shutil.copy(TINY8 / "config.json", published)
    shutil.copy(TINY8 / "model.safetensors", published)
    empty.mkdir()
    return FakeHub({DIA2: published, MIMI: TINY8 / "mimi", EMPTY: empty})


@pytest.mark.slow
def test_the_clients_load_what_the_hub_has_and_tell_what_it_lacks(hub: FakeHub, tmp_path: Path) -> None:
    with hub:
        config, tokens, codebook_size, *failures = run_client(
            hub.env(tmp_path / "cache"),
            (DIA2, "file", "config.json"),
            (DIA2, "tokenizer"),
            (MIMI, "mimi"),
            *[(UNKNOWN, *load) for load in LOADS],
            *[(EMPTY, *load) for load in LOADS],
        )

    assert config == (TINY8 / "config.json").read_text()
    assert tokens == Tokenizer.from_file(str(TINY8 / "tokenizer" / "tokenizer.json")).encode("Hello").ids
    assert codebook_size == 64
    assert failures == [
        ["RepositoryNotFoundError", "HTTPStatusError"],
        ["OSError", "RepositoryNotFoundError"],
        ["OSError", "RepositoryNotFoundError"],
        ["RemoteEntryNotFoundError", "HTTPStatusError"],
        ["ValueError", "NoneType"],
        ["OSError", "NoneType"],
    ]
    assert hub.requests[:2] == [(method, f"/{DIA2}/resolve/main/config.json") for method in ("HEAD", "GET")]


def test_a_stopped_hub_refuses_connections(hub: FakeHub, tmp_path: Path) -> None:
    with hub:
        env = hub.env(tmp_path / "cache")
    assert run_client(env, (DIA2, "file", "config.json")) == [["LocalEntryNotFoundError", "ConnectError"]]


def test_offline_clients_leave_the_hub_alone(hub: FakeHub, tmp_path: Path) -> None:
    with hub:
        env = hub.env(tmp_path / "cache") | {"HF_HUB_OFFLINE": "1"}
        assert run_client(env, (DIA2, "file", "config.json")) == [["LocalEntryNotFoundError", "OfflineModeIsEnabled"]]
    assert hub.requests == []


@pytest.mark.slow
@pytest.mark.parametrize("offline", ["0", "1"])
def test_transformers_tells_that_it_could_not_connect(hub: FakeHub, tmp_path: Path, offline: str) -> None:
    with hub:
        env = hub.env(tmp_path / "cache") | {"HF_HUB_OFFLINE": offline}
    outcomes = run_client(env, (DIA2, "tokenizer"), (MIMI, "mimi"))
    assert outcomes == [["OSError", "LocalEntryNotFoundError"]] * 2


def test_the_environment_leads_to_the_hub_only(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leading_away = {"HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTPS_PROXY"}
    for name in leading_away:
        monkeypatch.setenv(name, "1")
    with hub:
        env = hub.env(tmp_path)
    assert (env["HF_ENDPOINT"], env["HF_HOME"]) == (hub.url, str(tmp_path))
    assert not leading_away & env.keys()
    assert "PATH" in env


def test_a_changed_file_is_a_new_commit(hub: FakeHub) -> None:
    def commit() -> object:
        return json.loads(hub.reply(f"/api/models/{DIA2}").body)["sha"]

    with hub:
        before = commit()
        assert commit() == before
        (hub.repos[DIA2] / "config.json").write_text("{}")
        assert commit() != before


# openai-whisper leaves the vocabulary it reads to be closed by the garbage collector.
leaves_a_file_open = pytest.mark.filterwarnings("ignore:unclosed file .*multilingual.tiktoken:ResourceWarning")

# On a machine with a GPU it remarks that it was not told to use it.
runs_on_cpu = pytest.mark.filterwarnings("ignore:Performing inference on CPU when CUDA is available:UserWarning")


@pytest.mark.slow
@leaves_a_file_open
@runs_on_cpu
def test_whisper_hears_words_in_any_audio(tmp_path: Path) -> None:
    samples, rate = soundfile.read(TINY8 / "spk1.wav", dtype="float32")
    audio = soxr.resample(samples, rate, 16000)
    model = whisper.load_model(str(write_tiny_whisper(tmp_path / "tiny.pt")), device="cpu")

    result, again = (model.transcribe(audio, word_timestamps=True, fp16=False, verbose=None) for _ in range(2))

    assert result == again
    assert (result["text"], result["language"]) == (SPOKEN, "en")
    words = [word for segment in result["segments"] for word in segment["words"]]
    assert [word["word"] for word in words] == [" Hello", " there,", " friend."]
    assert all(word["start"] < word["end"] for word in words)
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(audio) / 16000

    windows = model.transcribe(np.tile(audio, 20), word_timestamps=True, fp16=False)["segments"]
    assert [segment["text"] for segment in windows] == [SPOKEN, SPOKEN]


@leaves_a_file_open
def test_the_seed_alone_decides_a_checkpoint(tmp_path: Path) -> None:
    first, same, other = (
        torch.load(write_tiny_whisper(tmp_path / f"{name}.pt", seed), weights_only=True)["model_state_dict"]
        for name, seed in (("first", 1), ("same", 1), ("other", 2))
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
