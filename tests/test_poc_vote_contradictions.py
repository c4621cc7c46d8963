"""Metrics that say the opposite of people are named; everything less than shown is not."""

from __future__ import annotations

import pytest
import simulated_runs as sim
from simulated_runs import BASELINE, STUDENT

from poc.decide import decide
from poc.records import Arm, Comparison, Estimates
from poc.vote_contradictions import contradictions
from poc.vote_records import (
    CandidateVotes,
    Preference,
    Question,
    QuestionResult,
    Share,
    VotesOfRun,
    VoteStatus,
    VoteSummary,
)


def simulated(gain: float) -> sim.Run:
    """Return a run whose student gains so much CLIP score over the teacher, give or take 0.2."""

    def score(arm: Arm, prompt: int, _replicate: int) -> float:
        own = gain + 0.2 * sim.noise(arm.id, prompt) if arm.id == STUDENT else 0.0
        return 30 + sim.noise(prompt) + own

    arms = (sim.teacher(), sim.arm(STUDENT))
    return sim.run(sim.plan(arms, prompts=30), {"clip_score": score})


def share(low: float | None, high: float | None) -> Share:
    middle = 0.5 if low is None or high is None else (low + high) / 2
    return Share(value=middle, low=low, high=high, method="given", reason="")


def votes(
    low: float | None,
    high: float | None,
    question: Question = Question.AS_ASKED,
    status: VoteStatus = VoteStatus.SUFFICIENT,
    candidate: str = STUDENT,
) -> VotesOfRun:
    """People's preference in one question; in the others they see no difference."""
    results = tuple(
        QuestionResult(
            question=one,
            wins=1,
            ties=1,
            losses=1,
            not_worse=share(0.4, 0.9),
            preferred=share(low, high) if one is question else share(0.4, 0.6),
        )
        for one in Question
    )
    kept = Preference(n_votes=90, n_raters=6, n_prompts=30, questions=results)
    one = CandidateVotes(
        candidate_id=candidate,
        status=status,
        reason="" if status is VoteStatus.SUFFICIENT else "few",
        kept=kept,
        everyone=kept,
        votes_needed=None,
    )
    summary = VoteSummary(
        format_version=1,
        packs=6,
        packs_answered=6,
        packs_incomplete=0,
        candidates=(one,),
        raters=(),
        reliability=(),
    )
    return VotesOfRun(
        format_version=1,
        kind="procurement",
        plan_digest="0" * 64,
        baseline_id=BASELINE,
        answers={},
        summary=summary,
    )


def estimates(metric: str, low: float, high: float, comparison: Comparison) -> Estimates:
    """The simulated run's estimates with one change of one metric of the student."""
    found = simulated(0.2).evidence().estimates
    (like, *_) = (e for s in found.arms if s.arm.id == STUDENT for e in s.estimates)
    one = like.model_copy(
        update={"metric": metric, "comparison": comparison, "value": (low + high) / 2, "low": low,
                "high": high, "reason": ""}
    )  # fmt: skip
    return found.model_copy(
        update={
            "arms": tuple(
                s.model_copy(update={"estimates": (one,) if s.arm.id == STUDENT else ()})
                for s in found.arms
            )
        }
    )


Change = tuple[str, float, float, Comparison]
D, R, V = Comparison.DIFFERENCE, Comparison.RATIO, Comparison.VALUE
WORSE, BETTER = votes(0.2, 0.45), votes(0.55, 0.8)


@pytest.mark.parametrize(
    ("change", "said", "better"),
    [
        (("clip_score", 0.5, 2.0, D), WORSE, True),
        (("clip_score", -2.0, -0.5, D), BETTER, False),
        (("clip_score", 1.01, 1.2, R), WORSE, True),
        (("kvd", -2.0, -0.5, D), votes(0.2, 0.45, Question.OVERALL), True),
        (("warping_error", 1.1, 1.4, R), votes(0.6, 0.7, Question.MOTION), False),
    ],
)
def test_a_metric_on_the_other_side_of_people_is_named(
    change: Change, said: VotesOfRun, better: bool
) -> None:
    (found,) = contradictions(estimates(*change), said)

    assert (found.arm_id, found.metric, found.metric_better) == (STUDENT, change[0], better)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("clip_score", 0.5, 2.0, D), BETTER),
        (("clip_score", -0.5, 2.0, D), WORSE),
        (("clip_score", 0.0, 2.0, D), WORSE),
        (("clip_score", 0.5, 2.0, D), votes(0.2, 0.5)),
        (("clip_score", 0.5, 2.0, D), votes(None, None)),
        (("clip_score", 0.5, 2.0, D), votes(0.2, 0.45, Question.MOTION)),
        (("clip_score", 0.5, 2.0, D), votes(0.2, 0.45, status=VoteStatus.INSUFFICIENT)),
        (("clip_score", 0.5, 2.0, D), votes(0.2, 0.45, candidate="another")),
        (("clip_score", 80.0, 82.0, V), WORSE),
        (("motion", 0.5, 2.0, D), votes(0.2, 0.45, Question.MOTION)),
        (("latency_p50_s", 0.1, 0.2, R), votes(0.2, 0.45, Question.OVERALL)),
    ],
    ids=[
        "they agree", "metric open", "metric at no change", "votes open", "no interval of votes",
        "another question", "too few votes", "another arm", "no comparison", "no better side",
        "speed is not seen",
    ],
)  # fmt: skip
def test_what_is_not_shown_on_both_sides_is_no_contradiction(
    change: Change, said: VotesOfRun
) -> None:
    assert contradictions(estimates(*change), said) == ()


def test_without_votes_there_is_none() -> None:
    assert contradictions(estimates("clip_score", 0.5, 2.0, D), None) == ()


def test_a_decision_names_it_and_keeps_its_lights() -> None:
    result = simulated(5.0)
    found, draws = result.evidence()
    plain = decide(result.plan, found, result.plan.criteria, draws)
    beside = decide(result.plan, found, result.plan.criteria, draws, votes=WORSE)

    named = {r.text_en for r in beside.reasons} - {r.text_en for r in plain.reasons}

    assert any("Contradiction" in one and "people call it worse (as asked)" in one for one in named)
    assert (beside.decision, beside.technical) == (plain.decision, plain.technical)
    assert len(beside.reasons) - len(plain.reasons) == len(named)
    agreeing = decide(result.plan, found, result.plan.criteria, draws, votes=BETTER)
    assert agreeing == plain
