"""What blind votes say: preferences with intervals, how attentive and how consistent raters were.

Pure: answers and their key in, one frozen summary out. A vote is one comparison by one rater; it
has four questions. Votes on single clips are summed up in `poc.clip_votes`, by the same rules.
Repeats and catch pairs are never votes. Nobody is left out by judgement: the rule is fixed here,
and the numbers with and without it stand side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

from poc.agreement import nominal_alpha
from poc.clip_votes import Rated, arm_votes, likeness
from poc.panel import ClipTrial, Form, Panel, Trial, TrialKind
from poc.vote_intervals import half_width_needed, share_of, shortage
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
    TrialAnswer,
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

    @property
    def is_vote(self) -> bool:
        """Whether it counts as a preference."""
        return self.trial.kind is TrialKind.COMPARISON

    @property
    def is_catch(self) -> bool:
        """Whether it is of a clip and its damaged copy."""
        return self.trial.kind is TrialKind.CATCH

    @property
    def is_failed_catch(self) -> bool:
        """Whether the damaged copy was not told from the whole clip."""
        return self.is_catch and self.outcome(Question.OVERALL) is not Outcome.WIN

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
    form_of = {pack.pack_id: pack.form for panel in panels for pack in panel.packs}
    found = [(file, list(unblinded(panels, file))) for file in files]
    judged = [one for _, said in found for one in said if isinstance(one, Judged)]
    rated = [one for _, said in found for one in said if isinstance(one, Rated)]
    pairs, clips = ([file for file, _ in found if form_of[file.pack_id] is form] for form in Form)
    raters = (*_raters(Form.PAIRS, pairs, judged), *_raters(Form.CLIPS, clips, rated))
    kept = [one for one in judged if one.rater not in _excluded(raters, Form.PAIRS)]
    kept_rated = [one for one in rated if one.rater not in _excluded(raters, Form.CLIPS)]
    no_pair, no_clip = (_unchecked(raters, form) for form in Form)
    candidates, arms = (_asked(panels, form) for form in Form)
    return VoteSummary(
        format_version=1,
        packs=sum(len(panel.packs) for panel in panels),
        packs_answered=len(files),
        packs_incomplete=sum(_unanswered(file) > 0 for file in files),
        candidates=tuple(_candidate(one, kept, judged, no_pair) for one in candidates),
        raters=raters,
        reliability=tuple(_reliability(question, kept) for question in Question),
        arms=tuple(arm_votes(one, kept_rated, rated, no_clip) for one in arms),
        verdicts=likeness(kept_rated) if arms else None,
    )


def _asked(panels: Iterable[Panel], form: Form) -> list[str]:
    """Return the arms that are asked about in a form, each once."""
    asked = [panel.request for panel in panels if panel.request.form is form]
    return list(dict.fromkeys(one for request in asked for one in request.candidate_ids))


def unblinded(panels: Iterable[Panel], file: AnswerFile) -> Iterator[Judged | Rated]:
    """Yield each answered trial of a file with its key; raises ValueError as `analyse` does."""
    packs = {pack.pack_id: pack for panel in panels for pack in panel.packs}
    if file.pack_id not in packs:
        raise ValueError(f"pack {file.pack_id} belongs to no panel of this run")
    tasks = {task.trial_id: task for task in packs[file.pack_id].tasks}
    for one in file.trials:
        if one.trial_id not in tasks:
            raise ValueError(f"pack {file.pack_id} has no trial {one.trial_id}")
        found = _unblinded(file, tasks[one.trial_id], one)
        if found is not None:
            yield found


def _unblinded(
    file: AnswerFile, task: Trial | ClipTrial, said: TrialAnswer
) -> Judged | Rated | None:
    """Return an answer with its key; None where there is none, raises ValueError for no answer."""
    if not said.is_answered:
        return None
    rater = rater_name(file.rater)
    if isinstance(task, Trial) and said.answers is not None:
        return Judged(rater, task, said.answers)
    if isinstance(task, ClipTrial) and said.judgement is not None and said.duration_s is not None:
        return Rated(rater, task, said.judgement, said.duration_s, file.taken_in)
    raise ValueError(f"trial {task.trial_id} is answered as if it were of the other form")


# --- raters --------------------------------------------------------------------------------------


def is_excluded(catches: int, failed: int) -> bool:
    """Return whether the rule leaves a rater out: at least one failed, and more than a third.

    Fixed before any vote. Who answered no catch pair is not left out: nothing is known.

    >>> is_excluded(3, 1), is_excluded(2, 1), is_excluded(0, 0)
    (False, True, False)
    """
    return failed > 0 and failed > MOST_FAILED_CATCHES * catches


def _excluded(raters: Iterable[RaterResult], form: Form) -> set[str]:
    return {one.rater for one in raters if one.form is form and one.excluded}


def _unchecked(raters: Iterable[RaterResult], form: Form) -> set[str]:
    return {one.rater for one in raters if one.form is form and one.catches == 0}


def _raters(
    form: Form, files: Sequence[AnswerFile], judged: Sequence[Judged | Rated]
) -> Iterator[RaterResult]:
    """Yield the raters of a form: to have watched pairs says nothing of how clips were watched."""
    for rater in dict.fromkeys(rater_name(file.rater) for file in files):
        own = [file for file in files if rater_name(file.rater) == rater]
        mine = [one for one in judged if one.rater == rater]
        catches = sum(one.is_catch for one in mine)
        failed = sum(one.is_failed_catch for one in mine)
        yield RaterResult(
            rater=rater,
            form=form,
            packs=len(own),
            votes=sum(one.is_vote for one in mine),
            unanswered=sum(_unanswered(file) for file in own),
            catches=catches,
            catches_failed=failed,
            excluded=is_excluded(catches, failed),
        )


def _unanswered(file: AnswerFile) -> int:
    return sum(not one.is_answered for one in file.trials)


# --- preferences ---------------------------------------------------------------------------------


def _candidate(
    candidate_id: str,
    kept: Sequence[Judged],
    everyone: Sequence[Judged],
    unchecked: Collection[str],
) -> CandidateVotes:
    own, all_of_them = (preference(_votes(votes, candidate_id)) for votes in (kept, everyone))
    votes = _votes(kept, candidate_id)
    reason = shortage([(one.rater, one.trial.prompt_id) for one in votes], unchecked)
    return CandidateVotes(
        candidate_id=candidate_id,
        status=VoteStatus.INSUFFICIENT if reason else VoteStatus.SUFFICIENT,
        reason=reason,
        kept=own,
        everyone=all_of_them,
        votes_needed=half_width_needed(own.n_votes, own.of(Question.OVERALL).not_worse),
    )


def _votes(judged: Iterable[Judged], candidate_id: str) -> list[Judged]:
    """Return the comparisons of a candidate: no repeats, which would count one vote twice."""
    return [one for one in judged if one.is_vote and one.trial.candidate_id == candidate_id]


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
    values = np.array([worth[one] for one in outcomes])
    return share_of([one.rater for one in votes], [one.trial.prompt_id for one in votes], values)


# --- agreement and consistency -------------------------------------------------------------------


def _reliability(question: Question, judged: Sequence[Judged]) -> Reliability:
    units: dict[tuple[str, str, int], dict[str, Outcome]] = {}
    first = {one.trial.trial_id: one for one in judged}
    repeats = [(first[key], one) for one in judged if (key := one.trial.repeats) in first and key]
    for one in judged:
        if one.is_vote:
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
