"""Where a checkpoint's parts are: in a hub repo, in local files, or embedded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dia.codec import DEFAULT_DAC
from dia.weight_files import INDEX, weight_files
from dia2.common.checks import is_file, is_folder
from dia2.common.errors import CheckpointError, UsageError
from dia2.runtime.assets import MissingFileError, download, refuse_other

WEIGHTS = ("model.safetensors", INDEX, "dia-v0_1.pth")  # of a repo; the first that is there
_DAC_FOLDER = "dac"  # beside config.json, where a checkpoint brings its own codec


@dataclass(frozen=True)
class Source:
    """Resolved parts of a checkpoint."""

    config: Path
    weights: Path  # a file, or an index of several
    dac: str  # a local folder or a hub repo

    @property
    def weight_files(self) -> list[Path]:
        """All files of the weights."""
        return weight_files(self.weights)


def toy_folder() -> Path:
    """The embedded checkpoint."""
    return Path(__file__).parent / "toy"


def from_repo(repo: str, dac: str | None = None) -> Source:
    """Resolve a hub repo, or a local folder laid out like one; downloads config and weights if need be.

    Raises:
        CheckpointError: the repo, or a file in it, does not exist.
        Dia2Error: there is no network and the files are not cached.
    """
    if not repo:
        raise UsageError("The repo's name is empty: write it like nari-labs/Dia-1.6B-0626.")
    if is_folder(repo):
        folder = Path(repo)
        for name in WEIGHTS:
            refuse_other(folder / name)
        weights = next((folder / name for name in WEIGHTS if is_file(folder / name)), None)
        if weights is None:
            raise CheckpointError(f"{repo} has no {', '.join(WEIGHTS)}: is it a Dia checkpoint?")
        return from_local(folder / "config.json", weights, dac)
    config = download(repo, "config.json")
    return Source(config, _download_weights(repo), dac or DEFAULT_DAC)


def _download_weights(repo: str) -> Path:
    """The weights of a hub repo, with all files that an index names."""
    for name in WEIGHTS[:-1]:
        try:
            path = download(repo, name)
        except MissingFileError:
            continue
        for part in weight_files(path):
            download(repo, part.name)
        return path
    return download(repo, WEIGHTS[-1])


def from_local(config: str | Path, weights: str | Path, dac: str | None = None) -> Source:
    """Resolve local files; the codec is the one beside the config, if it is not named, or else the published one."""
    config = Path(config)
    own = config.parent / _DAC_FOLDER
    return Source(config, Path(weights), dac or (str(own) if is_folder(own) else DEFAULT_DAC))
