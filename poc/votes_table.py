"""What blind votes say, as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from poc.gate_report import shown
from poc.panel import Form
from poc.rating_import import RunVotes
from poc.vote_records import (
    ArmVotes,
    CandidateVotes,
    ClipVotes,
    Minutes,
    Preference,
    Question,
    QuestionResult,
    RaterResult,
    Reliability,
    Share,
    VerdictLikeness,
    VoteStatus,
    VoteSummary,
)

_WORDS = {
    Question.MOTION: "motion",
    Question.PICTURE: "picture",
    Question.AS_ASKED: "as asked",
    Question.OVERALL: "overall",
}
DEMONSTRATION = "demonstration: clips of a tiny world; it says nothing of the real models"


def sentence(candidate: CandidateVotes) -> str:
    """Return what an executive reads of a candidate; the interval is rounded outwards."""
    share = candidate.kept.of(Question.OVERALL).not_worse
    found = share.of_hundred()
    if found is None:
        return f"of 100 blind comparisons: nothing yet ({share.reason})"
    said = f"of 100 blind comparisons, preferred or no difference in {found.value}"
    if found.low is None or found.high is None:
        return f"{said} (no interval: {share.reason})"
    return f"{said} ({found.low} to {found.high})"


def clip_sentence(arm: ArmVotes) -> str:
    """Return what an executive reads of an arm's clips; the interval is rounded outwards."""
    found = arm.kept.acceptance.of_hundred()
    if found is None:
        return f"of 100 clips judged one by one: nothing yet ({arm.kept.acceptance.reason})"
    said = f"of 100 clips judged one by one, {found.value} would be published as they are"
    if found.low is None or found.high is None:
        return f"{said} (no interval: {arm.kept.acceptance.reason})"
    return f"{said} ({found.low} to {found.high})"


def votes_text(votes: RunVotes) -> str:
    """Return the whole analysis; the last lines are the sentence of each candidate."""
    summary = votes.summary
    lines = [DEMONSTRATION, ""] if votes.demonstration else []
    lines.append(
        f"packs: {summary.packs_answered} of {summary.packs} answered, "
        f"{summary.packs_incomplete} of them incomplete"
    )
    for one in summary.candidates:
        lines += ["", *_candidate_lines(one, votes)]
    for arm in summary.arms:
        lines += ["", *_arm_lines(arm, votes)]
    lines += ["", *_rater_lines(summary)]
    if summary.candidates:
        lines += ["", *_reliability_lines(summary.reliability)]
    if summary.verdicts is not None:
        lines += ["", *_likeness_lines(summary.verdicts)]
    lines += [""]
    lines += [f"{_name(one, votes)}: {sentence(one)}{_warning(one)}" for one in summary.candidates]
    lines += [
        f"{_arm(one.arm_id, votes)}: {clip_sentence(one)}{_warning(one)}" for one in summary.arms
    ]
    return "\n".join(lines)


def votes_json(votes: RunVotes) -> dict[str, Any]:
    """Return the machine-readable form, with the sentence of each candidate by its name."""
    return {
        "demonstration": votes.demonstration,
        "baseline": votes.baseline,
        "sentences": {
            votes.arm_names.get(one.candidate_id, one.candidate_id): sentence(one)
            for one in votes.summary.candidates
        },
        "clip_sentences": {
            votes.arm_names.get(one.arm_id, one.arm_id): clip_sentence(one)
            for one in votes.summary.arms
        },
        "votes": votes.summary.model_dump(mode="json"),
    }


def _name(one: CandidateVotes, votes: RunVotes) -> str:
    return _arm(one.candidate_id, votes)


def _arm(arm_id: str, votes: RunVotes) -> str:
    return shown(votes.arm_names.get(arm_id, arm_id))


def _warning(one: CandidateVotes | ArmVotes) -> str:
    return "" if one.status is VoteStatus.SUFFICIENT else f"; {one.status}: {one.reason}"


def _candidate_lines(one: CandidateVotes, votes: RunVotes) -> Iterator[str]:
    yield f"{_name(one, votes)} against {shown(votes.baseline)}: {one.status}"
    if one.reason:
        yield f"  {one.reason}"
    yield f"  {_counts(one.kept)}"
    head = f"{'':10}{'wins':>6}{'ties':>6}{'losses':>8}"
    yield f"  {head}  {'preferred or no difference':<28}preferred, half the ties"
    for result in one.kept.questions:
        yield f"  {_question(result)}"
    if one.everyone != one.kept:
        yield f"  with excluded raters: {_counts(one.everyone)}"
        yield f"  {_question(one.everyone.of(Question.OVERALL))}"
    if one.votes_needed is not None:
        yield f"  votes still needed for +-10 points: {one.votes_needed}, in the same proportion"
        yield "  of raters and prompts"


def _counts(found: Preference) -> str:
    return f"votes: {found.n_votes}, raters: {found.n_raters}, prompts: {found.n_prompts}"


def _question(result: QuestionResult) -> str:
    counts = f"{_WORDS[result.question]:<10}{result.wins:>6}{result.ties:>6}{result.losses:>8}"
    return f"{counts}  {_share(result.not_worse):<28}{_share(result.preferred)}"


def _share(share: Share) -> str:
    if share.value is None:
        return "-"
    value = f"{100 * share.value:.1f} %"
    if share.low is None or share.high is None:
        return value
    return f"{value} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _arm_lines(one: ArmVotes, votes: RunVotes) -> Iterator[str]:
    yield f"{_arm(one.arm_id, votes)}, clip by clip, would we publish this?: {one.status}"
    if one.reason:
        yield f"  {one.reason}"
    yield from (f"  {line}" for line in _clip_lines(one.kept))
    if one.everyone != one.kept:
        yield "  with excluded raters:"
        yield from (f"    {line}" for line in _clip_lines(one.everyone))
    if one.votes_needed is not None:
        yield f"  votes still needed for +-10 points: {one.votes_needed}, in the same proportion"
        yield "  of raters and prompts"


def _clip_lines(found: ClipVotes) -> Iterator[str]:
    counts = f"votes: {found.n_votes}, raters: {found.n_raters}, prompts: {found.n_prompts}"
    yield f"{counts}, clips: {found.n_clips}"
    yield f"yes {found.yes}, after retouch {found.retouch}, no {found.no}"
    yield f"accepted as they are {_share(found.acceptance)}"
    yield f"accepted as they are or after retouch {_share(found.with_retouch)}"
    yield f"review {_minutes(found.review_min)} a clip"
    if found.reasons:
        ranked = sorted(found.reasons.items(), key=lambda one: -one[1])
        yield "reasons: " + ", ".join(f"{reason} {count}" for reason, count in ranked)


def _minutes(found: Minutes) -> str:
    if found.value is None:
        return "-"
    value = f"{found.value:.2f} min"
    if found.low is None or found.high is None:
        return value
    return f"{value} [{found.low:.2f}, {found.high:.2f}]"


def _likeness_lines(one: VerdictLikeness) -> Iterator[str]:
    alpha = f"none: {one.reason}" if one.alpha is None else f"{one.alpha:.2f}"
    same = f"same verdict on {one.repeats_same} of {one.repeats} repeated clips"
    yield "agreement on single clips (Krippendorff's alpha, nominal), and with themselves"
    yield f"  alpha {alpha} over {one.n_units} clips; {same}"


def _rater_lines(summary: VoteSummary) -> Iterator[str]:
    yield from _raters_of(Form.PAIRS, summary.raters_of_pairs)
    yield from _raters_of(Form.CLIPS, summary.raters_of_clips)


def _raters_of(form: Form, raters: tuple[RaterResult, ...]) -> Iterator[str]:
    if not raters:
        return
    out, unchecked = sum(one.excluded for one in raters), sum(one.catches == 0 for one in raters)
    catch = "catch pair" if form is Form.PAIRS else "catch clip"
    yield (
        f"raters of {form}: {len(raters)}, {out} excluded (failed more than a third of the "
        f"{catch}s), {unchecked} without an answered {catch}"
    )
    for one in raters:
        yield f"  {shown(one.rater, 40):<24} {_rater(one)}"


def _rater(one: RaterResult) -> str:
    caught = f"catch {one.form} failed: {one.catches_failed} of {one.catches}"
    parts = [f"{one.votes} votes", caught]
    parts += [f"{one.unanswered} trials unanswered"] if one.unanswered else []
    parts += ["EXCLUDED"] if one.excluded else []
    return ", ".join(parts)


def _reliability_lines(found: tuple[Reliability, ...]) -> Iterator[str]:
    yield "agreement between raters (Krippendorff's alpha, nominal), and with themselves"
    for one in found:
        alpha = f"none: {one.reason}" if one.alpha is None else f"{one.alpha:.2f}"
        same = f"same answer to {one.repeats_same} of {one.repeats} repeated pairs"
        yield f"  {_WORDS[one.question]:<10}alpha {alpha} over {one.n_units} pairs; {same}"
