"""The design of a blind rating: who compares which two clips, on which side, in which order.

Pure: no files and no clock. A *panel* is one such design; a *pack* is what one rater gets. Two
clips of a comparison answer the same prompt from the same seed, so that the arms alone differ.
A panel of single clips is dealt out in the same way: a clip stands on both sides of its pair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from operator import not_
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from poc.errors import InputError
from poc.records import ClipStatus, Plan, Record, digest, short_id

REPEAT_SHARE = 0.10
"""Comparisons that a rater sees a second time, sides swapped, for self-consistency."""

CATCH_SHARE = 0.05
"""Catch pairs beside the comparisons; every rater gets at least one."""

USUAL_COMPARISONS = 30
"""Comparisons per rater unless asked otherwise: a quarter of an hour, before attention fades."""

MOST_RATERS = 200
MOST_COMPARISONS = 500

Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Form(StrEnum):
    """What a rater is shown at a time, and asked."""

    PAIRS = "pairs"
    """Two clips side by side: which one is better?"""
    CLIPS = "clips"
    """One clip: would we publish this?"""


class TrialKind(StrEnum):
    """What a trial is in a pack for; the rater cannot tell."""

    COMPARISON = "comparison"
    JUDGEMENT = "judgement"
    """Of a single clip."""
    REPEAT = "repeat"
    """One of these again, sides swapped. Never counted as a vote."""
    CATCH = "catch"
    """A clip against a damaged copy of itself, or the damaged copy alone: any attentive person
    tells it."""


class ShownClip(Record):
    """What stands on one side of a trial."""

    arm_id: str
    clip_id: Identifier
    damaged: bool
    """True: the copy of a catch pair, frozen at its first frame and coarsely pixelated."""


class Trial(Record):
    """One pair as one rater sees it."""

    trial_id: Identifier
    """Made of the pack and the position alone, so that it says nothing of the arms."""
    kind: TrialKind
    prompt_id: str
    replicate: Annotated[int, Field(ge=0)]
    candidate_id: str
    left: ShownClip
    right: ShownClip
    repeats: Identifier | None
    """The trial that a repeat shows again; None for the other kinds."""

    @property
    def sides(self) -> dict[str, ShownClip]:
        """What is shown, by the name of its side on the page."""
        return {"left": self.left, "right": self.right}


class ClipTrial(Record):
    """One clip as one rater sees it; `trial_id` and `repeats` are as in `Trial`."""

    trial_id: Identifier
    kind: TrialKind
    prompt_id: str
    replicate: Annotated[int, Field(ge=0)]
    shown: ShownClip
    repeats: Identifier | None

    @property
    def sides(self) -> dict[str, ShownClip]:
        """What is shown, by its name on the page."""
        return {"clip": self.shown}


class Pack(Record):
    """What one rater gets: pairs or single clips, never both."""

    pack_id: Identifier
    pseudonym: str
    """Proposed to the rater, who may change it."""
    trials: tuple[Trial, ...] = Field(default=(), exclude_if=not_)
    clips: tuple[ClipTrial, ...] = Field(default=(), exclude_if=not_)

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if bool(self.trials) is bool(self.clips):
            raise ValueError("expected trials or clips, one of both")
        return self

    @property
    def form(self) -> Form:
        """What the rater is asked."""
        return Form.CLIPS if self.clips else Form.PAIRS

    @property
    def tasks(self) -> tuple[Trial | ClipTrial, ...]:
        """All that is shown, whatever the form, in its order."""
        return self.trials + self.clips


class LeftOut(Record):
    """Pairs of a candidate, or its clips, that cannot be shown, since a clip is not ok."""

    candidate_id: str
    pairs: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=0)]


class PanelRequest(Record):
    """What is asked of a panel; equal requests over equal runs give equal panels."""

    baseline_id: str
    candidate_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    raters: Annotated[int, Field(ge=1, le=MOST_RATERS)]
    per_rater: Annotated[int, Field(ge=1, le=MOST_COMPARISONS)] | None
    """Comparisons of each rater, repeats and catch pairs not counted; None takes the usual."""
    seed: Annotated[int, Field(ge=0)]
    number: Annotated[int, Field(ge=0)]
    """How many panels the run had before: makes the next one another."""
    form: Form = Form.PAIRS
    run: str = Field(default="", exclude_if=not_)
    """Digest of what the run is and of its clips: another run of the same plan has packs of its
    own, and votes on the one never count for the other. Empty in keys from before it was kept."""


class Panel(Record):
    """The key of a blind rating. Never given to raters."""

    format_version: Literal[1]
    panel_id: Identifier
    plan_digest: str
    request: PanelRequest
    packs: Annotated[tuple[Pack, ...], Field(min_length=1)]
    left_out: tuple[LeftOut, ...]


class Pair(NamedTuple):
    """Two clips of one prompt and one seed, and what they answer; or one clip, twice."""

    candidate_id: str
    prompt_id: str
    replicate: int
    baseline_clip: str
    candidate_clip: str


class _Draw(NamedTuple):
    """A pair with its side and its purpose, before the order is known."""

    kind: TrialKind
    pair: Pair
    is_candidate_left: bool
    """Of a catch pair: the whole copy is left."""
    damaged_arm_id: str = ""


def design_panel(plan: Plan, status: Mapping[str, ClipStatus], request: PanelRequest) -> Panel:
    """Return who compares what: balanced over prompts, candidates and sides, in random order.

    `status` says how each published clip ended, by its id. Prompts are dealt out as balanced
    incomplete blocks: each rater takes those that were used least so far, so that over the panel
    their numbers differ by one at most, and sees none twice before all were seen. Half of each
    rater's comparisons have the candidate on the left. About a tenth of them come again later with
    the sides swapped; about one in twenty is added as a catch pair, at least one.

    Raises:
        InputError: no pair has ok clips in both arms, or more comparisons are asked for than
            there are pairs.
    """
    pairs, left_out = _pairs(plan, status, request)
    per_rater = _per_rater(pairs, request)
    panel_id = short_id(["panel", plan.content_digest(), request.model_dump(mode="json")])
    used: Counter[Any] = Counter()
    packs = tuple(
        _pack(panel_id, number, _dealt(pairs, per_rater, used, _generator(panel_id, number)),
              request)
        for number in range(request.raters)
    )  # fmt: skip
    return Panel(
        format_version=1,
        panel_id=panel_id,
        plan_digest=plan.content_digest(),
        request=request,
        packs=packs,
        left_out=left_out,
    )


def _generator(panel_id: str, number: int) -> np.random.Generator:
    return np.random.default_rng(int(digest(["deal", panel_id, number]), 16))


# --- pairs ---------------------------------------------------------------------------------------


def _pairs(
    plan: Plan, status: Mapping[str, ClipStatus], request: PanelRequest
) -> tuple[list[Pair], tuple[LeftOut, ...]]:
    """Return every pair that can be shown, and how many cannot."""
    clips = {
        (clip.arm_id, clip.prompt_id, clip.replicate): clip.id
        for batch in plan.batches
        for clip in batch.clips
    }
    found, left_out = [], []
    for candidate_id in request.candidate_ids:
        alone = request.form is Form.CLIPS
        planned = list(
            _planned(clips, candidate_id if alone else request.baseline_id, candidate_id)
        )
        shown = [pair for pair in planned if _are_ok(pair, status)]
        found += shown
        left_out.append(
            LeftOut(candidate_id=candidate_id, pairs=len(planned) - len(shown), of=len(planned))
        )
    if not found:
        whose = "both arms" if request.form is Form.PAIRS else "an arm"
        raise InputError(
            f"--candidate: expected prompts with ok clips in {whose}, found none of "
            f"{len(clips)} planned clips. Let the run go on, then make the packs."
        )
    return found, tuple(left_out)


def _planned(
    clips: Mapping[tuple[str, str, int], str], baseline_id: str, candidate_id: str
) -> Iterator[Pair]:
    for (arm_id, prompt_id, replicate), clip_id in clips.items():
        other = clips.get((baseline_id, prompt_id, replicate))
        if arm_id == candidate_id and other is not None:
            yield Pair(candidate_id, prompt_id, replicate, other, clip_id)


def _are_ok(pair: Pair, status: Mapping[str, ClipStatus]) -> bool:
    both = (pair.baseline_clip, pair.candidate_clip)
    return all(status.get(clip_id) is ClipStatus.OK for clip_id in both)


def _per_rater(pairs: Sequence[Pair], request: PanelRequest) -> int:
    if request.per_rater is None:
        return min(USUAL_COMPARISONS, len({pair.prompt_id for pair in pairs}))
    if request.per_rater > len(pairs):
        what = "pairs with ok clips in both arms" if request.form is Form.PAIRS else "ok clips"
        raise InputError(
            f"--per-rater: expected at most {len(pairs)}, the {what}, "
            f"got {request.per_rater}. Ask for fewer, or for more --raters."
        )
    return request.per_rater


# --- dealing out ---------------------------------------------------------------------------------


def _dealt(
    pairs: Sequence[Pair], count: int, used: Counter[Any], rng: np.random.Generator
) -> list[_Draw]:
    """Return one rater's trials in the order they are shown; `used` counts over the panel."""
    own: Counter[Any] = Counter()
    chosen = _least_used(pairs, count, used, own, rng)
    shuffled = [chosen[n] for n in rng.permutation(count)]
    sides = _sides(count, rng)
    compared = [
        _Draw(TrialKind.COMPARISON, pair, side) for pair, side in zip(shuffled, sides, strict=True)
    ]
    half = -(-count // 2)
    again = [
        draw._replace(kind=TrialKind.REPEAT, is_candidate_left=not draw.is_candidate_left)
        for draw in _alternating(compared[:half])[: max(1, round(REPEAT_SHARE * count))]
    ]
    catch = _catches(pairs, max(1, round(CATCH_SHARE * count)), own, rng)
    # Repeats come from the first half into the second, so that nobody sees a pair twice in a row.
    first = [*compared[:half], *catch[1::2]]
    second = [*compared[half:], *again, *catch[::2]]
    return [part[n] for part in (first, second) for n in rng.permutation(len(part))]


def _least_used(
    pairs: Sequence[Pair],
    count: int,
    used: Counter[Any],
    own: Counter[Any],
    rng: np.random.Generator,
) -> list[Pair]:
    """Return the pairs of one rater: prompts that are rare so far, then rare candidates."""
    left = [pairs[n] for n in rng.permutation(len(pairs))]
    chosen = []
    for _ in range(count):
        pair = min(left, key=lambda one: _wear(one, used, own))
        left.remove(pair)
        chosen.append(pair)
        for counter in (used, own):
            counter.update([pair.prompt_id, pair.candidate_id, pair[:2], pair])
    return chosen


def _wear(pair: Pair, used: Counter[Any], own: Counter[Any]) -> tuple[int, ...]:
    """Return what is compared to find the pair that is to be shown next; less is sooner."""
    prompt, candidate = pair.prompt_id, pair.candidate_id
    return own[prompt], used[prompt], own[candidate], used[pair[:2]], used[candidate], used[pair]


def _sides(count: int, rng: np.random.Generator) -> list[bool]:
    """Return `count` sides, as many True as False within one, shuffled."""
    first = bool(rng.integers(2))
    sides = [first if n % 2 == 0 else not first for n in range(count)]
    return [sides[n] for n in rng.permutation(count)]


def _alternating(draws: Sequence[_Draw]) -> list[_Draw]:
    """Return the draws with their sides taking turns, as long as both last."""
    by_side = {side: [d for d in draws if d.is_candidate_left is side] for side in (True, False)}
    ranked = [(n, draw) for side in by_side.values() for n, draw in enumerate(side)]
    return [draw for _, draw in sorted(ranked, key=lambda one: one[0])]


def _catches(
    pairs: Sequence[Pair], count: int, own: Counter[Any], rng: np.random.Generator
) -> list[_Draw]:
    """Return catch pairs, of prompts that the rater does not see otherwise where there are any."""
    left = [pairs[n] for n in rng.permutation(len(pairs))]
    found = []
    for side in _sides(count, rng):
        pair = min(left, key=lambda one: own[one.prompt_id])
        own.update([pair.prompt_id])
        arms = ("baseline", pair.candidate_id)
        found.append(_Draw(TrialKind.CATCH, pair, side, arms[int(rng.integers(2))]))
    return found


# --- what the rater gets -------------------------------------------------------------------------


def _pack(panel_id: str, number: int, draws: Sequence[_Draw], request: PanelRequest) -> Pack:
    ids = [short_id(["trial", panel_id, number, place]) for place in range(len(draws))]
    compared = {
        draw.pair: trial_id
        for draw, trial_id in zip(draws, ids, strict=True)
        if draw.kind is TrialKind.COMPARISON
    }
    trials: list[Trial] = []
    clips: list[ClipTrial] = []
    for draw, trial_id in zip(draws, ids, strict=True):
        repeats = compared[draw.pair] if draw.kind is TrialKind.REPEAT else None
        if request.form is Form.CLIPS:
            clips.append(_clip_trial(draw, trial_id, repeats))
        else:
            trials.append(_trial(draw, trial_id, repeats, request.baseline_id))
    return Pack(
        pack_id=short_id(["pack", panel_id, number]),
        pseudonym=f"{panel_id[:4]}-{number + 1:02}",
        trials=tuple(trials),
        clips=tuple(clips),
    )


def _trial(draw: _Draw, trial_id: str, repeats: str | None, baseline_id: str) -> Trial:
    left, right = _shown(draw, baseline_id)
    return Trial(
        trial_id=trial_id,
        kind=draw.kind,
        prompt_id=draw.pair.prompt_id,
        replicate=draw.pair.replicate,
        candidate_id=draw.pair.candidate_id,
        left=left,
        right=right,
        repeats=repeats,
    )


def _clip_trial(draw: _Draw, trial_id: str, repeats: str | None) -> ClipTrial:
    pair, is_counted = draw.pair, draw.kind is TrialKind.COMPARISON
    return ClipTrial(
        trial_id=trial_id,
        kind=TrialKind.JUDGEMENT if is_counted else draw.kind,
        prompt_id=pair.prompt_id,
        replicate=pair.replicate,
        shown=ShownClip(
            arm_id=pair.candidate_id,
            clip_id=pair.candidate_clip,
            damaged=draw.kind is TrialKind.CATCH,
        ),
        repeats=repeats,
    )


def _shown(draw: _Draw, baseline_id: str) -> tuple[ShownClip, ShownClip]:
    """Return what stands left and right."""
    pair = draw.pair
    baseline = ShownClip(arm_id=baseline_id, clip_id=pair.baseline_clip, damaged=False)
    candidate = ShownClip(arm_id=pair.candidate_id, clip_id=pair.candidate_clip, damaged=False)
    if draw.kind is TrialKind.CATCH:
        whole = candidate if draw.damaged_arm_id == pair.candidate_id else baseline
        candidate, baseline = whole, whole.model_copy(update={"damaged": True})
    return (candidate, baseline) if draw.is_candidate_left else (baseline, candidate)
