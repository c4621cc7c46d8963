"""Still pictures for documents, by Matplotlib: the step curve and the contact sheet as PNG.

Same tables, words and colours as `reports.charts`; for places where no browser draws.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics.catalog import Direction
from poc.errors import InputError
from poc.records import Arm
from reports import text as words
from reports.charts import COLOURS, Subject
from reports.evidence import prompt_text
from reports.load import ClipView, RunView
from reports.sheet import Sheet, frames_of, shows
from reports.text import Text

JAPANESE_FONTS: Final = (
    "Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic",
)  # fmt: skip
MARKERS: Final = ("s", "o", "^", "D", "P", "v", "X")
_MID: Final = "#808080"


def step_curve(points: pd.DataFrame, subject: Subject, path: Path) -> None:
    """Write quality by number of steps: a line per series, intervals, the baseline as a band."""
    with _fonts(subject.text):
        figure = Figure(figsize=(8, 4.5), dpi=160, layout="constrained")
        axes = figure.add_subplot()
        lower, share = (
            words.direction(subject.metric) is Direction.LOWER,
            words.is_share(subject.metric),
        )
        band = subject.text("chart.baseline")
        curve_axes(axes, points, lower=lower, share=share, band=band)
        _dress(axes, points, subject)
        watermark(figure, subject.text, shown=subject.demonstration)
        figure.savefig(path, metadata={"Software": None})


def contact_sheet(
    view: RunView, text: Text, sheet: Sheet, arms: Sequence[Arm], path: Path, *, frames: int = 4
) -> None:
    """Write clips as a JPEG grid: a row per arm, `frames` evenly spaced frames per prompt."""
    with _fonts(text):
        size = (2.2 + 0.62 * frames * len(sheet.columns), 0.9 + 0.72 * len(arms))
        figure = Figure(figsize=size, dpi=160, layout="constrained")
        grid = figure.subplots(len(arms), len(sheet.columns), squeeze=False)
        for row, arm in zip(grid, arms, strict=True):
            for axes, column in zip(row, sheet.columns, strict=True):
                _clip(axes, sheet.clips.get((arm.id, column.prompt_id)), view, text, frames)
            name = words.arm_name(text, arm)
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for axes, column in zip(grid[0], sheet.columns, strict=True):
            axes.set_title(_wrapped(prompt_text(view, text, column.prompt_id), frames), fontsize=7)
        if view.demonstration:
            figure.supxlabel(_mark(text), fontsize=9, color=_MID, fontweight="bold")
        figure.savefig(path, pil_kwargs={"quality": 85, "subsampling": 0})


# --- the step curve ------------------------------------------------------------------------------


def curve_axes(
    axes: Axes, points: pd.DataFrame, *, lower: bool, share: bool, band: str = ""
) -> None:
    """Draw quality by number of steps without a word: up is better, also where lower is.

    `band` is what a legend calls the baseline.
    """
    _baseline(axes, points, band)
    for i, (group, rows) in enumerate(points.groupby("group", sort=False)):
        _series(axes, str(group), rows, i)
    ticks = sorted(set(points["steps"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    if share:
        axes.yaxis.set_major_formatter("{x:.0%}")
    if lower:
        axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _baseline(axes: Axes, points: pd.DataFrame, band: str) -> None:
    rows = points[points["baseline"]]
    for value in rows["value"]:
        axes.axhline(float(value), color=_MID, linewidth=1, linestyle=":")
    whole = rows.dropna(subset=["low", "high"])
    for low, high in zip(whole["low"], whole["high"], strict=True):
        axes.axhspan(float(low), float(high), color=_MID, alpha=0.16, linewidth=0, label=band)


def _series(axes: Axes, group: str, rows: pd.DataFrame, index: int) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    rows = rows.sort_values("steps")
    axes.plot(rows["steps"], rows["value"], color=colour, marker=marker, label=group, linewidth=1.4)
    whole = rows.dropna(subset=["low", "high"])
    axes.vlines(whole["steps"], whole["low"], whole["high"], color=colour, linewidth=1.2, alpha=0.6)


def _dress(axes: Axes, points: pd.DataFrame, subject: Subject) -> None:
    text = subject.text
    way = words.direction(subject.metric)
    known = way if way in (Direction.HIGHER, Direction.LOWER) else Direction.NONE
    label = words.metric_label(text, subject.metric)
    axes.set_xlabel(text("chart.steps"))
    axes.set_ylabel(text(f"chart.quality.{known}", metric=label))
    low, high = (min(points["n"]), max(points["n"])) if len(points) else (0, 0)
    key = "chart.n.same" if low == high else "chart.n"
    axes.set_title(text(key, low=low, high=high), fontsize=8, loc="left")
    axes.legend(fontsize=8, frameon=False)


def watermark(figure: Figure, text: Text, *, shown: bool, size: int = 26) -> None:
    """Mark a demonstration across the whole picture."""
    if shown:
        figure.text(
            0.5, 0.5, _mark(text), fontsize=size, color=_MID, alpha=0.28, ha="center",
            va="center", fontweight="bold",
        )  # fmt: skip


# --- the contact sheet ---------------------------------------------------------------------------


def _clip(axes: Axes, clip: ClipView | None, view: RunView, text: Text, frames: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    state = shows(clip)
    count = view.plan.spec.shape.num_frames
    found = None if clip is None or clip.strip is None else frames_of(clip.strip, count, frames)
    if found is not None and not state:
        axes.imshow(np.concatenate(found, axis=1))
        return
    word = text(f"clip.word.{state or 'absent'}")
    axes.text(0.5, 0.5, word, ha="center", va="center", fontsize=8, transform=axes.transAxes)


def _wrapped(prompt: str, frames: int) -> str:
    return "\n".join(textwrap.wrap(prompt, 11 * frames, max_lines=3, placeholder="…"))


# --- fonts ---------------------------------------------------------------------------------------


@contextmanager
def _fonts(text: Text) -> Iterator[None]:
    """Draw with a Japanese font where one is installed.

    Raises:
        InputError: the words are Japanese and no font has them: boxes would be worse than nothing.
    """
    found = _japanese()
    if text.language == "ja" and not found:
        raise InputError(
            "no Japanese font was found for the pictures. Install one (on Debian and Ubuntu: "
            f"fonts-noto-cjk); known are {', '.join(JAPANESE_FONTS)}."
        )
    families = [*found, "DejaVu Sans"]
    with (
        warnings.catch_warnings(),
        mpl.rc_context({"font.family": families, "text.parse_math": False}),
    ):
        # A prompt may hold any sign; one without a glyph shows as a box and stops nothing.
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        yield


def _japanese() -> list[str]:
    there = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in JAPANESE_FONTS if name in there]


def _mark(text: Text) -> str:
    """Return the watermark, without its Japanese half where no font has the letters."""
    whole = text("watermark")
    return whole if _japanese() else whole.partition(" /")[0]
