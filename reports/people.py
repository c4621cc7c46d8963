"""What people said of the clips, in words: one sentence, every question, and who they were."""

from __future__ import annotations

from collections.abc import Iterator

from poc.records import Arm
from poc.vote_intervals import FEWEST_PROMPTS, FEWEST_RATERS
from poc.vote_records import (
    CandidateVotes,
    OfHundred,
    Question,
    QuestionResult,
    RaterResult,
    Reliability,
    Share,
    VotesOfRun,
    VoteStatus,
)
from reports import text as words
from reports.load import RunView
from reports.model import Cell, KeyNumber, PeopleDetail, RaterRow, VoteRow
from reports.text import Text


def votes_on(view: RunView, arm: Arm) -> CandidateVotes | None:
    """Return what people said of an arm; None where nobody has judged it."""
    found = view.votes.summary.candidates if view.votes else ()
    votes = next((one for one in found if one.candidate_id == arm.id), None)
    return votes if votes is not None and votes.kept.n_votes + votes.everyone.n_votes else None


def key_number(view: RunView, text: Text, focus: Arm, program: str) -> KeyNumber:
    """Return people's preference as the first number; `program`: what the program measured."""
    votes = votes_on(view, focus)
    lines = tuple(line for line in (*_lines(view, text, votes), program) if line)
    return KeyNumber(
        label=text("people.label"),
        help=text("people.help", baseline=words.arm_name(text, view.baseline)),
        cell=_cell(text, votes) if votes else _nobody(view, text),
        lines=lines,
    )


def _nobody(view: RunView, text: Text) -> Cell:
    return Cell(text("number.none"), "", "", sentence(view, text, None))


def _cell(text: Text, votes: CandidateVotes) -> Cell:
    found, share = votes.kept, votes.kept.of(Question.OVERALL).not_worse
    of_hundred = share.of_hundred()
    if of_hundred is None:
        return Cell(text("number.none"), "", "", text("people.all_left_out"))
    counts = {"votes": found.n_votes, "raters": found.n_raters, "prompts": found.n_prompts}
    value = text("people.value", n=of_hundred.value)
    return Cell(value, _ends(text, of_hundred), text("people.n", **counts))


def _ends(text: Text, found: OfHundred) -> str:
    if found.low is None or found.high is None:
        return text("number.no_interval")
    return text("number.interval", low=found.low, high=found.high)


def _lines(view: RunView, text: Text, votes: CandidateVotes | None) -> Iterator[str]:
    if votes is None:
        yield text("people.show" if view.votes_open else "people.how")
        return
    yield sentence(view, text, votes)
    if votes.status is VoteStatus.INSUFFICIENT:
        yield text("people.insufficient", raters=FEWEST_RATERS, prompts=FEWEST_PROMPTS)


def sentence(view: RunView, text: Text, votes: CandidateVotes | None) -> str:
    """Return the sentence for an executive: of 100 blind comparisons, or that there are none."""
    if votes is None:
        others = view.votes is not None and any(
            one.kept.n_votes for one in view.votes.summary.candidates
        )
        key = "people.open" if view.votes_open else "people.other" if others else "people.none"
        return text(key)
    found = votes.kept.of(Question.OVERALL).not_worse.of_hundred()
    if found is None:
        return text("people.all_left_out")
    if found.low is None or found.high is None:
        return text("people.said.open", n=found.value)
    return text("people.said", n=found.value, low=found.low, high=found.high)


# --- in detail -----------------------------------------------------------------------------------


def detail(view: RunView, text: Text) -> tuple[PeopleDetail, ...]:
    """Return every judged arm's votes, question by question, with who gave them."""
    if view.votes is None:
        return ()
    return tuple(
        _detail(view, text, view.votes, one)
        for one in view.votes.summary.candidates
        if one.everyone.n_votes
    )


def _detail(
    view: RunView, text: Text, votes: VotesOfRun, candidate: CandidateVotes
) -> PeopleDetail:
    arm, baseline = view.arm(candidate.candidate_id), view.arm(votes.baseline_id)
    pair = {"arm": words.arm_name(text, arm), "against": words.arm_name(text, baseline)}
    likeness = {one.question: one for one in votes.summary.reliability}
    needed = candidate.votes_needed
    return PeopleDetail(
        pair=text("contrast.pair", **pair),
        said=sentence(view, text, candidate),
        needed=text("people.needed", n=needed) if needed else "",
        rows=tuple(_row(text, one, likeness[one.question]) for one in candidate.kept.questions),
        raters=tuple(_rater(text, one) for one in votes.summary.raters),
    )


def _row(text: Text, result: QuestionResult, likeness: Reliability) -> VoteRow:
    alpha = text("number.none") if likeness.alpha is None else f"{likeness.alpha:.2f}"
    return VoteRow(
        question=text(f"question.{result.question}"),
        counts=text("people.counts", wins=result.wins, ties=result.ties, losses=result.losses),
        not_worse=_share(text, result.not_worse),
        preferred=_share(text, result.preferred),
        alpha=alpha,
        same=text("people.same", same=likeness.repeats_same, of=likeness.repeats),
    )


def _share(text: Text, share: Share) -> Cell:
    found = share.of_hundred()
    if found is None:
        return Cell(text("number.none"), "", "", text("people.none"))
    return Cell(text("people.value", n=found.value), _ends(text, found), "")


def _rater(text: Text, one: RaterResult) -> RaterRow:
    return RaterRow(
        name=words.shown(one.rater, 40),
        votes=str(one.votes),
        catches=text("people.caught", failed=one.catches_failed, of=one.catches),
        standing=text("people.left_out" if one.excluded else "people.counted"),
    )
