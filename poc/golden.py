"""The golden clip: one clip in every container, measured before each run.

A decoder or a library that gives other numbers than when criteria and baselines were made moves
every result, and nothing else would tell. `make golden` takes the numbers anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from metrics import catalog
from metrics import frames as frames_
from metrics.base import ClipValue
from metrics.frames import DecodeError
from poc.clip_files import Source, read_frames, survey
from poc.errors import InputError
from poc.records import Record

if TYPE_CHECKING:
    from metrics.base import Frames

FOLDER: Final = Path(__file__).parent / "golden"
NUMBERS: Final = "golden.json"
LOSSLESS: Final = "clip"
"""Folder of png frames: what metrics are measured on, so that a decoder has no part in it."""
CLIPS: Final = (LOSSLESS, "clip.webm", "clip.mp4", "clip.gif")
PROMPT: Final = "a red circle moving left on a navy background"

PIXELS: Final = frozenset({"frames", "flows", "speeds"})
NETWORK: Final = ("clip_score", "clip_frame_consistency")
_DECODED: Final = ("red", "green", "blue", "detail")
LIBRARIES: Final = ("av", "numpy", "opencv-python-headless", "open-clip-torch", "pillow", "torch")


class Expected(Record):
    """A number of the golden clip, and how far it may be off: absolutely, in its own unit."""

    value: float
    tolerance: float


class Golden(Record):
    """All numbers of the golden clip as they were taken, and with which libraries."""

    libraries: dict[str, str]
    prompt: str
    numbers: dict[str, Expected]


@cache
def check_golden(folder: Path = FOLDER, *, networks: bool) -> None:
    """Measure the golden clip; `networks` too by the tiny world's image-text judge.

    Once a process: its libraries do not change.

    Raises:
        InputError: a number is off by more than its tolerance; all that are, are named.
    """
    golden = read_golden(folder)
    _compare(golden, measured(folder, golden.prompt, networks=networks))


@cache
def check_golden_network(folder: Path = FOLDER) -> None:
    """Measure the golden clip by the tiny world's image-text judge alone, before it is used.

    A folder whose numbers are all known needs no network, and does not wait for its libraries.

    Raises:
        InputError: a number is off by more than its tolerance; all that are, are named.
    """
    golden = read_golden(folder)
    _compare(golden, _of_network(_frames(folder, LOSSLESS), golden.prompt))


def _compare(golden: Golden, numbers: Iterable[tuple[str, float]]) -> None:
    moved = [text for name, value in numbers if (text := _moved(name, value, golden))]
    if moved:
        raise InputError("\n".join([f"{moved[0]}. {_change(golden)}", *moved[1:]]))


def _moved(name: str, value: float, golden: Golden) -> str:
    """Return what is wrong with a number; empty where it is what it was."""
    wanted = golden.numbers.get(name)
    if wanted is None:
        return f"golden clip: {name} is {value:.6g}, and was not taken"
    if abs(value - wanted.value) <= wanted.tolerance:
        return ""
    return (
        f"golden clip: {name} is {value:.6g}, expected {wanted.value:.6g} within "
        f"{wanted.tolerance:.2g}"
    )


def read_golden(folder: Path) -> Golden:
    """Read the numbers; raises `InputError` where they are missing or damaged."""
    try:
        return Golden.from_json((folder / NUMBERS).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / NUMBERS}: cannot be read ({error}). Install the project anew."
        ) from error


def measured(folder: Path, prompt: str, *, networks: bool) -> Iterator[tuple[str, float]]:
    """Yield the name and value of each number of the golden clip, as things are here."""
    for name in CLIPS:
        yield from _decoded(name, _frames(folder, name))
    frames = _frames(folder, LOSSLESS)
    yield from _of_pixels(frames)
    if networks:
        yield from _of_network(frames, prompt)


def libraries() -> dict[str, str]:
    """Return the versions of what can move a number."""
    return {name: metadata.version(name) for name in LIBRARIES}


def _frames(folder: Path, name: str) -> Frames:
    source = Source(name, folder / name, (folder / name).is_dir())
    try:
        return read_frames(source, size=survey(source).size, png_fps=None).frames
    except DecodeError as error:
        raise InputError(f"golden clip: {error}. Its decoder does not work here.") from error


def _decoded(name: str, frames: Frames) -> Iterator[tuple[str, float]]:
    """Yield the mean of each channel and the spread of luma: range, matrix, order and blur."""
    means = frames.mean(axis=(0, 1, 2))
    spread = np.mean([luma.std() for luma in frames_.lumas(frames)])
    for what, value in zip(_DECODED, (*means, spread), strict=True):
        yield f"{name} decoded, {what}", float(value)


def _of_pixels(frames: Frames) -> Iterator[tuple[str, float]]:
    from metrics.motion import pair_flows, speeds_of

    flows = pair_flows(frames)
    given = {"frames": frames, "flows": flows, "speeds": speeds_of(flows)}
    for name, row in catalog.CATALOG.items():
        if row.scope is catalog.Scope.CLIP and row.takes and PIXELS.issuperset(row.takes):
            result = catalog.load(name)(*(given[argument] for argument in row.takes))
            if isinstance(result, ClipValue):
                yield name, _number(name, result)


def _of_network(frames: Frames, prompt: str) -> Iterator[tuple[str, float]]:
    from poc.clip_judges import Judges

    network = Judges.shipped().image_text
    given = {
        "image_features": network.image_features(frames),
        "text_features": network.text_features([prompt])[0],
    }
    for name in NETWORK:
        row = catalog.describe(name)
        result = catalog.load(name)(*(given[argument] for argument in row.takes))
        yield name, _number(name, result)


def _number(name: str, result: ClipValue) -> float:
    if result.value is None:
        raise InputError(f"golden clip: {name} has no value ({result.reason}).")
    return result.value


def _change(golden: Golden) -> str:
    """Return which libraries differ, and what to do."""
    here = libraries()
    changed = [
        f"{name} {version}, here {here[name]}"
        for name, version in golden.libraries.items()
        if here.get(name) != version
    ]
    taken = f"It was taken with {'; '.join(changed)}. " if changed else "No library has changed. "
    return (
        f"{taken}Results would not be comparable with earlier ones: install what is locked, or "
        "take new numbers with `make golden` and make criteria and baselines anew."
    )
