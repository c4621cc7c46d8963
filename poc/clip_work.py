"""One clip while it is measured: its frames in the asked form, and what metrics take of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metrics import frames as frames_
from metrics.frames import DecodedClip
from poc.clip_files import Source, Survey, read_frames
from poc.clip_folder import Protocol
from poc.clip_given import Aids, Given
from poc.clip_records import FolderMeasurement, FrameShape, Role
from poc.clip_video import VideoNetwork

Frames = npt.NDArray[np.uint8]
Flows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

SHARED_PIXELS: Final = 2**26
"""Pixels of all frames together beyond which the flow is computed anew by whoever wants it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One source to be measured, and the size that it should have."""

    source: Source
    survey: Survey
    role: Role
    prompt: str | None
    expected: tuple[int, int] | None
    """Height and width of most clips of its folder, after the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How every clip of a folder is measured."""

    protocol: Protocol | None = None
    png_fps: float | None = None
    judges: str | None = None
    given: Given = field(default_factory=Given)
    for_sets: bool = False
    """True: features are wanted too, for distances to a reference."""
    video: VideoNetwork | None = None
    """Whose features; None: of the judges."""


@dataclass(slots=True)
class Tally:
    """How many numbers of one source were taken, and how many were there already."""

    reused: int = 0
    taken: int = 0
    features: dict[str, Feature] = field(default_factory=dict)
    """Found for metrics of many clips, by key; clips of the same frames share one."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What a metric of many clips takes of one, and whether it counts as a number."""

    array: npt.NDArray[Any]
    reused: int = 0
    taken: int = 0


class Work:
    """One source while it is measured: decoded at most once, features computed at first use."""

    def __init__(
        self,
        task: Task,
        manner: Manner,
        aids: Aids,
        known: FolderMeasurement | None,
        beside: Work | None = None,
    ) -> None:
        self.task, self._manner, self._aids, self._known = task, manner, aids, known
        self._beside = beside
        self.tally = Tally()

    @cached_property
    def _clip(self) -> DecodedClip:
        manner, protocol = self._manner, self._manner.protocol
        decoded = read_frames(self.task.source, size=self.task.survey.size, png_fps=manner.png_fps)
        return decoded if protocol is None else resampled(decoded, protocol)

    @property
    def frames(self) -> Frames:
        """Frames as they are measured, uint8 (t, h, w, 3)."""
        return self._clip.frames

    @cached_property
    def frames_digest(self) -> str:
        """SHA-256 of the frames as they are measured."""
        if self._known is not None and self._known.frames_digest is not None:
            return self._known.frames_digest
        return frames_.digest(self.frames)

    @cached_property
    def shape(self) -> FrameShape:
        """Number, size and rate of the frames as they are measured."""
        if self._known is not None and self._known.shape is not None:
            return self._known.shape
        count, height, width, _ = self.frames.shape
        return FrameShape(num_frames=count, height=height, width=width, fps=self._clip.fps)

    def get(self, argument: str) -> Any:
        """Return an argument of the catalogue by its name there."""
        aids = self._aids
        supplies: dict[str, Callable[[], Any]] = {
            "frames": lambda: self.frames,
            "flows": lambda: self._flows,
            "speeds": lambda: self._speeds,
            "image_features": lambda: self._image_features,
            "text_features": lambda: self._text_features,
            "logit_scale": lambda: self._network.logit_scale,
            "style_features": lambda: aids.still_features(argument),
            "training_features": lambda: aids.still_features(argument),
            "subject_features": lambda: aids.still_features(argument),
            "baseline_frames": lambda: self._frames_beside,
            "lpips_distances": lambda: self._by(
                "lpips", "distances", self.frames, self._frames_beside
            ),
            "safety_scores": lambda: self._by("safety", "scores", self.frames),
            "csd_features": lambda: self._by("csd", "image_features", self.frames),
            "csd_style_features": lambda: aids.still_features(argument),
            "raft_speeds": lambda: self._raft_speeds,
        }
        if argument not in supplies:
            raise LookupError(f"a metric takes {argument!r}, which no stage supplies")
        return supplies[argument]()

    @cached_property
    def _text_features(self) -> Floats:
        seen = self._by("image_text", "text_features", [self.task.prompt])
        return np.asarray(seen[0], np.float64)

    @property
    def _network(self) -> Any:
        return self._aids.loaded("image_text")

    def _by(self, network: str, method: str, *arguments: Any) -> Any:
        """Ask a network, in turn where it is too large for several threads at once."""
        with self._aids.turn(network):
            return getattr(self._aids.loaded(network), method)(*arguments)

    @property
    def _frames_beside(self) -> Frames:
        if self._beside is None:
            raise LookupError("a metric wants a clip of the baseline, and there is none")
        return self._beside.frames

    @property
    def clip_feature(self) -> Floats:
        """One unit vector of the whole clip, from the image-text network."""
        from metrics.diversity import clip_feature

        return clip_feature(self._image_features)

    @cached_property
    def _image_features(self) -> Floats:
        return np.asarray(self._by("image_text", "image_features", self.frames), np.float64)

    @cached_property
    def _flows(self) -> Flows | None:
        """The flow of each pair of frames, computed once; None where it would take much memory."""
        from metrics.motion import pair_flows

        return pair_flows(self.frames) if self.frames[..., 0].size <= SHARED_PIXELS else None

    @cached_property
    def _raft_speeds(self) -> Floats:
        return np.asarray(self._by("raft", "speeds", self.frames), np.float64)

    @cached_property
    def _speeds(self) -> Floats:
        from metrics.motion import flow_speeds, speeds_of

        return flow_speeds(self.frames) if self._flows is None else speeds_of(self._flows)


def resampled(clip: DecodedClip, protocol: Protocol) -> DecodedClip:
    """Bring a clip to the protocol: frames are picked, then made smaller; none is invented.

    Raises:
        ProtocolError: it is too short, too slow or too small.
    """
    count, height, width, _ = clip.frames.shape
    size = protocol.size(height, width)
    picked = clip.frames[list(protocol.indices(count, clip.fps, clip.starts_s))]
    return DecodedClip(frames_.resize(picked, *size, fit="squash"), protocol.fps)
