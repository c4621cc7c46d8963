"""What blind votes say: preferences with intervals, how attentive and how consistent raters were.

Pure: answers and their key in, one frozen summary out. A vote is one comparison by one rater; it
has four questions. Repeats and catch pairs are never votes. Nobody is left out by judgement: the
rule is fixed here, and the numbers with and without it stand side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

from poc.agreement import nominal_alpha
from poc.panel import Panel, Trial, TrialKind
from poc.vote_intervals import FEWEST_PROMPTS, FEWEST_RATERS, share_interval, votes_needed
from poc.vote_records import (
    AnswerFile,
    Answers,
    CandidateVotes,
    Choice,
    Outcome,
    Preference,
    Question,
    QuestionResult,
    RaterResult,
    Reliability,
    Share,
    VoteStatus,
    VoteSummary,
)

MOST_FAILED_CATCHES = 1 / 3
"""A rater who fails more than this share of the answered catch pairs is left out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answered trial with its key; the rater is a normal form of the pseudonym."""

    rater: str
    trial: Trial
    answers: Answers

    @property
    def unit(self) -> tuple[str, str, int]:
        """What was compared: candidate, prompt, replicate."""
        return self.trial.candidate_id, self.trial.prompt_id, self.trial.replicate

    def outcome(self, question: Question) -> Outcome:
        """Return the answer from the candidate's side; of a catch pair, from the whole clip's."""
        choice = self.answers.to(question)
        if choice is Choice.SAME:
            return Outcome.TIE
        chosen = self.trial.left if choice is Choice.LEFT else self.trial.right
        if self.trial.kind is TrialKind.CATCH:
            return Outcome.LOSS if chosen.damaged else Outcome.WIN
        return Outcome.WIN if chosen.arm_id == self.trial.candidate_id else Outcome.LOSS


def rater_name(pseudonym: str) -> str:
    """Return what makes two pseudonyms the same person's: case, width and spaces do not count.

    Two people with one pseudonym are taken for one: that widens intervals and never narrows them.

    >>> rater_name(" Ｓato  A ") == rater_name("sato a")
    True
    """
    return " ".join(normalize("NFKC", pseudonym).casefold().split()) or pseudonym


def analyse(panels: Sequence[Panel], files: Sequence[AnswerFile]) -> VoteSummary:
    """Return what the answers of a run's panels say, all candidates of all panels.

    Raises:
        ValueError: a file of no pack of these panels, or with a trial that its pack has not.
    """
    judged = [one for file in files for one in unblinded(panels, file)]
    raters = tuple(_raters(files, judged))
    excluded = {one.rater for one in raters if one.excluded}
    unchecked = {one.rater for one in raters if one.catches == 0}
    kept = [one for one in judged if one.rater not in excluded]
    candidates = dict.fromkeys(one for panel in panels for one in panel.request.candidate_ids)
    return VoteSummary(
        format_version=1,
        packs=sum(len(panel.packs) for panel in panels),
        packs_answered=len(files),
        packs_incomplete=sum(_unanswered(file) > 0 for file in files),
        candidates=tuple(_candidate(one, kept, judged, unchecked) for one in candidates),
        raters=raters,
        reliability=tuple(_reliability(question, kept) for question in Question),
    )


def unblinded(panels: Iterable[Panel], file: AnswerFile) -> Iterator[Judged]:
    """Yield each answered trial of a file with its key; raises ValueError as `analyse` does."""
    packs = {pack.pack_id: pack for panel in panels for pack in panel.packs}
    if file.pack_id not in packs:
        raise ValueError(f"pack {file.pack_id} belongs to no panel of this run")
    trials = {trial.trial_id: trial for trial in packs[file.pack_id].trials}
    for one in file.trials:
        if one.trial_id not in trials:
            raise ValueError(f"pack {file.pack_id} has no trial {one.trial_id}")
        if one.answers is not None:
            yield Judged(rater_name(file.rater), trials[one.trial_id], one.answers)


# --- raters --------------------------------------------------------------------------------------


def is_excluded(catches: int, failed: int) -> bool:
    """Return whether the rule leaves a rater out: at least one failed, and more than a third.

    Fixed before any vote. Who answered no catch pair is not left out: nothing is known.

    >>> is_excluded(3, 1), is_excluded(2, 1), is_excluded(0, 0)
    (False, True, False)
    """
    return failed > 0 and failed > MOST_FAILED_CATCHES * catches


def _raters(files: Sequence[AnswerFile], judged: Sequence[Judged]) -> Iterator[RaterResult]:
    for rater in dict.fromkeys(rater_name(file.rater) for file in files):
        own = [file for file in files if rater_name(file.rater) == rater]
        mine = [one for one in judged if one.rater == rater]
        catches = [one for one in mine if one.trial.kind is TrialKind.CATCH]
        failed = sum(one.outcome(Question.OVERALL) is not Outcome.WIN for one in catches)
        yield RaterResult(
            rater=rater,
            packs=len(own),
            votes=sum(one.trial.kind is TrialKind.COMPARISON for one in mine),
            unanswered=sum(_unanswered(file) for file in own),
            catches=len(catches),
            catches_failed=failed,
            excluded=is_excluded(len(catches), failed),
        )


def _unanswered(file: AnswerFile) -> int:
    return sum(one.answers is None for one in file.trials)


# --- preferences ---------------------------------------------------------------------------------


def _candidate(
    candidate_id: str,
    kept: Sequence[Judged],
    everyone: Sequence[Judged],
    unchecked: Collection[str],
) -> CandidateVotes:
    own, all_of_them = (preference(_votes(votes, candidate_id)) for votes in (kept, everyone))
    reason = _shortage(_votes(kept, candidate_id), unchecked)
    return CandidateVotes(
        candidate_id=candidate_id,
        status=VoteStatus.INSUFFICIENT if reason else VoteStatus.SUFFICIENT,
        reason=reason,
        kept=own,
        everyone=all_of_them,
        votes_needed=_needed(own),
    )


def _votes(judged: Iterable[Judged], candidate_id: str) -> list[Judged]:
    """Return the comparisons of a candidate: no repeats, which would count one vote twice."""
    return [
        one
        for one in judged
        if one.trial.kind is TrialKind.COMPARISON and one.trial.candidate_id == candidate_id
    ]


def _shortage(votes: Iterable[Judged], unchecked: Collection[str]) -> str:
    """Return what is missing: who answered no catch pair may not have looked, and does not count.

    Their votes stay in the numbers: nothing is known against them either.
    """
    votes = list(votes)
    checked = [one for one in votes if one.rater not in unchecked]
    raters = max(0, FEWEST_RATERS - len({one.rater for one in checked}))
    prompts = max(0, FEWEST_PROMPTS - len({one.trial.prompt_id for one in checked}))
    wanted = [f"{n} more {what}" for n, what in ((raters, "raters"), (prompts, "prompts")) if n]
    if not wanted:
        return ""
    least = f"at least {FEWEST_RATERS} raters and {FEWEST_PROMPTS} prompts"
    names = ", ".join(sorted({one.rater for one in votes} & set(unchecked)))
    apart = f"; not counted, no catch pair answered: {names}" if names else ""
    return f"needs {' and '.join(wanted)}: {least}{apart}"


def _needed(found: Preference) -> int | None:
    share = found.of(Question.OVERALL).not_worse
    if share.low is None or share.high is None:
        return None
    return votes_needed(found.n_votes, (share.high - share.low) / 2)


def preference(votes: Sequence[Judged]) -> Preference:
    """Return how often the candidate of these comparisons wins, ties and loses, per question."""
    return Preference(
        n_votes=len(votes),
        n_raters=len({one.rater for one in votes}),
        n_prompts=len({one.trial.prompt_id for one in votes}),
        questions=tuple(_question(question, votes) for question in Question),
    )


def _question(question: Question, votes: Sequence[Judged]) -> QuestionResult:
    outcomes = [one.outcome(question) for one in votes]
    return QuestionResult(
        question=question,
        wins=outcomes.count(Outcome.WIN),
        ties=outcomes.count(Outcome.TIE),
        losses=outcomes.count(Outcome.LOSS),
        not_worse=_share(votes, outcomes, {Outcome.WIN: 1.0, Outcome.TIE: 1.0, Outcome.LOSS: 0.0}),
        preferred=_share(votes, outcomes, {Outcome.WIN: 1.0, Outcome.TIE: 0.5, Outcome.LOSS: 0.0}),
    )


def _share(
    votes: Sequence[Judged], outcomes: Sequence[Outcome], worth: Mapping[Outcome, float]
) -> Share:
    if not votes:
        return Share(value=None, low=None, high=None, method="", reason="no votes yet")
    values = np.array([worth[one] for one in outcomes])
    # Sorted names, not the order in which files came: the same votes give the same interval.
    raters = np.unique([one.rater for one in votes], return_inverse=True)[1]
    prompts = np.unique([one.trial.prompt_id for one in votes], return_inverse=True)[1]
    found = share_interval(raters, prompts, values)
    return Share(
        value=float(values.mean()),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        method="" if found is None else found.method,
        reason="an interval needs two raters and two prompts" if found is None else "",
    )


# --- agreement and consistency -------------------------------------------------------------------


def _reliability(question: Question, judged: Sequence[Judged]) -> Reliability:
    units: dict[tuple[str, str, int], dict[str, Outcome]] = {}
    first = {one.trial.trial_id: one for one in judged}
    repeats = [(first[key], one) for one in judged if (key := one.trial.repeats) in first and key]
    for one in judged:
        if one.trial.kind is TrialKind.COMPARISON:
            # One value per rater: a pair that came again in another panel is no second rater.
            units.setdefault(one.unit, {}).setdefault(one.rater, one.outcome(question))
    found = nominal_alpha([tuple(values.values()) for values in units.values()])
    return Reliability(
        question=question,
        alpha=found.alpha,
        n_units=found.n_units,
        reason=found.reason,
        repeats=len(repeats),
        repeats_same=sum(a.outcome(question) is b.outcome(question) for a, b in repeats),
    )
