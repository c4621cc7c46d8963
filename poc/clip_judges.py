"""The networks that ship, taught on the tiny world alone, and which clips they know."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from poc.clip_records import FrameShape
from poc.measure import IMAGE_TEXT_EXTRACTOR, VIDEO_EXTRACTOR
from poc.models import ModelKind, read_models

TINY: Final = "tiny"
"""`--judges tiny`."""


LOADING: Final = threading.RLock()
"""Clips are measured in threads: a network is loaded once, and libraries by one at a time."""


@dataclass(frozen=True)
class Judges:
    """The tiny world's networks by their pinned digests, each loaded at its first use."""

    image_text_folder: Path
    image_text_digest: str
    video_folder: Path
    video_digest: str

    @classmethod
    def shipped(cls) -> Judges:
        """Return the judges of models.yaml, every file of theirs verified."""
        models = read_models()

        def only(kind: ModelKind) -> str:
            return next(key for key, one in models.models.items() if one.entry.kind is kind)

        image_text, video = only(ModelKind.IMAGE_TEXT), only(ModelKind.VIDEO_FEATURES)
        return cls(
            models.verify(image_text),
            models.pinned_digest(image_text),
            models.verify(video),
            models.pinned_digest(video),
        )

    @cached_property
    def image_text(self) -> Any:
        """The network that sees frames and reads prompts."""
        from metrics.extractors.clip import load_clip
        from poc.pipelines.device import set_up_process

        set_up_process(1)  # results depend on it
        return load_clip(
            self.image_text_folder,
            extractor_id=IMAGE_TEXT_EXTRACTOR,
            batch_size=64,
            expected_sha256=None,
        )

    @cached_property
    def video(self) -> Any:
        """The network whose features FVD and KVD compare."""
        from poc.pipelines.device import set_up_process
        from poc.tiny.video_network import load_video_extractor

        set_up_process(1)
        return load_video_extractor(self.video_folder, extractor_id=VIDEO_EXTRACTOR)


def not_tiny(shape: FrameShape) -> str:
    """Return why the tiny judges know nothing of such clips; empty where they do."""
    from poc.tiny.world import FRAMES, SIZE

    if (shape.num_frames, shape.height, shape.width) == (FRAMES, SIZE, SIZE):
        return ""
    return (
        f"the judges 'tiny' know {FRAMES} frames of {SIZE}x{SIZE} only, the clip has "
        f"{shape.num_frames} of {shape.width}x{shape.height}"
    )


def unreadable(prompt: str) -> str:
    """Return why the tiny judges cannot read a prompt; empty where they can."""
    from poc.tiny import world

    try:
        world.parse(prompt)
    except ValueError:
        return "the judges 'tiny' know the words of the tiny world's captions only"
    return ""
