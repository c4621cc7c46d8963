"""Metrics that say the opposite of what people said: named, since one of both is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from metrics.catalog import CATALOG, Direction
from poc.records import Comparison, Estimate, Estimates
from poc.vote_records import CandidateVotes, Question, QuestionResult, VotesOfRun, VoteStatus

ASKS: Final[Mapping[str, Question]] = {
    **dict.fromkeys(("clip_score", "clip_logit"), Question.AS_ASKED),
    **dict.fromkeys(("oracle_all", "oracle_shape", "oracle_colour"), Question.AS_ASKED),
    **dict.fromkeys(("oracle_background", "oracle_texture", "oracle_style"), Question.AS_ASKED),
    **dict.fromkeys(("clip_frame_consistency", "flicker", "luminance_jump"), Question.MOTION),
    **dict.fromkeys(("flashes", "motion_smoothness", "warping_error"), Question.MOTION),
    "oracle_motion": Question.MOTION,
    **dict.fromkeys(("kvd", "style_similarity", "subject_similarity"), Question.OVERALL),
}
"""What people were asked that a quality metric speaks of. Speed and memory, which nobody sees in a
clip, and likeness to the baseline, which is no quality, are not among them."""

_NO_CHANGE: Final = {Comparison.DIFFERENCE: 0.0, Comparison.RATIO: 1.0}


class Contradiction(NamedTuple):
    """A metric whose whole interval lies on one side of the baseline, and votes on the other."""

    arm_id: str
    metric: str
    question: Question
    metric_better: bool
    """What the metric says of the arm; people say the opposite."""


def contradictions(estimates: Estimates, votes: VotesOfRun | None) -> tuple[Contradiction, ...]:
    """Return every metric that contradicts the votes on an arm, arms in the order of the run.

    Both must be shown: a 95 % interval of the change beyond no change, and one of the share that
    preferred the arm (half of the ties counted) beyond one half. Votes that are too few to lean on
    contradict nothing, nor does a metric without a better side.
    """
    judged = {one.candidate_id: one for one in votes.summary.candidates} if votes else {}
    return tuple(
        found
        for summary in estimates.arms
        if (people := judged.get(summary.arm.id)) is not None
        for found in _of_arm(summary.estimates, people)
    )


def _of_arm(estimates: tuple[Estimate, ...], people: CandidateVotes) -> Iterator[Contradiction]:
    if people.status is not VoteStatus.SUFFICIENT:
        return
    seen = set[str]()
    for one in estimates:
        question = ASKS.get(one.metric)
        if question is None or one.metric in seen:
            continue
        says, said = _better(one), preferred(people.kept.of(question))
        if says is not None and said is not None and says != said:
            seen.add(one.metric)
            yield Contradiction(people.candidate_id, one.metric, question, says)


def _better(one: Estimate) -> bool | None:
    """Tell whether an estimate shows the arm better or worse; None where it shows neither."""
    info, line = CATALOG.get(one.metric), _NO_CHANGE.get(one.comparison)
    if info is None or line is None or one.low is None or one.high is None:
        return None
    if info.direction not in {Direction.HIGHER, Direction.LOWER} or one.low <= line <= one.high:
        return None
    return (one.low > line) is (info.direction is Direction.HIGHER)


def preferred(result: QuestionResult) -> bool | None:
    """Tell whether people are shown to prefer the arm, or the baseline; None: neither."""
    share = result.preferred
    if share.low is None or share.high is None or share.low <= 0.5 <= share.high:
        return None
    return share.low > 0.5
