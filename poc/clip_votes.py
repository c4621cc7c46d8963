"""What judgements of single clips say: how many would be published, and how long a review takes.

Pure. As with pairs, repeats and catch clips are never votes, and the rule that leaves a rater out
is that of `poc.votes`. A clip that needs retouching is not accepted: what retouching costs is not
known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np

from poc.agreement import nominal_alpha
from poc.intervals import FloatArray
from poc.panel import ClipTrial, TrialKind
from poc.vote_intervals import half_width_needed, mean_interval, numbered, share_of, shortage
from poc.vote_records import (
    ArmVotes,
    ClipVotes,
    Judgement,
    Minutes,
    Reason,
    Verdict,
    VerdictLikeness,
    VoteStatus,
)


@dataclass(frozen=True, slots=True)
class Rated:
    """One judged clip with its key; the rater is a normal form of the pseudonym."""

    rater: str
    trial: ClipTrial
    judgement: Judgement
    duration_s: float
    taken_in: date | None
    """Day, as in `AnswerFile`."""

    @property
    def is_vote(self) -> bool:
        """Whether it counts as a judgement of the arm."""
        return self.trial.kind is TrialKind.JUDGEMENT

    @property
    def is_catch(self) -> bool:
        """Whether it is of a damaged copy."""
        return self.trial.kind is TrialKind.CATCH

    @property
    def is_failed_catch(self) -> bool:
        """Whether a copy that stands still in coarse squares was not turned down."""
        return self.is_catch and self.judgement.verdict is not Verdict.NO


def arm_votes(
    arm_id: str, kept: Sequence[Rated], everyone: Sequence[Rated], unchecked: Collection[str]
) -> ArmVotes:
    """Return what raters said of an arm's clips; `unchecked` answered no catch pair or clip."""
    own, all_of_them = (_of_arm(votes, arm_id) for votes in (kept, everyone))
    found = clip_votes(own)
    reason = shortage([(one.rater, one.trial.prompt_id) for one in own], unchecked)
    return ArmVotes(
        arm_id=arm_id,
        status=VoteStatus.INSUFFICIENT if reason else VoteStatus.SUFFICIENT,
        reason=reason,
        kept=found,
        everyone=clip_votes(all_of_them),
        votes_needed=half_width_needed(found.n_votes, found.acceptance),
        latest=_latest(own),
    )


def _latest(votes: Iterable[Rated]) -> date | None:
    """Return the last day; None where there is no vote, or one whose day is not known."""
    days = [one.taken_in for one in votes]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _of_arm(rated: Iterable[Rated], arm_id: str) -> list[Rated]:
    return [one for one in rated if one.is_vote and one.trial.shown.arm_id == arm_id]


def clip_votes(votes: Sequence[Rated]) -> ClipVotes:
    """Return acceptance and review minutes of these judgements."""
    verdicts = [one.judgement.verdict for one in votes]
    raters = [one.rater for one in votes]
    prompts = [one.trial.prompt_id for one in votes]
    named = list(chain.from_iterable(one.judgement.reasons for one in votes))
    yes = np.array([float(one is Verdict.YES) for one in verdicts])
    not_no = np.array([float(one is not Verdict.NO) for one in verdicts])
    return ClipVotes(
        n_votes=len(votes),
        n_raters=len(set(raters)),
        n_prompts=len(set(prompts)),
        n_clips=len({one.trial.shown.clip_id for one in votes}),
        yes=verdicts.count(Verdict.YES),
        retouch=verdicts.count(Verdict.RETOUCH),
        no=verdicts.count(Verdict.NO),
        acceptance=share_of(raters, prompts, yes),
        with_retouch=share_of(raters, prompts, not_no),
        review_min=_minutes(raters, prompts, np.array([one.duration_s / 60 for one in votes])),
        reasons={reason: named.count(reason) for reason in Reason if reason in named},
    )


def _minutes(raters: Sequence[str], prompts: Sequence[str], values: FloatArray) -> Minutes:
    if not values.size:
        return Minutes(value=None, low=None, high=None, method="", reason="no votes yet")
    found = mean_interval(numbered(raters), numbered(prompts), values)
    return Minutes(
        value=float(values.mean()),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        method="" if found is None else found.method,
        reason="an interval needs two raters and two prompts" if found is None else "",
    )


def likeness(kept: Sequence[Rated]) -> VerdictLikeness:
    """Return how alike the verdicts on one clip are, and those of a rater who saw it twice."""
    units: dict[str, dict[str, Verdict]] = {}
    first = {one.trial.trial_id: one.judgement.verdict for one in kept}
    repeats = [
        (first[key], one.judgement.verdict)
        for one in kept
        if (key := one.trial.repeats) is not None and key in first
    ]
    for one in kept:
        if one.is_vote:
            # One value per rater: a clip that came again in another panel is no second rater.
            clip = units.setdefault(one.trial.shown.clip_id, {})
            clip.setdefault(one.rater, one.judgement.verdict)
    found = nominal_alpha([tuple(values.values()) for values in units.values()])
    return VerdictLikeness(
        alpha=found.alpha,
        n_units=found.n_units,
        reason=found.reason,
        repeats=len(repeats),
        repeats_same=sum(once is again for once, again in repeats),
    )
