"""A folder of clips made by anybody: the comparison protocol, and prompts by file.

Pure: text and numbers in, records out.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from poc.errors import InputError, did_you_mean

PROMPT_COLUMNS: Final = ("file", "prompt")
_PROTOCOL_PARTS: Final = ("seconds", "fps", "short_side")
_NUMBER: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


# --- the comparison protocol ---------------------------------------------------------------------


class ProtocolError(ValueError):
    """A clip that cannot be brought to the protocol without inventing frames or pixels."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every clip is brought to before it is measured; the files stay as they are."""

    seconds: float
    fps: float
    short_side: int

    @property
    def num_frames(self) -> int:
        """Frames of every clip."""
        return round(self.seconds * self.fps)

    @property
    def text(self) -> str:
        """The protocol as it is written on the command line."""
        return f"seconds:{self.seconds:.12g},fps:{self.fps:.12g},short_side:{self.short_side}"

    def indices(
        self, total: int, source_fps: float | None, starts_s: Sequence[float] | None = None
    ) -> tuple[int, ...]:
        """Return which frames of a clip are taken: the ones shown at the middle of each step.

        `starts_s` says when each is shown. Where that is nowhere half a frame from an even rate,
        or is not known, the rate tells; else the times do.

        Raises:
            ProtocolError: no frame rate is stated, or it would take frames twice or beyond the end.

        >>> Protocol(1.0, 4.0, 64).indices(8, 8.0)
        (1, 3, 5, 7)
        """
        if source_fps is None:
            raise ProtocolError(
                "states no frame rate, which --protocol needs; give --png-fps for png frames"
            )
        asked = f"{self.num_frames} frames at {self.fps:g} fps"
        if starts_s is not None and not _is_even(starts_s, source_fps):
            return self._by_time(starts_s, asked)
        if source_fps < self.fps * (1 - 1e-3):
            raise ProtocolError(f"{asked} are asked, it has {source_fps:g} fps; none is repeated")
        steps = range(self.num_frames)
        taken = tuple(math.floor((i + 0.5) * source_fps / self.fps) for i in steps)
        if taken[-1] >= total or len(set(taken)) < len(taken):
            seconds = total / source_fps
            raise ProtocolError(
                f"{asked} are asked, it has {total} at {source_fps:g} fps ({seconds:.3g} s); "
                "none is repeated"
            )
        return taken

    def _by_time(self, starts_s: Sequence[float], asked: str) -> tuple[int, ...]:
        """Return the frames shown at the middle of each step of a clip of uneven rate."""
        if min(np.diff(starts_s)) <= 0:
            raise ProtocolError(f"{asked} are asked, its frames do not follow each other in time")
        middles = (np.arange(self.num_frames) + 0.5) / self.fps
        taken = tuple(int(i) - 1 for i in np.searchsorted(starts_s, middles, side="right"))
        # How long the last frame is shown is not known: no longer than the one before, say.
        end_s = 2 * starts_s[-1] - starts_s[-2]
        if middles[-1] >= end_s or len(set(taken)) < len(taken):
            raise ProtocolError(
                f"{asked} are asked, its frames are unevenly spaced over {end_s:.3g} s and too few "
                "at some time; none is repeated"
            )
        return taken

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width with the short side asked for; the aspect ratio stays.

        Raises:
            ProtocolError: the clip is smaller than that.

        >>> Protocol(2.0, 8.0, 64).size(576, 1024)
        (64, 114)
        """
        short = min(height, width)
        if short < self.short_side:
            raise ProtocolError(
                f"a short side of {self.short_side} px is asked, it has {short}; none is enlarged"
            )
        return round(height * self.short_side / short), round(width * self.short_side / short)


def _is_even(starts_s: Sequence[float], fps: float) -> bool:
    """Tell whether no frame is shown half a frame or more before or after its place in the row."""
    places = np.arange(len(starts_s)) / fps
    return bool(np.abs(np.asarray(starts_s) - places).max() < 0.5 / fps)


def parse_protocol(text: str) -> Protocol:
    """Return the protocol of `seconds:2,fps:8,short_side:64`: all three, in any order.

    Raises:
        InputError: an unknown, missing, repeated or wrong part, or no whole number of frames.

    >>> parse_protocol("fps:8,seconds:2,short_side:64").num_frames
    16
    """
    parts = [part.partition(":") for part in text.split(",")]
    for name, _, value in parts:
        if name not in _PROTOCOL_PARTS:
            hint = did_you_mean(name, _PROTOCOL_PARTS)
            raise InputError(f"--protocol: unknown part '{name}'. {hint}")
        if not _NUMBER.fullmatch(value) or float(value) == 0:
            raise InputError(f"--protocol: '{name}': expected a number above 0, got {value!r}.")
    found = {name: value for name, _, value in parts}
    if len(found) < len(parts) or len(found) < len(_PROTOCOL_PARTS):
        raise InputError(
            f"--protocol: expected seconds, fps and short_side once each, got {text!r}. "
            "Write it as seconds:2,fps:8,short_side:64."
        )
    seconds, fps = float(found["seconds"]), float(found["fps"])
    frames = seconds * fps
    if abs(frames - round(frames)) > 1e-6 or round(frames) < 2:
        raise InputError(
            f"--protocol: {seconds:g} s at {fps:g} fps are {frames:g} frames; expected a whole "
            "number of 2 or more. Change seconds or fps."
        )
    if not found["short_side"].isdecimal():
        raise InputError(
            f"--protocol: 'short_side': expected whole pixels, got {found['short_side']!r}."
        )
    return Protocol(seconds, fps, int(found["short_side"]))


def common_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the height and width of more than half of the clips, None where there is none.

    >>> common_size([(64, 64), (64, 64), (32, 32)])
    (64, 64)
    >>> common_size([(64, 64), (32, 32)]) is None
    True
    """
    counts = Counter(sizes)
    if not counts:
        return None
    size, count = counts.most_common(1)[0]
    return size if 2 * count > counts.total() else None


# --- prompts -------------------------------------------------------------------------------------


def prompt_of_name(name: str) -> str | None:
    """Return the prompt that a file name spells, None where it spells nothing.

    >>> prompt_of_name("a_red_circle.mp4")
    'a red circle'
    >>> prompt_of_name("_.gif") is None
    True
    """
    stem, dot, suffix = name.rpartition(".")
    spelled = stem if dot and suffix.lower() in {"mp4", "webm", "gif"} else name
    return " ".join(spelled.replace("_", " ").split()) or None


def parse_prompts(text: str, where: str, files: Sequence[str]) -> dict[str, str]:
    """Return the prompt of each file named in a CSV `file,prompt`; all faults in one error.

    Raises:
        InputError: no such columns, a line of another length, no prompt, a file named twice or
            missing from `files`.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{where}:{reader.line_num}: no readable CSV ({error}).") from error
    if not lines or sorted(lines[0][1]) != sorted(PROMPT_COLUMNS):
        got = ",".join(lines[0][1]) if lines else "nothing"
        raise InputError(
            f"{where}:1: expected the columns {','.join(PROMPT_COLUMNS)}, got {got!r}. "
            "Keep these two and remove the others."
        )
    header = lines[0][1]
    prompts: dict[str, str] = {}
    problems = []
    for number, row in lines[1:]:
        problem = _prompt_problem(row, header, prompts, files)
        if problem:
            problems.append(f"{where}:{number}: {problem}")
            continue
        entry = dict(zip(header, row, strict=True))
        prompts[entry["file"]] = " ".join(entry["prompt"].split())
    if problems:
        raise InputError("\n".join(problems))
    return prompts


def _prompt_problem(
    row: list[str], header: list[str], known: Mapping[str, str], files: Sequence[str]
) -> str:
    if len(row) != len(header):
        return f"expected 2 fields, got {len(row)}. Put a prompt with a comma in quotes."
    entry = dict(zip(header, row, strict=True))
    name = entry["file"]
    if name in known:
        return f"'{name}' is named twice. Remove one line."
    if name not in files:
        return f"no clip '{name}' in the folder. {did_you_mean(name, files)}"
    if not entry["prompt"].strip():
        return f"'{name}' has an empty prompt. Write one, or remove the line."
    return ""


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return some names as a sentence lists them.

    >>> listed(["a", "b"]), listed(list("abcdefg"), limit=3)
    ('a, b', 'a, b, c and 4 more')
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
