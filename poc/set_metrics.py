"""FVD and KVD of whole arms, from the features that the measure stage kept.

Every arm stands against the reference set of its own style. What does not share reference,
protocol and extractor with the baseline is not compared with it, and the estimate says why.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from metrics import frames as frame_protocol
from metrics.base import SetBasis
from poc.measure import (
    VIDEO_EXTRACTOR,
    Judges,
    ReferenceTask,
    has_video,
    ok_clips,
    reference_tasks,
    video_key,
)
from poc.records import Arm, Comparison, Estimate, Plan
from poc.samples import BASELINE

if TYPE_CHECKING:
    from metrics.kvd import Jackknife
    from poc.store import RunStore

Floats = npt.NDArray[np.float64]
Clips = Sequence[tuple[str, int]]
"""Prompt id and replicate of each clip."""

LEVEL = 0.95
_OVER_PROMPTS = "jackknife over prompts, of arm and reference together, skew-corrected"
_OVER_BOTH = (
    "jackknife over prompts and over reference clips, which are taken for independent, "
    "skew-corrected"
)
FLOOR_DRAWS = 200
FLOOR_SEED = 0


@dataclass(frozen=True, slots=True)
class ArmSet:
    """An arm's features (n, d) in plan order, with the prompt and replicate of each row."""

    arm: Arm
    features: Floats
    clips: tuple[tuple[str, int], ...]
    reference: Floats
    reference_prompts: tuple[str, ...] | None
    """Prompt id of each reference clip that is rendered from the prompts of the run; None: clips of
    anybody's, each of which is drawn by itself."""
    planned: int
    basis: SetBasis

    def jackknife_of(self, clips: Clips) -> Jackknife:
        """Return the jackknife of the KVD over these clips only, in their order."""
        from metrics.kvd import kvd_jackknife

        rows = [self.clips.index(clip) for clip in clips]
        shown = self.reference_prompts
        return kvd_jackknife(
            self.features[rows],
            self.reference,
            clusters=np.array([prompt for prompt, _ in clips]),
            reference_clusters=None if shown is None else np.array(shown),
        )

    def jackknifed(
        self, metric: str, comparison: Comparison, jackknife: Jackknife, clips: Clips | None = None
    ) -> Estimate:
        """Return an estimate with the jackknife's interval."""
        interval = jackknife.interval(LEVEL)
        return self.estimate(
            metric,
            comparison,
            value=jackknife.value,
            low=interval.low,
            high=interval.high,
            method=_OVER_PROMPTS if self.reference_prompts is not None else _OVER_BOTH,
            clips=clips,
        )

    def estimate(
        self,
        metric: str,
        comparison: Comparison,
        *,
        value: float | None = None,
        low: float | None = None,
        high: float | None = None,
        method: str = "",
        reason: str = "",
        clips: Clips | None = None,
        notes: tuple[str, ...] = (),
    ) -> Estimate:
        """Return an estimate of this set, or of some of its clips, with its counts filled in."""
        counted = self.clips if clips is None else clips
        reference = f"{self.basis.reference_n} clips of {self.basis.reference.partition('@')[0]}"
        named = self.basis.extractor != VIDEO_EXTRACTOR
        pinned = self.basis.extractor_digest[:16]
        network = (f"extractor {self.basis.extractor} @{pinned}",) if named else ()
        return Estimate(
            arm_id=self.arm.id,
            metric=metric,
            comparison=comparison,
            value=value,
            low=low,
            high=high,
            level=LEVEL,
            method=method,
            n_clips=len(counted),
            n_prompts=len({prompt for prompt, _ in counted}),
            n_missing=self.planned - len(counted),
            reason=reason,
            notes=(*notes, f"against {reference}", *network),
        )


class SetEstimates(NamedTuple):
    """All that is known of whole arms."""

    of_arms: tuple[Estimate, ...]
    """FVD and KVD of every arm, and KVD's paired difference and ratio to the baseline."""
    of_contrasts: tuple[tuple[Estimate, ...], ...]
    """KVD's paired difference for every contrast that asks for it, in the plan's order."""


def set_estimates(store: RunStore, judges: Judges) -> SetEstimates:
    """Return what a run's features say of its arms and contrasts."""
    wanted = sorted({"fvd", "kvd"} & set(store.plan.spec.metrics))
    if not wanted:
        return SetEstimates((), ())
    sets = {arm.id: _arm_set(store, judges, arm) for arm in store.plan.arms}
    return SetEstimates(_of_arms(store, sets, wanted), contrast_differences(store.plan, sets))


def contrast_differences(
    plan: Plan, sets: Mapping[str, ArmSet | None]
) -> tuple[tuple[Estimate, ...], ...]:
    """Return KVD's paired difference for every contrast that asks for it, by arm id's sets."""
    arms = {arm.name: arm for arm in plan.arms}
    found = []
    for contrast in plan.spec.contrasts:
        arm, against = arms[contrast.arm], arms[contrast.against]
        asked = "kvd" in contrast.metrics
        found.append((_contrast(plan, sets, arm, against),) if asked else ())
    return tuple(found)


def _contrast(plan: Plan, sets: Mapping[str, ArmSet | None], arm: Arm, against: Arm) -> Estimate:
    own, other = sets[arm.id], sets[against.id]
    if own is None or other is None:
        planned = _planned(plan, arm)
        missing = arm if own is None else against
        found = _no_set(arm, "kvd", planned)
        reason = f"{missing.name}: {found.reason}"
        return found.model_copy(update={"comparison": Comparison.DIFFERENCE, "reason": reason})
    return _kvd_against(own, other, against.name, Comparison.DIFFERENCE)


def _of_arms(
    store: RunStore, sets: Mapping[str, ArmSet | None], wanted: Sequence[str]
) -> tuple[Estimate, ...]:
    baseline = sets[store.plan.baseline_id]
    estimates: list[Estimate] = []
    for arm in store.plan.arms:
        found = sets[arm.id]
        if found is None:
            planned = _planned(store.plan, arm)
            estimates += [_no_set(arm, name, planned) for name in wanted]
            continue
        if "fvd" in wanted:
            estimates.append(_fvd(found))
        if "kvd" in wanted:
            estimates += _kvd(found, baseline if arm.id != store.plan.baseline_id else None)
    return tuple(estimates)


def _arm_set(store: RunStore, judges: Judges, arm: Arm) -> ArmSet | None:
    """Collect an arm's features in plan order; None below 2 clips."""
    task = reference_tasks(store.plan).get(arm.style)
    if task is None or not has_video(store, task.id, judges):
        return None
    ok = ok_clips(store)
    requests = [
        request
        for batch in store.plan.batches
        if batch.arm_id == arm.id
        for request in batch.clips
        if request.id in ok and has_video(store, request.id, judges)
    ]
    if len(requests) < 2:
        return None
    features = np.stack(
        [store.read_features(request.id)[video_key(judges)] for request in requests]
    )
    reference = store.read_features(task.id)[video_key(judges)]
    return ArmSet(
        arm=arm,
        features=features,
        clips=tuple((request.prompt_id, request.replicate) for request in requests),
        reference=reference,
        reference_prompts=_prompts_shown(store.plan, task, len(reference)),
        planned=_planned(store.plan, arm),
        basis=SetBasis(
            n=len(features),
            reference_n=len(reference),
            dimension=features.shape[1],
            reference=f"{task.reference.name}@{task.id}",
            protocol=frame_protocol.PROTOCOL,
            extractor=judges.video_extractor,
            extractor_digest=judges.video_digest,
        ),
    )


def _prompts_shown(plan: Plan, task: ReferenceTask, count: int) -> tuple[str, ...] | None:
    if task.spec is not None:
        return None
    return tuple(plan.prompts[i % len(plan.prompts)].id for i in range(count))


def changes_between(head: RunStore, base: RunStore, judges: Judges) -> tuple[Estimate, ...]:
    """Return KVD of every arm of `head` against that of `base`, as difference and as ratio."""
    if "kvd" not in {*head.plan.spec.metrics} & {*base.plan.spec.metrics}:
        return ()
    before = {arm.id for arm in base.plan.arms}
    arms = [arm for arm in head.plan.arms if arm.id in before]
    return tuple(one for arm in arms for one in _changes(head, base, judges, arm))


def _changes(head: RunStore, base: RunStore, judges: Judges, arm: Arm) -> list[Estimate]:
    hows = (Comparison.DIFFERENCE, Comparison.RATIO)
    own, other = (_arm_set(store, judges, arm) for store in (head, base))
    if own is not None and other is not None:
        return [_kvd_against(own, other, BASELINE, how) for how in hows]
    reason = "fewer than 2 clips, or no reference set, have features"
    networks = [_networks(store, arm) for store in (base, head)]
    if not any(networks):
        reason = f"not comparable with {BASELINE}: neither has features"
    elif networks[0] != networks[1] and networks[1]:
        names = [" and ".join(sorted(one)) or "none" for one in networks]
        reason = f"not comparable with {BASELINE}: features of {names[0]} -> {names[1]}"
    nothing = _no_set(arm, "kvd", _planned(head.plan, arm))
    return [nothing.model_copy(update={"comparison": how, "reason": reason}) for how in hows]


def _networks(store: RunStore, arm: Arm) -> set[str]:
    """Return the names of the features that an arm's clips have, each naming its network."""
    clips = [clip.id for b in store.plan.batches if b.arm_id == arm.id for clip in b.clips]
    return {
        name for clip in clips if store.has_features(clip) for name in store.read_features(clip)
    }


def _planned(plan: Plan, arm: Arm) -> int:
    return sum(len(batch.clips) for batch in plan.batches if batch.arm_id == arm.id)


def _fvd(found: ArmSet) -> Estimate:
    from metrics.fvd import fvd

    result = fvd(
        found.features, found.reference, basis=found.basis, draws=FLOOR_DRAWS, seed=FLOOR_SEED
    )
    ratio = "" if result.ratio is None else f", ratio {result.ratio:.3g}"
    notes = [f"noise floor {result.floor.mean:.3g} at n = {found.basis.n}{ratio}"]
    notes += ["rank-deficient"] if found.basis.rank_deficient else []
    return found.estimate(
        "fvd",
        Comparison.VALUE,
        value=result.value,
        method="Frechet distance of video features, no interval",
        reason="an interval is given for KVD only; FVD is biased at small n",
        notes=tuple(notes),
    )


def _kvd(found: ArmSet, baseline: ArmSet | None) -> list[Estimate]:
    from metrics.kvd import TooFewError

    try:
        jackknife = found.jackknife_of(found.clips)
    except TooFewError as error:
        return [found.estimate("kvd", Comparison.VALUE, reason=str(error))]
    estimates = [found.jackknifed("kvd", Comparison.VALUE, jackknife)]
    if baseline is not None:
        hows = (Comparison.DIFFERENCE, Comparison.RATIO)
        estimates += [_kvd_against(found, baseline, "the baseline", how) for how in hows]
    return estimates


def _kvd_against(found: ArmSet, other: ArmSet, whose: str, how: Comparison) -> Estimate:
    """Return difference or ratio to another arm over clips that both arms have."""
    from metrics.kvd import NoRatioError, TooFewError

    differs = [text for text in found.basis.differences(other.basis) if not text.startswith("n:")]
    if differs:
        reason = f"not comparable with {whose}: {'; '.join(differs)}"
        return found.estimate("kvd", how, reason=reason)
    both, beside = _paired(found, other)
    try:
        mine, theirs = found.jackknife_of(both), other.jackknife_of(beside)
        compared = mine.over(theirs) if how is Comparison.RATIO else mine.minus(theirs)
    except (TooFewError, NoRatioError) as error:
        return found.estimate("kvd", how, reason=str(error), clips=both)
    return found.jackknifed("kvd", how, compared, both)


def _paired(found: ArmSet, other: ArmSet) -> tuple[Clips, Clips]:
    """Return the clips of both arms that are compared: as many of each prompt, in its order.

    Clips of one prompt and replicate share their seed; those made elsewhere share prompts only.
    """
    if not (found.arm.is_imported or other.arm.is_imported):
        both = sorted(set(found.clips) & set(other.clips))
        return both, both
    own, theirs = ([*sorted(side.clips)] for side in (found, other))
    counts = [Counter(prompt for prompt, _ in side) for side in (own, theirs)]
    shared = counts[0] & counts[1]
    return _first(own, shared), _first(theirs, shared)


def _first(clips: Clips, counts: Mapping[str, int]) -> Clips:
    """Return the first so many clips of each prompt."""
    by_prompt = itertools.groupby(clips, key=lambda clip: clip[0])
    return [clip for prompt, group in by_prompt for clip in [*group][: counts.get(prompt, 0)]]


def _no_set(arm: Arm, metric: str, planned: int) -> Estimate:
    return Estimate(
        arm_id=arm.id,
        metric=metric,
        comparison=Comparison.VALUE,
        value=None,
        low=None,
        high=None,
        level=LEVEL,
        method="",
        n_clips=0,
        n_prompts=0,
        n_missing=planned,
        reason="fewer than 2 clips, or no reference set, have features",
    )
