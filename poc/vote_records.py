"""What blind votes are made of: answers as they come back, and what follows from them.

A vote is one comparison by one rater, in four questions, or one judgement of a single clip.
`poc.votes` and `poc.clip_votes` go from one to the other.
"""

from __future__ import annotations

import math
from datetime import date
from enum import StrEnum
from operator import not_
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from poc.panel import Form, Identifier
from poc.records import Record


class Question(StrEnum):
    """What is asked of every pair, in this order."""

    MOTION = "motion"
    """Which one moves more naturally?"""
    PICTURE = "picture"
    """Which one has the better picture?"""
    AS_ASKED = "as_asked"
    """Which one is more like what was asked for?"""
    OVERALL = "overall"
    """Which one would you rather use?"""


class Choice(StrEnum):
    """An answer as the rater gives it."""

    LEFT = "left"
    RIGHT = "right"
    SAME = "same"


class Verdict(StrEnum):
    """What is said of a single clip: would we publish this?"""

    YES = "yes"
    RETOUCH = "retouch"
    """After retouch."""
    NO = "no"


class Reason(StrEnum):
    """Why a clip is not to be published as it is."""

    MOTION = "motion"
    """It flickers, jumps or moves unnaturally."""
    PICTURE = "picture"
    """It is blurred or has artefacts."""
    SHAPE = "shape"
    """Something is out of shape: a hand, a face, lettering, a product."""
    AS_ASKED = "as_asked"
    """It does not show what was asked for."""
    STYLE = "style"
    """The style does not fit."""
    UNFIT = "unfit"
    """It must not be shown: taste, safety, somebody's rights."""
    OTHER = "other"


class Outcome(StrEnum):
    """An answer with the sides resolved."""

    WIN = "win"
    """The candidate is preferred."""
    TIE = "tie"
    LOSS = "loss"


# --- answers as they come back -------------------------------------------------------------------

Pseudonym = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


class Answers(Record):
    """The four answers to one trial."""

    motion: Choice
    picture: Choice
    as_asked: Choice
    overall: Choice

    def to(self, question: Question) -> Choice:
        """Return the answer to one question."""
        choice: Choice = getattr(self, question)
        return choice


class Judgement(Record):
    """What a rater said of a single clip."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    """At least one unless it is YES, which has none; in the order of `Reason`."""

    @model_validator(mode="after")
    def _gives_reasons(self) -> Self:
        if (self.verdict is Verdict.YES) is bool(self.reasons):
            raise ValueError("expected reasons with 'retouch' and 'no', and none with 'yes'")
        if self.reasons != tuple(one for one in Reason if one in self.reasons):
            raise ValueError(f"expected reasons once each, in the order {', '.join(Reason)}")
        return self


class TrialAnswer(Record):
    """What a rater said of one trial, a pair or a clip; both None: not answered."""

    trial_id: Identifier
    answers: Answers | None
    judgement: Judgement | None = Field(default=None, exclude_if=not_)
    duration_s: Annotated[float, Field(ge=0, le=1e6)] | None
    """Time for which the trial was to be seen on the screen."""
    plays: Annotated[int, Field(ge=0, le=1_000_000)]
    """How often all of its clips were played to their end."""

    @property
    def is_answered(self) -> bool:
        """Whether anything was said."""
        return self.answers is not None or self.judgement is not None

    def fits(self, form: Form) -> bool:
        """Tell whether it answers what this form asks, if anything."""
        other = self.judgement if form is Form.PAIRS else self.answers
        return other is None

    @model_validator(mode="after")
    def _was_watched(self) -> Self:
        """A page takes no answer before its clips were played to their end."""
        if self.is_answered and (self.plays == 0 or self.duration_s is None):
            raise ValueError("answered without having been played (plays, duration_s)")
        return self


class AnswerFile(Record):
    """The file that a rater sends back."""

    format_version: Literal[1]
    panel_id: Identifier
    pack_id: Identifier
    rater: Pseudonym
    language: Literal["ja", "en"]
    viewport_width_px: Annotated[int, Field(ge=1, le=100_000)]
    viewport_height_px: Annotated[int, Field(ge=1, le=100_000)]
    trials: Annotated[tuple[TrialAnswer, ...], Field(min_length=1, max_length=2000)]
    taken_in: date | None = Field(default=None, exclude_if=not_)
    """UTC day of the import; no page writes it, and files from before it was kept have none."""


class Vote(Record):
    """One trial as a page sends it to a server, with who answers on what.

    Without an answer it takes back the one that was given before.
    """

    sequence: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Grows with every change of an answer: of two votes on one trial the later one counts."""
    rater: Pseudonym
    language: Literal["ja", "en"]
    viewport_width_px: Annotated[int, Field(ge=1, le=100_000)]
    viewport_height_px: Annotated[int, Field(ge=1, le=100_000)]
    trial: TrialAnswer


# --- what follows from them ----------------------------------------------------------------------


class VoteStatus(StrEnum):
    """Whether the numbers may be leant on."""

    SUFFICIENT = "SUFFICIENT"
    INSUFFICIENT = "INSUFFICIENT"
    """Fewer than 5 raters with an answered catch pair, or 15 prompts of theirs: shown, and not to
    be leant on."""


class OfHundred(Record):
    """A share as people read it: so many of 100, the interval rounded outwards."""

    value: int
    low: int | None
    high: int | None
    """Both None where there is no interval."""


class Share(Record):
    """A share in 0..1 with its 95 % interval, or why either is missing."""

    value: float | None
    low: float | None
    high: float | None
    method: str
    reason: str

    def of_hundred(self) -> OfHundred | None:
        """Return it in whole numbers of 100; None where there is no value.

        >>> Share(value=0.675, low=0.57, high=0.801, method="", reason="").of_hundred()
        OfHundred(value=68, low=57, high=81)
        """
        if self.value is None:
            return None
        value = math.floor(100 * self.value + 0.5)
        if self.low is None or self.high is None:
            return OfHundred(value=value, low=None, high=None)
        # Rounded first, so that 0.57 is 57 and not, by its last bit, 56.
        low, high = (round(100 * bound, 6) for bound in (self.low, self.high))
        return OfHundred(value=value, low=math.floor(low), high=math.ceil(high))


class QuestionResult(Record):
    """How a candidate stands to the baseline in one question."""

    question: Question
    wins: int
    ties: int
    losses: int
    not_worse: Share
    """Preferred or no difference: (wins + ties) / votes."""
    preferred: Share
    """Preferred, half of the ties counted: (wins + ties / 2) / votes."""


class Preference(Record):
    """The votes of some raters on one candidate."""

    n_votes: int
    n_raters: int
    n_prompts: int
    questions: tuple[QuestionResult, ...]

    @model_validator(mode="after")
    def _asks_each_question_once(self) -> Self:
        if sorted(one.question for one in self.questions) != sorted(Question):
            raise ValueError(f"questions: expected {', '.join(Question)}, each once")
        return self

    def of(self, question: Question) -> QuestionResult:
        """Return the result of one question."""
        return next(one for one in self.questions if one.question is question)


class CandidateVotes(Record):
    """All that the votes say of one candidate."""

    candidate_id: str
    status: VoteStatus
    reason: str
    """What is missing, and whose catch pairs are unanswered; empty when sufficient."""
    kept: Preference
    """Without raters who failed the catch pairs: the answer."""
    everyone: Preference
    """With them, beside it."""
    votes_needed: int | None
    """More votes for a half-width of 10 points; None while there is no interval."""


class Minutes(Record):
    """A mean of minutes with its 95 % interval, or why either is missing."""

    value: float | None
    low: float | None
    high: float | None
    method: str
    reason: str


class ClipVotes(Record):
    """The judgements of some raters on an arm's clips, one by one."""

    n_votes: int
    n_raters: int
    n_prompts: int
    n_clips: int
    yes: int
    retouch: int
    no: int
    acceptance: Share
    """Would be published as they are: yes / votes."""
    with_retouch: Share
    """Would be published, some after retouch: (yes + retouch) / votes."""
    review_min: Minutes
    """Of a clip: for how long it was to be seen until the last answer, watching included."""
    reasons: dict[Reason, int]
    """Votes that name a reason; a vote may name several."""


class ArmVotes(Record):
    """All that the votes on single clips say of one arm."""

    arm_id: str
    status: VoteStatus
    reason: str
    """As in `CandidateVotes`, of catch clips."""
    kept: ClipVotes
    """Without raters who failed catch pairs and clips: the answer."""
    everyone: ClipVotes
    votes_needed: int | None
    """More votes for a half-width of 10 points of acceptance; None while there is no interval."""
    latest: date | None = Field(default=None, exclude_if=not_)
    """When the last of the kept votes was taken in; None where that is not known of one of them."""


class VerdictLikeness(Record):
    """How alike raters judge single clips, and how like themselves; as in `Reliability`."""

    alpha: float | None
    n_units: int
    reason: str
    repeats: int
    repeats_same: int


class RaterResult(Record):
    """One rater of pairs or of clips, of all packs of that form with the same pseudonym."""

    rater: str
    form: Form = Field(default=Form.PAIRS, exclude_if=lambda form: form is Form.PAIRS)
    """The rule of exclusion holds in each form on its own."""
    packs: int
    votes: int
    """Comparisons and judgements of single clips."""
    unanswered: int
    catches: int
    """Catch pairs and catch clips that were answered."""
    catches_failed: int
    excluded: bool


class Reliability(Record):
    """How alike raters answer one question, and how like themselves."""

    question: Question
    alpha: float | None
    """Krippendorff's alpha, nominal, over pairs that two raters or more compared."""
    n_units: int
    reason: str
    repeats: int
    """Pairs that a rater answered twice."""
    repeats_same: int


class VoteSummary(Record):
    """The analysis of every imported answer of one run."""

    format_version: Literal[1]
    packs: int
    packs_answered: int
    packs_incomplete: int
    candidates: tuple[CandidateVotes, ...]
    raters: tuple[RaterResult, ...]
    reliability: tuple[Reliability, ...]
    arms: tuple[ArmVotes, ...] = Field(default=(), exclude_if=not_)
    """Of those whose clips were judged one by one."""
    verdicts: VerdictLikeness | None = Field(default=None, exclude_if=not_)
    """None where no clip was judged alone."""

    @property
    def raters_of_pairs(self) -> tuple[RaterResult, ...]:
        """Those who compared."""
        return tuple(one for one in self.raters if one.form is Form.PAIRS)

    @property
    def raters_of_clips(self) -> tuple[RaterResult, ...]:
        """Those who judged clips one by one."""
        return tuple(one for one in self.raters if one.form is Form.CLIPS)


class VotesOfRun(Record):
    """rating/votes.json: what follows from the keys and answers that lie beside it."""

    format_version: Literal[1]
    kind: Literal["procurement", "demonstration"]
    plan_digest: str
    baseline_id: str
    answers: dict[str, str]
    """Pack id -> SHA-256 of the stored file of answers that was counted."""
    summary: VoteSummary
