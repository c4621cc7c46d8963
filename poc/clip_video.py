"""The network whose features FVD and KVD compare: the tiny world's, or one whose weights are given.

Naming one loads nothing: its digest is taken from the files, the network at the first clip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from metrics.extractors.base import Preparation, WeightsError, folder_digest, video_id
from poc.clip_judges import LOADING, Judges, not_tiny
from poc.clip_records import FrameShape
from poc.errors import InputError
from poc.golden import check_golden_network
from poc.measure import VIDEO_EXTRACTOR
from poc.records import digest
from poc.video_judge import NETWORKS

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

WEIGHTS: Final = "model.safetensors"
LOCK: Final = "extractors.lock.json"
_FILES: Final = {
    "i3d": ("config.json", WEIGHTS),
    "videomae": ("config.json", "preprocessor_config.json", WEIGHTS),
}
_WHERE: Final = (
    "Expected a folder of I3D, which `python -m metrics.extractors.i3d` makes of the published "
    "file, or of a VideoMAE (config.json, preprocessor_config.json, model.safetensors)."
)


class VideoNetwork(Protocol):
    """A network that makes a row of features of a clip."""

    @property
    def id(self) -> str:
        """Name shown beside every number."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the numbers."""
        ...

    def why_not(self, shape: FrameShape) -> str:
        """Return why it takes no such clip; empty where it does."""
        ...

    def features(self, frames: Frames) -> Floats:
        """Return the features (d,) of one clip (t, h, w, 3)."""
        ...

    def key(self, frames_digest: str | None) -> str:
        """Name the features of a clip by network, preparation and frames."""
        ...


@dataclass(frozen=True)
class TinyVideo:
    """The network that ships; it knows clips of the tiny world alone."""

    judges: Judges
    id: str = VIDEO_EXTRACTOR

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the numbers."""
        return self.judges.video_digest

    def why_not(self, shape: FrameShape) -> str:
        """Return why it takes no such clip; empty where it does."""
        return not_tiny(shape)

    def features(self, frames: Frames) -> Floats:
        """Return the features (d,) of one clip (t, h, w, 3)."""
        with LOADING:
            check_golden_network()
            network = self.judges.video
        return np.asarray(network.features(frames[None])[0], np.float64)

    def key(self, frames_digest: str | None) -> str:
        """Name the features of a clip by network and frames."""
        return f"video_{digest([self.digest, frames_digest])}"


@dataclass(frozen=True)
class GivenVideo:
    """A network of a folder, of the digests that a lock has for it."""

    folder: Path
    kind: str
    preparation: Preparation
    minimum_frames: int
    digest: str
    newly_pinned: bool

    @classmethod
    def read(cls, folder: Path, preparation: str, lock: Path) -> GivenVideo:
        """Look at a folder and compare it with the lock, which it enters at its first use.

        Raises:
            InputError: no such folder, or files of other digests than the lock has.
        """
        from metrics.extractors.pins import pin

        kind, least = _kind(folder)
        files = [folder / name for name in _FILES[kind]]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise InputError(f"{folder}: {', '.join(missing)} missing. {_WHERE}")
        try:
            new = pin(lock, folder.resolve().name, files)
            return cls(folder, kind, Preparation(preparation), least, folder_digest(files), new)
        except WeightsError as error:
            raise InputError(str(error)) from error

    @property
    def id(self) -> str:
        """Name shown beside every number."""
        return video_id(*NETWORKS[self.kind], self.preparation)

    def why_not(self, shape: FrameShape) -> str:
        """Return why it takes no such clip; empty where it does."""
        if shape.num_frames >= self.minimum_frames:
            return ""
        return f"{self.id} needs {self.minimum_frames} frames, the clips have {shape.num_frames}"

    def features(self, frames: Frames) -> Floats:
        """Return the features (d,) of one clip (t, h, w, 3)."""
        with LOADING:
            network = self._extractor
        return np.asarray(network.features(frames[None])[0], np.float64)

    def key(self, frames_digest: str | None) -> str:
        """Name the features of a clip by network, preparation and frames."""
        return f"video_{digest([self.id, self.digest, frames_digest])}"

    @cached_property
    def _extractor(self) -> Any:
        from poc.pipelines.device import set_up_process

        set_up_process(1)  # results depend on it
        load = _loader(self.kind)
        try:
            return load(self.folder, preparation=self.preparation, expected_sha256=None)
        except WeightsError as error:
            raise InputError(str(error)) from error


def _loader(kind: str) -> Any:
    if kind == "i3d":
        from metrics.extractors.i3d import load_i3d

        return load_i3d
    from metrics.extractors.videomae import load_videomae

    return load_videomae


def _kind(folder: Path) -> tuple[str, int]:
    """Return which network a folder holds, and the shortest clip that it takes."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        if config.get("network") == "i3d":
            return "i3d", int(config["minimum_frames"])
        if config.get("model_type") == "videomae":
            return "videomae", int(config["num_frames"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: no readable config.json ({error}). {_WHERE}") from error
    raise InputError(f"{folder}: config.json is of another network. {_WHERE}")
