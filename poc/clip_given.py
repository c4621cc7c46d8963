"""What `poc measure` is given besides clips: networks and stills by path, each read at first use.

What is not given is said by name: its metrics are not measured, which is not the same as 0.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
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
PAIRS: Final = 4
"""Pairs of frames that RAFT sees at once, fewer of large frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Paths of what metrics take besides a clip; None is not given.

    `clip` is an open_clip folder, `lpips`, `csd` and `raft` files of weights, `safety` a checker's
    folder; `style`, `training` and `subject` are folders of stills; `baseline` is a folder of clips
    by name. Networks run on `device`.
    """

    clip: Path | None = None
    lpips: Path | None = None
    csd: Path | None = None
    raft: Path | None = None
    safety: Path | None = None
    style: Path | None = None
    training: Path | None = None
    subject: Path | None = None
    baseline: Path | None = None
    device: str = "cpu"

    @property
    def paths(self) -> dict[str, Path]:
        """What is given, by name."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: path for name, path in named.items() if isinstance(path, Path)}

    def check(self) -> None:
        """Refuse paths that lead nowhere and devices that are not there, before any clip.

        Raises:
            InputError: nothing there, or another kind of thing.
        """
        for name, path in self.paths.items():
            wants_file = name in _FILES
            if not (path.is_file() if wants_file else path.is_dir()):
                what = "a file" if wants_file else "a folder"
                raise InputError(f"--{name} {path}: expected {what}, found none. Check it.")
        if self.device != "cpu":
            from poc.pipelines.device import check_device

            check_device(self.device)


_FILES: Final = frozenset({"lpips", "csd", "raft"})
_NO_STYLE: Final = "no held-out stills of a style are given (--style)"
_STILLS: Final = {
    "style_features": ("style", _NO_STYLE),
    "csd_style_features": ("style", _NO_STYLE),
    "training_features": ("training", "no stills of its training are given (--training)"),
    "subject_features": ("subject", "no stills of a subject are given (--subject)"),
}
_OTHERS: Final = {
    "lpips_distances": ("lpips", "no weights of LPIPS are given (--lpips)"),
    "safety_scores": ("safety", "no safety checker is given (--safety)"),
    "csd_features": ("csd", "no weights of CSD are given (--csd)"),
    "raft_speeds": ("raft", "no weights of RAFT are given (--raft)"),
}
OF_NETWORK: Final = {argument: network for argument, (network, _) in _OTHERS.items()}
"""Arguments of the catalogue that a given network makes, and its name here."""
_LOADERS: Final = {
    "lpips": ("metrics.extractors.lpips", "load_lpips", BATCH),
    "safety": ("metrics.extractors.safety", "load_safety_checker", BATCH),
    "csd": ("metrics.extractors.csd", "load_csd", BATCH),
    "raft": ("metrics.extractors.raft", "load_raft", PAIRS),
}
IMAGE_TEXT: Final = frozenset(
    {"image_features", "text_features", "logit_scale"}
    | {"style_features", "training_features", "subject_features"}
)
"""Arguments of the catalogue that come from the image-text network."""


class Aids:
    """Networks and stills by the paths given, loaded and seen once."""

    def __init__(self, given: Given, judges: Judges | None) -> None:
        self.given, self._judges = given, judges
        self._stills: dict[str, Floats] = {}
        self._networks: dict[str, Any] = {}
        self._turn = threading.Lock()

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
        for name in ("image_text", *_LOADERS):
            if ("clip" if name == "image_text" else name) in self.given.paths:
                self.loaded(name)
        for folder in (self.given.style, self.given.training, self.given.subject):
            if folder is not None:
                _paths(folder)

    def loaded(self, network: str) -> Any:
        """Return a network by its name here, loaded once whichever thread asks first.

        Raises:
            InputError: it cannot be loaded.
            LookupError: it is not given.
        """
        with LOADING:
            if network == "image_text":
                return self.image_text
            if network not in self._networks:
                self._networks[network] = self._load(network)
            return self._networks[network]

    def turn(self, network: str) -> AbstractContextManager[Any]:
        """Return what a thread holds while it uses a network whose memory is for one at a time."""
        is_large = network == "raft" or self.given.device != "cpu"
        return self._turn if is_large else nullcontext()

    def _load(self, network: str) -> Any:
        from metrics.extractors.base import WeightsError
        from poc.pipelines.device import set_up_process

        path = self.given.paths.get(network)
        if path is None:
            raise LookupError(f"a metric wants the network {network!r}, which is not given")
        set_up_process(1)  # results depend on it
        module, function, batch = _LOADERS[network]
        load = getattr(importlib.import_module(module), function)
        try:
            return load(path, batch_size=batch, device=self.given.device)
        except WeightsError as error:
            raise InputError(f"--{network} {error}") from error

    def network_id(self, network: str) -> tuple[str, str]:
        """Name and digest of a given network; the name says where it ran, if not on the CPU."""
        there = self.loaded(network)
        return f"{there.id}{self._place}", there.digest

    @property
    def _place(self) -> str:
        return "" if self.given.device == "cpu" else f" on {self.given.device.partition(':')[0]}"

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
                device=self.given.device,
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
        return f"{network.id} ({cut}){self._place}", network.digest

    def still_features(self, argument: str) -> Floats:
        """Return unit features (s, d) of the stills that an argument of the catalogue names."""
        with LOADING:
            if argument not in self._stills:
                stills = read_stills(self._at(argument))
                network = self.loaded("csd" if argument.startswith("csd_") else "image_text")
                seen = [network.image_features(one) for one in stills]
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
