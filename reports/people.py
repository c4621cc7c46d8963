"""What people said of the clips, in words: one sentence, every question, and who they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from poc.records import Arm
from poc.vote_intervals import FEWEST_PROMPTS, FEWEST_RATERS
from poc.vote_records import (
    ArmVotes,
    CandidateVotes,
    Minutes,
    OfHundred,
    Preference,
    Question,
    QuestionResult,
    RaterResult,
    Reliability,
    Share,
    VerdictLikeness,
    VotesOfRun,
    VoteStatus,
)
from reports import text as words
from reports.load import RunView
from reports.model import Cell, ClipsDetail, KeyNumber, Line, PeopleDetail, RaterRow, VoteRow
from reports.text import Text


def votes_on(view: RunView, arm: Arm) -> CandidateVotes | None:
    """Return what people said of an arm; None where nobody has judged it."""
    found = view.votes.summary.candidates if view.votes else ()
    votes = next((one for one in found if one.candidate_id == arm.id), None)
    return votes if votes is not None and votes.kept.n_votes + votes.everyone.n_votes else None


def clips_of(view: RunView, arm: Arm) -> ArmVotes | None:
    """Return what people said of an arm's clips one by one; None where nobody judged any."""
    found = view.votes.summary.arms if view.votes else ()
    votes = next((one for one in found if one.arm_id == arm.id), None)
    return votes if votes is not None and votes.everyone.n_votes else None


def key_number(view: RunView, text: Text, focus: Arm, program: str) -> KeyNumber:
    """Return people's preference as the first number; `program`: what the program measured."""
    votes, clips = votes_on(view, focus), clips_of(view, focus)
    told = (*_lines(view, text, votes, clips), *_clip_lines(text, clips), program)
    lines = tuple(line for line in told if line)
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
    value = text("people.value", n=of_hundred.value)
    return Cell(value, _ends(text, of_hundred), _who(text, found))


def _who(text: Text, found: Preference) -> str:
    counts = {"votes": found.n_votes, "raters": found.n_raters, "prompts": found.n_prompts}
    return text("people.n", **counts)


def _caution(text: Text, status: VoteStatus) -> str:
    if status is VoteStatus.SUFFICIENT:
        return ""
    return text("people.insufficient", raters=FEWEST_RATERS, prompts=FEWEST_PROMPTS)


def _ends(text: Text, found: OfHundred) -> str:
    if found.low is None or found.high is None:
        return text("number.no_interval")
    return text("number.interval", low=found.low, high=found.high)


def _lines(
    view: RunView, text: Text, votes: CandidateVotes | None, clips: ArmVotes | None
) -> Iterator[str]:
    if votes is None:
        if clips is None or view.votes_open:
            yield text("people.show" if view.votes_open else "people.how")
        return
    yield sentence(view, text, votes)
    yield _caution(text, votes.status)


def _clip_lines(text: Text, clips: ArmVotes | None) -> Iterator[str]:
    if clips is None:
        return
    yield clip_sentence(text, clips)
    yield _caution(text, clips.status)


def clip_sentence(text: Text, clips: ArmVotes) -> str:
    """Return the sentence for an executive: of 100 clips, and how long a review takes."""
    found, review = clips.kept.acceptance.of_hundred(), clips.kept.review_min
    if found is None or review.value is None:
        return text("clips.all_left_out")
    if found.low is None or found.high is None:
        return text("clips.said.open", n=found.value)
    return text("clips.said", n=found.value, low=found.low, high=found.high,
                minutes=_minutes(text, review))  # fmt: skip


def _minutes(text: Text, one: Minutes) -> str:
    if one.value is None:
        return text("number.none")
    value = text("clips.minutes", value=f"{one.value:.2f}")
    if one.low is None or one.high is None:
        return text("clips.with", value=value, interval=text("number.no_interval"))
    ends = text("number.interval", low=f"{one.low:.2f}", high=f"{one.high:.2f}")
    return text("clips.with", value=value, interval=ends)


def sentence(view: RunView, text: Text, votes: CandidateVotes | None) -> str:
    """Return the sentence for an executive: of 100 blind comparisons, or that there are none."""
    if votes is None:
        return text(_key_of_none(view))
    found = votes.kept.of(Question.OVERALL).not_worse.of_hundred()
    if found is None:
        return text("people.all_left_out")
    if found.low is None or found.high is None:
        return text("people.said.open", n=found.value)
    return text("people.said", n=found.value, low=found.low, high=found.high)


def _key_of_none(view: RunView) -> str:
    """Return the key of what is said where nobody compared: some may have done other things."""
    if view.votes_open:
        return "people.open"
    if view.votes is None:
        return "people.none"
    if any(one.kept.n_votes for one in view.votes.summary.candidates):
        return "people.other"
    judged = any(one.everyone.n_votes for one in view.votes.summary.arms)
    return "people.only_clips" if judged else "people.none"


def packs(view: RunView, text: Text) -> str:
    """Return how many packs there are and came back; "" where no answer was summed up."""
    if view.votes is None:
        return ""
    found = view.votes.summary
    counts = {"packs": found.packs, "back": found.packs_answered, "part": found.packs_incomplete}
    return text("people.packs", **counts)


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


def clips_detail(view: RunView, text: Text) -> tuple[ClipsDetail, ...]:
    """Return every arm whose clips were judged one by one, with who judged them."""
    if view.votes is None:
        return ()
    summary = view.votes.summary
    return tuple(
        ClipsDetail(
            title=text("clips.title", arm=words.arm_name(text, view.arm(one.arm_id))),
            said=clip_sentence(text, one),
            caution=_caution(text, one.status),
            needed=text("people.needed", n=one.votes_needed) if one.votes_needed else "",
            lines=tuple(_of_clips(text, one, summary.verdicts)),
            raters=_raters(text, summary.raters_of_clips, "clips.caught"),
        )
        for one in summary.arms
        if one.everyone.n_votes
    )


def acceptance_rows(view: RunView, text: Text) -> Iterator[dict[str, object]]:
    """Yield the answers to single clips: a row for each answer of each arm that was judged.

    A row covers `start` to `end` of the arm's answers; `low` to `high` is the interval of `end`,
    None for the last answer, which ends at all of them. Raters that are left out are left out.
    """
    for one in view.votes.summary.arms if view.votes else ():
        found = one.kept
        if found.acceptance.value is None or found.with_retouch.value is None:
            continue
        counts = {"votes": found.n_votes, "clips": found.n_clips, "raters": found.n_raters}
        minutes = text("clips.minutes.row", minutes=_minutes(text, found.review_min))
        common = {
            "arm": words.arm_name(text, view.arm(one.arm_id)),
            "n": found.n_votes,
            "note": f"{text('clips.votes', **counts)}\n{minutes}",
        }
        start = 0.0
        for name, count, share in (
            ("yes", found.yes, found.acceptance),
            ("retouch", found.retouch, found.with_retouch),
            ("no", found.no, None),
        ):
            part = text(f"clips.part.{name}")
            cell = _share(text, share) if share else Cell("", "", "")
            end = 1.0 if share is None or share.value is None else share.value
            yield common | {
                "answer": part, "count": count, "label": text("clips.part.n", n=count, part=part),
                "start": start, "end": end,
                "low": share.low if share else None, "high": share.high if share else None,
                "shown": cell.value, "interval": cell.interval,
            }  # fmt: skip
            start = end


def no_clips(view: RunView, text: Text) -> tuple[str, ...]:
    """Return what is said where no judgement of a single clip counts; empty where one does."""
    arms = view.votes.summary.arms if view.votes else ()
    if any(one.kept.n_votes for one in arms):
        return ()
    if view.votes_open:
        return text("people.open"), text("people.show")
    if any(one.everyone.n_votes for one in arms):
        return (text("clips.all_left_out"),)
    return text("clips.none"), text("clips.how")


def _of_clips(text: Text, arm: ArmVotes, likeness: VerdictLikeness | None) -> Iterator[Line]:
    found = arm.kept
    for key, share in (("accepted", found.acceptance), ("retouched", found.with_retouch)):
        cell = _share(text, share)
        both = text("clips.with", value=cell.value, interval=cell.interval)
        yield Line(text(f"clips.{key}"), both if cell.interval else cell.value)
    counts = {"yes": found.yes, "retouch": found.retouch, "no": found.no}
    yield Line(text("column.counts"), text("clips.counts", **counts))
    yield Line(text("clips.review"), _minutes(text, found.review_min))
    named = sorted(found.reasons.items(), key=lambda one: -one[1])
    if named:
        reasons = [text("clips.reason", name=text(f"reason.{r}"), n=n) for r, n in named]
        yield Line(text("clips.reasons"), text("list.comma").join(reasons))
    if likeness is not None:
        yield Line(text("column.alpha"), _alpha(text, likeness.alpha))
        same = text("clips.same", same=likeness.repeats_same, of=likeness.repeats)
        yield Line(text("clips.twice"), same)
    yield Line(
        text("clips.who"),
        text("clips.n", votes=found.n_votes, raters=found.n_raters, prompts=found.n_prompts,
             clips=found.n_clips),
    )  # fmt: skip


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
        who=_who(text, candidate.kept),
        caution=_caution(text, candidate.status),
        needed=text("people.needed", n=needed) if needed else "",
        rows=tuple(_row(text, one, likeness[one.question]) for one in candidate.kept.questions),
        raters=_raters(text, votes.summary.raters_of_pairs, "people.caught"),
    )


def _row(text: Text, result: QuestionResult, likeness: Reliability) -> VoteRow:
    return VoteRow(
        question=text(f"question.{result.question}"),
        counts=text("people.counts", wins=result.wins, ties=result.ties, losses=result.losses),
        not_worse=_share(text, result.not_worse),
        preferred=_share(text, result.preferred),
        alpha=_alpha(text, likeness.alpha),
        same=text("people.same", same=likeness.repeats_same, of=likeness.repeats),
    )


def _alpha(text: Text, value: float | None) -> str:
    return text("number.none") if value is None else f"{value:.2f}".replace("-", words.MINUS)


def _share(text: Text, share: Share) -> Cell:
    found = share.of_hundred()
    if found is None:
        return Cell(text("number.none"), "", "", text("people.none"))
    return Cell(text("people.value", n=found.value), _ends(text, found), "")


def _raters(text: Text, raters: Iterable[RaterResult], caught: str) -> tuple[RaterRow, ...]:
    return tuple(_rater(text, one, caught) for one in raters)


def _rater(text: Text, one: RaterResult, caught: str) -> RaterRow:
    return RaterRow(
        name=words.shown(one.rater, 40),
        votes=str(one.votes),
        catches=text(caught, failed=one.catches_failed, of=one.catches),
        standing=text("people.left_out" if one.excluded else "people.counted"),
    )
