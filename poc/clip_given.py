"""What `poc measure` is given besides clips: networks and stills by path, each read at first use.

What is not given is said by name: its metrics are not measured, which is not the same as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from poc.clip_judges import LOADING
from poc.errors import InputError
from poc.golden import check_golden_network
from poc.records import digest

if TYPE_CHECKING:
    from poc.clip_judges import Judges

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

STILL_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
BATCH: Final = 32
"""Frames that a network sees at once: features depend on it by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Paths of what metrics take besides a clip; None is not given.

    `clip` is an open_clip folder, `lpips` AlexNet's weights, `safety` a checker's folder; `style`,
    `training` and `subject` are folders of stills; `baseline` is a folder of clips by name.
    """

    clip: Path | None = None
    lpips: Path | None = None
    safety: Path | None = None
    style: Path | None = None
    training: Path | None = None
    subject: Path | None = None
    baseline: Path | None = None

    def check(self) -> None:
        """Refuse paths that lead nowhere, before anything is measured.

        Raises:
            InputError: nothing there, or another kind of thing.
        """
        for one in fields(self):
            path: Path | None = getattr(self, one.name)
            wants_file = one.name == "lpips"
            if path is not None and not (path.is_file() if wants_file else path.is_dir()):
                what = "a file" if wants_file else "a folder"
                raise InputError(f"--{one.name} {path}: expected {what}, found none. Check it.")


_STILLS: Final = {
    "style_features": ("style", "no held-out stills of a style are given (--style)"),
    "training_features": ("training", "no stills of its training are given (--training)"),
    "subject_features": ("subject", "no stills of a subject are given (--subject)"),
}
_OTHERS: Final = {
    "lpips_distances": ("lpips", "no weights of LPIPS are given (--lpips)"),
    "safety_scores": ("safety", "no safety checker is given (--safety)"),
}
IMAGE_TEXT: Final = frozenset({"image_features", "text_features", "logit_scale", *_STILLS})
"""Arguments of the catalogue that come from the image-text network."""


class Aids:
    """Networks and stills by the paths given, loaded and seen once."""

    def __init__(self, given: Given, judges: Judges | None) -> None:
        self.given, self._judges = given, judges
        self._stills: dict[str, Floats] = {}

    def missing(self, takes: Sequence[str]) -> list[str]:
        """Return what is not given of that which a metric takes, in words."""
        found = [
            text
            for one in takes
            for option, text in [(_STILLS | _OTHERS).get(one, ("", ""))]
            if option and getattr(self.given, option) is None
        ]
        if self.given.baseline is None and {"baseline_frames", "lpips_distances"} & set(takes):
            found.append("no clips of a baseline are given (--baseline)")
        return found

    def load(self) -> None:
        """Load every network that is given, so that a wrong one is told before any clip.

        Raises:
            InputError: it cannot be loaded, or a folder of stills holds none.
        """
        for network, path in (
            ("image_text", self.given.clip),
            ("lpips", self.given.lpips),
            ("safety", self.given.safety),
        ):
            if path is not None:
                self.loaded(network)
        for folder in (self.given.style, self.given.training, self.given.subject):
            if folder is not None:
                _paths(folder)

    def loaded(self, network: str) -> Any:
        """Return a network by its name here, loaded once whichever thread asks first."""
        with LOADING:
            return getattr(self, network)

    def cut_off(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """Return the prompts that are longer than the network given reads."""
        from metrics.clip_score import truncated_prompts

        if self.is_tiny or not prompts:
            return ()
        return truncated_prompts(self.image_text, list(prompts))

    @property
    def is_tiny(self) -> bool:
        """True when the image-text network is the one that knows the tiny world only."""
        return self.given.clip is None

    @cached_property
    def image_text(self) -> Any:
        """The image-text network: the one given, else that of the judges."""
        if self.given.clip is None:
            if self._judges is None:
                raise LookupError("a metric wants a network, and none is named")
            check_golden_network()
            return self._judges.image_text
        from metrics.extractors.base import WeightsError
        from metrics.extractors.clip import load_clip
        from poc.pipelines.device import set_up_process

        set_up_process(1)  # results depend on it
        try:
            return load_clip(
                self.given.clip,
                extractor_id=self.given.clip.resolve().name,
                batch_size=BATCH,
                expected_sha256=None,
            )
        except WeightsError as error:
            raise InputError(f"--clip {error}") from error

    @cached_property
    def image_text_id(self) -> tuple[str, str]:
        """Name and digest of the image-text network: backbone, scale and where prompts end."""
        network = self.loaded("image_text")
        if self.is_tiny and self._judges is not None:
            return network.id, self._judges.image_text_digest
        cut = f"scale {network.logit_scale:.4g}, {network.max_tokens} tokens"
        return f"{network.id} ({cut})", network.digest

    @cached_property
    def lpips(self) -> Any:
        """The LPIPS network."""
        from metrics.extractors.base import WeightsError
        from metrics.extractors.lpips import load_lpips

        if self.given.lpips is None:
            raise LookupError("no weights of LPIPS are given")
        try:
            return load_lpips(self.given.lpips, batch_size=BATCH)
        except WeightsError as error:
            raise InputError(f"--lpips {error}") from error

    @cached_property
    def safety(self) -> Any:
        """The safety checker."""
        from metrics.extractors.base import WeightsError
        from metrics.extractors.safety import load_safety_checker

        if self.given.safety is None:
            raise LookupError("no safety checker is given")
        try:
            return load_safety_checker(self.given.safety, batch_size=BATCH)
        except WeightsError as error:
            raise InputError(f"--safety {error}") from error

    def still_features(self, argument: str) -> Floats:
        """Return unit features (s, d) of the stills that an argument of the catalogue names."""
        with LOADING:
            if argument not in self._stills:
                stills = read_stills(self._at(argument))
                seen = [self.image_text.image_features(one) for one in stills]
                self._stills[argument] = np.concatenate(seen).astype(np.float64)
            return self._stills[argument]

    def stills_digest(self, takes: Sequence[str]) -> str | None:
        """Return one digest of all stills that a metric takes; None where it takes none."""
        from metrics.extractors.base import folder_digest

        folders = [self._at(one) for one in takes if one in _STILLS]
        return digest([folder_digest(_paths(one)) for one in folders]) if folders else None

    def _at(self, argument: str) -> Path:
        path: Path | None = getattr(self.given, _STILLS[argument][0])
        if path is None:
            raise LookupError(f"a metric takes {argument!r}, which is not given")
        return path


def read_stills(folder: Path) -> list[Frames]:
    """Return the pictures of a folder in name order, each uint8 (1, h, w, 3) of its own size.

    Raises:
        InputError: there is none, or one that cannot be read.
    """
    from PIL import Image

    stills = []
    for path in _paths(folder):
        try:
            with Image.open(path) as image:
                stills.append(np.asarray(image.convert("RGB"), np.uint8)[None])
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{path}: cannot be read as a picture ({error}).") from error
    return stills


def _paths(folder: Path) -> list[Path]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in STILL_SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: expected stills as png, jpg or webp, found none.")
    return paths
