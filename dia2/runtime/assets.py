"""Where a checkpoint's four parts are: config, weights, tokenizer, codec.

From a hub repo (an optional `dia2_assets.json` says which file is what), from local files, or embedded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dia2.common.checks import NotAFileError, is_file, is_folder, read_small, require_ordinary
from dia2.common.errors import CheckpointError, Dia2Error, UsageError, one_line
from dia2.core.config import DiaConfig, load_config

DEFAULT_MIMI = "kyutai/mimi"
_TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
NANO_NOTE = "the embedded checkpoint is tiny: two robot voices, some 1,200 words; for real speech give --hf or --config"
NANO_VOICES_NOTE = "the embedded codec knows its own two voices only: a person's recording comes out poorly as a prefix"
_TOKENIZER_MARKS = ("tokenizer_config.json", "tokenizer.json")  # either makes a folder a tokenizer's
_MANIFEST_KEYS = ("config", "weights", "tokenizer", "mimi")


@dataclass(frozen=True)
class Assets:
    """Resolved parts of a checkpoint; config and weights are on this disk."""

    config: DiaConfig
    config_path: Path
    weights_path: Path
    tokenizer: str  # a local folder or a hub repo
    mimi: str  # a local folder or a hub repo
    lora: Path | None = None  # additions to the weights, see `dia2.runtime.lora_file`


def nano_folder() -> Path:
    """The embedded checkpoint."""
    return Path(__file__).parent / "nano"


def from_repo(repo: str, *, tokenizer: str | None = None, mimi: str | None = None) -> Assets:
    """Resolve a hub repo, or a local folder laid out like one; downloads config and weights if need be.

    Raises:
        CheckpointError: the repo, or a file in it, does not exist or is not usable.
        Dia2Error: there is no network and the file is not cached.
    """
    if not repo:
        raise UsageError("The repo's name is empty: write it like nari-labs/Dia2-2B.")
    find = (lambda name: Path(repo) / name) if is_folder(repo) else (lambda name: download(repo, name))
    manifest = _read_manifest(repo, find)
    config_path = find(manifest.get("config", "config.json"))
    config = load_config(config_path)
    weights_path = find(manifest.get("weights", "model.safetensors"))
    if not is_file(weights_path):
        refuse_other(weights_path)
        raise CheckpointError(f"There is no weights file {weights_path}: is {repo} a Dia2 checkpoint?")
    named = manifest.get("tokenizer") or config.assets.tokenizer or config.data.tokenizer_path
    codec = manifest.get("mimi") or config.assets.mimi
    tokenizer = tokenizer or (_within(repo, named) if named else repo)
    mimi = mimi or (_within(repo, codec) if codec else DEFAULT_MIMI)
    return Assets(config, config_path, weights_path, tokenizer, mimi)


def _within(repo: str, name: str) -> str:
    """A part that a checkpoint names: a folder of its own, else a hub repo.

    Raises:
        CheckpointError: the name points outside the checkpoint.
    """
    _refuse_outside(repo, name)
    if is_folder(repo):
        return _beside(Path(repo), name)
    if "/" in name:  # nearly every repo has an owner, and the parts of a checkpoint lie at its top
        return name
    folder = _folder(repo, name, [f"{name}/*"]) / name
    return str(folder) if folder.is_dir() else name


def _refuse_outside(where: str, name: str) -> None:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise CheckpointError(f"{where}: {name[:80]!r} points outside the checkpoint.")
    if not name.isprintable() or len(name) > 200:
        raise CheckpointError(f"{where}: {name[:80]!r} cannot be the name of a file or folder.")


def from_local(
    config_path: str | Path, weights_path: str | Path, *, tokenizer: str | None = None, mimi: str | None = None
) -> Assets:
    """Resolve local files.

    Raises:
        CheckpointError: a file is missing, or nothing says where the tokenizer is.
    """
    config_path, weights_path = Path(config_path), Path(weights_path)
    config = load_config(config_path)
    if not is_file(weights_path):
        raise CheckpointError(
            f"There is no weights file {weights_path}: give the path of the model's safetensors file."
        )
    folder = config_path.parent
    named, codec = config.assets.tokenizer or config.data.tokenizer_path, config.assets.mimi
    if not tokenizer and named:
        tokenizer = _beside(folder, named)
    elif not tokenizer and any(is_file(folder / name) for name in _TOKENIZER_MARKS):
        tokenizer = str(folder)  # a repo's files, downloaded together
    if not tokenizer:
        raise CheckpointError(f"{config_path} names no tokenizer: give its folder or hub repo by --tokenizer.")
    mimi = mimi or (_beside(folder, codec) if codec else DEFAULT_MIMI)
    return Assets(config, config_path, weights_path, tokenizer, mimi)


def refuse_other(path: Path) -> None:
    """Refuse what stands in the place of a file of a checkpoint's folder; that nothing does, the caller says.

    Raises:
        CheckpointError: it is a pipe, a device or a socket.
    """
    try:
        require_ordinary(path)
    except NotAFileError as error:
        raise CheckpointError(f"{path} cannot be read ({error}): download the checkpoint again.") from error
    except (OSError, ValueError):  # nothing is there, or can be
        pass


def _beside(folder: Path, name: str) -> str:
    """A name from a config: a folder in the config's own, if there is one, else as it stands (a hub repo)."""
    return str(folder / name) if is_folder(folder / name) else name


def _read_manifest(repo: str, find: Callable[[str], Path]) -> dict[str, str]:
    """`dia2_assets.json` of a repo or folder; empty if it has none.

    The environment's DIA2_ASSET_MANIFEST names another file, which must be there then; set to nothing, none is read.
    """
    asked = os.environ.get("DIA2_ASSET_MANIFEST")
    if asked == "":
        return {}
    name = asked or "dia2_assets.json"
    _refuse_outside("DIA2_ASSET_MANIFEST", name)
    where = f"{name} of {repo}"
    try:
        path = find(name)
    except (MissingFileError, NotCachedError):
        if asked:
            raise
        return {}  # most have none; without a network, config.json is what decides
    if not is_file(path):
        refuse_other(path)
        if asked:
            raise CheckpointError(f"There is no {where}, which DIA2_ASSET_MANIFEST names: unset it, or correct it.")
        return {}
    try:
        manifest = json.loads(read_small(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not JSON ({one_line(error)}): ask the repo's owner to fix it.") from error
    if not isinstance(manifest, dict):
        raise CheckpointError(f"{where} must be an object with {', '.join(_MANIFEST_KEYS)}.")
    for key in _MANIFEST_KEYS:
        value = manifest.get(key, "")
        if not isinstance(value, str):
            raise CheckpointError(f"{where}: {key} must be a string.")
        _refuse_outside(f"{where}: {key}", value)
    return {key: manifest[key] for key in _MANIFEST_KEYS if manifest.get(key)}


def download(repo: str, filename: str) -> Path:
    """Path of a repo's file in the local cache, downloaded if need be."""
    from huggingface_hub import hf_hub_download

    with _explained(repo, filename):
        return Path(hf_hub_download(repo, filename))


def tokenizer_folder(source: str, with_code: bool = False) -> Path:
    """A tokenizer's folder: `source` itself, or the local copy of that hub repo's tokenizer files.

    Args:
        source: a folder or a hub repo.
        with_code: take the repo's Python files along.

    Raises:
        CheckpointError: there is no such repo.
        Dia2Error: there is no network and the files are not cached.
    """
    return _folder(source, "the tokenizer", [*_TOKENIZER_FILES, *(["*.py"] if with_code else [])])


def codec_folder(source: str) -> Path:
    """A codec's folder: `source` itself, or the local copy of that hub repo; raises as `tokenizer_folder`."""
    return _folder(source, "the codec", ["config.json", "model.safetensors"])


def _folder(source: str, what: str, patterns: list[str]) -> Path:
    if is_folder(source):
        return Path(source)
    from huggingface_hub import snapshot_download

    with _explained(source, what):
        return Path(snapshot_download(source, allow_patterns=patterns))


@contextmanager
def _explained(repo: str, what: str) -> Iterator[None]:
    """Turn the hub client's errors into sentences."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is neither a folder nor a hub repo: write it like nari-labs/Dia2-2B.") from error
    except GatedRepoError as error:
        raise CheckpointError(
            f"Hub repo {repo} is gated: accept its terms on the hub, then `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"There is no hub repo {repo}, or it is private: check its name.") from error
    except LocalEntryNotFoundError as error:
        raise NotCachedError(
            f"The hub cannot be reached and {what} of {repo} is not in the cache: connect, or give local files "
            "in its place (--help says how)."
        ) from error
    except EntryNotFoundError as error:
        raise MissingFileError(f"Hub repo {repo} has no file {what}: is it a Dia2 checkpoint?") from error
    except Exception as error:  # the client, its HTTP library and the disk each have their own kinds
        kind = type(error).__name__
        raise Dia2Error(f"{what} of {repo} could not be downloaded ({kind}: {one_line(error)}): try again.") from error


class MissingFileError(CheckpointError):
    """A hub repo lacks a file."""


class NotCachedError(Dia2Error):
    """The hub cannot be reached, and the file is not here."""
