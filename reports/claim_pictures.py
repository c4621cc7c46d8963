"""What a claim's picture shows: chosen from the claim's own tests, filled from the run. No drawing.

A picture is a table: words in the reader's language, and drawings that hold none, so that both
languages share them and no font is needed. Numbers come from the estimates as they stand; clips are
chosen by a rule that is stated under them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.catalog import Direction
from poc.claims import ClaimResult, ClaimStatus, TestResult
from poc.claims_file import How
from poc.models import heldout_stills, read_models
from poc.records import Arm, Comparison
from reports import text as words
from reports.evidence import prompt_text
from reports.load import ClipView, RunView
from reports.model import ClaimNumber, ClaimRow
from reports.sheet import frames_of, middle_prompt, ranker, shows
from reports.text import Text
from reports.tidy import points_table

FRAMES: Final = 6
"""Frames of a clip that stand in a row."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its interval, if it has one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from zero, to the scale of `beside`, which holds all that it is compared with."""

    amount: Amount
    beside: tuple[Amount, ...]
    baseline: bool


@dataclass(frozen=True, slots=True)
class InWindow:
    """A dot with its interval on the line on which a claim asks for a window."""

    amount: Amount
    beside: tuple[Amount, ...]
    above: float
    below: float


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of a clip, or a still: (t, h, w, 3)."""

    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric by number of steps, with intervals; the baseline as a band."""

    points: pd.DataFrame
    lower_is_better: bool
    share: bool
    demonstration: bool


Drawing = Bar | InWindow | Frames | Curve


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing in a table, what it shows in words, and the file that holds it."""

    drawing: Drawing
    alt: str
    file: str = ""


Cell = str | Drawn


@dataclass(frozen=True, slots=True)
class Picture:
    """A table of words and drawings, and the sentence under it."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    said: str

    @property
    def drawings(self) -> tuple[Drawn, ...]:
        """Return the drawings in reading order."""
        return tuple(cell for row in self.rows for cell in row if isinstance(cell, Drawn))


_Shown = tuple[TestResult, ClaimNumber]
"""A test with a number, and the number in words."""


def picture(view: RunView, text: Text, result: ClaimResult, row: ClaimRow) -> Picture | None:
    """Return a claim's picture; None where the run has nothing to show of it.

    A claim that cannot be tested here gets none but for its seconds, which stand beside the
    published ones whatever the machine.
    """
    pairs = zip(result.results, row.numbers, strict=True)
    shown = [(one, number) for one, number in pairs if one.figure.value is not None]
    if not shown:
        return None
    found = None
    if shown[0][0].metric.startswith("latency_"):
        found = _times(view, text, shown[0][0])
    elif result.status is not ClaimStatus.NOT_TESTABLE:
        found = _quality(view, text, shown)
    return None if found is None else named(found, result.claim.id)


def named(found: Picture, stem: str) -> Picture:
    """Return a picture whose drawings know their files: `stem-1.png`, `stem-2.png`, ..."""
    number = count(1)
    rows = tuple(
        tuple(
            replace(cell, file=f"{stem}-{next(number)}.png") if isinstance(cell, Drawn) else cell
            for cell in row
        )
        for row in found.rows
    )
    return replace(found, rows=rows)


def _quality(view: RunView, text: Text, shown: Sequence[_Shown]) -> Picture | None:
    tests = [one for one, _ in shown]
    arms, windows = _pair(view, tests[0]), {_window_of(one) for one in tests}
    if any(_arm(view, one.arm).style for one in tests):
        return _styles(view, text, tests)
    if _same_series(text, arms):
        return _curves(view, text, tests, arms)
    if len(windows) == 1 and (ends := windows.pop()) is not None:
        return _window(text, shown, ends)
    own, other = arms
    return clips_of(view, text, (other, own), own)


# --- which arms ----------------------------------------------------------------------------------


def _arm(view: RunView, name: str) -> Arm:
    return next(arm for arm in view.plan.arms if arm.name == name)


def _pair(view: RunView, one: TestResult) -> tuple[Arm, Arm]:
    """Return the arm that a test is about and the one that it is compared with."""
    other = view.baseline if one.against is None else _arm(view, one.against)
    return _arm(view, one.arm), other


def _same_series(text: Text, arms: tuple[Arm, Arm]) -> bool:
    """Whether two arms differ in their number of steps and in nothing else that a name says."""
    own, other = arms
    return own.steps != other.steps and words.arm_group(text, own) == words.arm_group(text, other)


def _window_of(one: TestResult) -> tuple[float, float] | None:
    """Return the two ends that a ratio has to stay between; None for any other test."""
    test = one.test
    if test.how is not How.RATIO or test.above is None or test.below is None:
        return None
    return test.above, test.below


def _level(view: RunView) -> str:
    return f"{100 * view.estimates.level:.0f}"


# --- times ---------------------------------------------------------------------------------------


def _times(view: RunView, text: Text, one: TestResult) -> Picture | None:
    """Return both arms' seconds; their evaluations too where the claim is about the two."""
    own, other = _pair(view, one)
    arms = (other, own)
    seconds = [_seconds(view, text, arm, one.metric) for arm in arms]
    columns = [(words.metric_label(text, one.metric), [each for each in seconds if each])]
    if len(columns[0][1]) < len(arms):
        return None
    key = "picture.seconds"
    if one.test.how is How.SPEED_UP_PER_NFE:
        evaluations = [(Amount(arm.sampling.nfe, None, None), str(arm.nfe)) for arm in arms]
        columns.insert(0, (text("picture.nfe"), evaluations))
        key = "picture.evaluations"
    device = words.shown(", ".join(sorted({sample.device for sample in view.latency})))
    device = device or text("provenance.unknown")
    rows = tuple(
        (words.arm_name(text, arm), *_bars(arm.id == view.baseline.id, place, columns))
        for place, arm in enumerate(arms)
    )
    head = ("", *(cell for label, _ in columns for cell in (label, "")))
    return Picture(head, rows, text(key, device=device, level=_level(view)))


_Column = tuple[str, list[tuple[Amount, str]]]
"""What is measured, and each arm's amount, also in words."""


def _seconds(view: RunView, text: Text, arm: Arm, metric: str) -> tuple[Amount, str] | None:
    found = view.estimate(arm.id, metric, Comparison.VALUE)
    if found is None or found.value is None:
        return None
    value, interval = words.estimate(text, found)
    n = text("n.clips", n=found.n_clips)
    said = text("picture.number", value=value, interval=interval, n=n)
    return Amount(found.value, found.low, found.high), said


def _bars(baseline: bool, place: int, columns: Sequence[_Column]) -> Iterator[Cell]:
    """Yield an arm's bar and number in each column."""
    for label, found in columns:
        amount, said = found[place]
        beside = tuple(one for one, _ in found)
        yield Drawn(Bar(amount, beside, baseline=baseline), label)
        yield said


# --- clips ---------------------------------------------------------------------------------------


def clips_of(view: RunView, text: Text, arms: Sequence[Arm], own: Arm) -> Picture | None:
    """Return the same prompt by several arms: the middle one of `own`; None without any clip."""
    prompt_id = middle_prompt(view, own.id)
    found = [_clip(view, arm, prompt_id) for arm in arms]
    prompt = prompt_text(view, text, prompt_id)
    rows = tuple(
        (words.arm_name(text, arm), _frames(view, text, clip, prompt))
        for arm, clip in zip(arms, found, strict=True)
    )
    rule = _rule(view, text, words.arm_name(text, own))
    said = text("picture.clips", prompt=prompt, rule=rule, **_counts(view))
    return Picture(("", text("picture.clip")), rows, said) if _any_kept(found) else None


def _styles(view: RunView, text: Text, tests: Sequence[TestResult]) -> Picture | None:
    """Return a still of each style that was kept from training, and a clip in that style."""
    arms = [_arm(view, name) for name in dict.fromkeys(one.arm for one in tests)]
    prompts = [middle_prompt(view, arm.id) for arm in arms]
    found = [_clip(view, arm, prompt) for arm, prompt in zip(arms, prompts, strict=True)]
    rows = tuple(
        (
            words.arm_name(text, arm),
            _still(text, arm),
            _frames(view, text, clip, prompt := prompt_text(view, text, prompt_id)),
            prompt,
        )
        for arm, prompt_id, clip in zip(arms, prompts, found, strict=True)
    )
    head = ("", text("picture.still"), text("picture.clip"), text("column.prompt"))
    rule = _rule(view, text, text("picture.same_row"))
    said = text("picture.style", rule=rule, **_counts(view))
    return Picture(head, rows, said) if _any_kept(found) else None


def _clip(view: RunView, arm: Arm, prompt_id: str) -> ClipView | None:
    wanted = (arm.id, prompt_id, 0)
    return next((c for c in view.clips if (c.arm_id, c.prompt_id, c.replicate) == wanted), None)


def _any_kept(clips: Sequence[ClipView | None]) -> bool:
    return any(clip is not None and clip.strip is not None for clip in clips)


def _frames(view: RunView, text: Text, clip: ClipView | None, prompt: str) -> Cell:
    """Return a clip's frames, or the word for why there are none."""
    state, counts = shows(clip), _counts(view)
    if state or clip is None or clip.strip is None:
        return text(f"clip.word.{state or 'absent'}")
    pixels = frames_of(clip.strip, counts["of"], counts["frames"])
    return text("clip.word.absent") if pixels is None else Drawn(Frames(pixels), prompt)


def _still(text: Text, arm: Arm) -> Cell:
    stills = heldout_stills(read_models(), arm.style) if arm.style else ()
    pixels = frames_of(stills[0], 1, 1) if stills else None
    if pixels is None:
        return text("clip.word.absent")
    return Drawn(Frames(pixels), text("picture.still"))


def _counts(view: RunView) -> dict[str, int]:
    """Return how many frames are shown, and of how many."""
    whole = view.plan.spec.shape.num_frames
    return {"frames": min(FRAMES, whole), "of": whole}


def _rule(view: RunView, text: Text, arm: str) -> str:
    metric = ranker(view)
    if metric is None:
        return text("picture.rule.first")
    label = words.metric_label(text, metric)
    return text("picture.rule.middle", n=len(view.plan.prompts), metric=label, arm=arm)


# --- numbers -------------------------------------------------------------------------------------


def _curves(
    view: RunView, text: Text, tests: Sequence[TestResult], arms: tuple[Arm, Arm]
) -> Picture:
    """Return the series of both arms, and the baseline, in each metric that the claim asks for."""
    group, baseline = words.arm_group(text, arms[0]), words.arm_name(text, view.baseline)
    metrics = tuple(dict.fromkeys(one.metric for one in tests))
    head = tuple(words.metric_label(text, metric) for metric in metrics)
    curves = [_curve(view, text, metric, group) for metric in metrics]
    drawn = [
        Drawn(curve, text("chart.alt.step_curve", metric=label))
        for curve, label in zip(curves, head, strict=True)
    ]
    said = text("picture.steps", group=group, level=_level(view), baseline=baseline)
    return Picture(("", *head), (("", *drawn), *_points(text, curves)), said)


def _points(text: Text, curves: Sequence[Curve]) -> Iterator[tuple[str, ...]]:
    """Yield each arm of the curves with its numbers."""
    found = [{row["arm"]: row for _, row in curve.points.iterrows()} for curve in curves]
    for arm in dict.fromkeys(name for rows in found for name in rows):
        yield (arm, *(_point(text, rows.get(arm)) for rows in found))


def _point(text: Text, row: pd.Series[Any] | None) -> str:
    if row is None:
        return text("number.none")
    n = text("n.clips", n=row["n"])
    return text("picture.number", value=row["shown"], interval=row["interval"], n=n)


def _curve(view: RunView, text: Text, metric: str, group: str) -> Curve:
    points = points_table(view, text, metric)
    mine = points[points["baseline"] | (points["group"] == group)]
    lower = words.direction(metric) is Direction.LOWER
    return Curve(mine, lower, words.is_share(metric), view.demonstration)


def _window(text: Text, shown: Sequence[_Shown], ends: tuple[float, float]) -> Picture:
    """Return numbers that are asked to lie in the same window."""
    amounts = [amount for one, _ in shown if (amount := _amount(one)) is not None]
    beside = tuple(amounts)
    rows = tuple(
        (number.label, Drawn(InWindow(amount, beside, *ends), number.label), _number(text, number))
        for amount, (_, number) in zip(amounts, shown, strict=True)
    )
    return Picture(("", "", ""), rows, text("picture.window", asked=shown[0][1].asked))


def _amount(one: TestResult) -> Amount | None:
    found = one.figure
    return None if found.value is None else Amount(found.value, found.low, found.high)


def _number(text: Text, number: ClaimNumber) -> str:
    cell = number.cell
    return text("picture.number", value=cell.value, interval=cell.interval, n=cell.n)
