"""The rights file of one use case: what was stated, consented, answered, waived and approved.

What a single value may be stands in the records, what must hold between them in `poc.rights_check`.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from poc.licences import Day, Text, Use, UseStatement
from poc.records import Record
from poc.territory import Territory

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(min_length=1, max_length=100)]
"""May be a single letter: some names are."""
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Policy(Record):
    """The company's own rules."""

    approval_roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """Every one of them has to approve; without all, nothing is GO and no waiver counts."""
    fact_days: Annotated[int, Field(ge=1, le=3650)]
    """For how many days after it was read a licence fact counts."""
    warn_days: Annotated[int, Field(ge=0, le=3650)]
    """How many days ahead an expiry is shown."""


class Release(StrEnum):
    """Whether the persons in the stills agreed."""

    YES = "yes"
    NO = "no"
    NOT_NEEDED = "not_needed"
    """Nobody can be recognised; the evidence says why."""


class ModelRelease(Record):
    """A model release, or why none is needed."""

    status: Release
    evidence: Text


class Consent(Record):
    """What holds for some stills: who made them, who is shown, what for, where and how long."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    model: str
    """Entry of kind `stills` in models.yaml."""
    files: Annotated[str, Field(min_length=1, max_length=200)]
    """Pattern on the paths inside it; `*` stands for any signs, `/` too."""
    digest: Digest
    """Over the paths and SHA-256 of exactly these files: other stills need another record."""
    photographer: Text
    agreement: Text
    """Where the photographer's permission is written down."""
    model_release: ModelRelease
    uses: Annotated[tuple[Use, ...], Field(min_length=1)]
    territory: Annotated[tuple[Territory, ...], Field(min_length=1)]
    given: Day
    valid_until: Day


class DeliveryRights(Record):
    """What holds for clips that somebody else made: who delivered them, and what was agreed.

    A statement of a contract, not of the models behind the clips: those nobody here can look at.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    part: Annotated[str, Field(min_length=1, max_length=200)]
    """Of an imported arm, as `poc rights` names it: `clips of ARM`."""
    digest: Digest
    """Over every take and every file of the delivery: other clips need another record."""
    supplier: Text
    agreement: Text
    """Where the supplier's permission is written down."""
    warranty: Text
    """What the supplier answers for (models, training data, persons shown), and where."""
    uses: Annotated[tuple[Use, ...], Field(min_length=1)]
    territory: Annotated[tuple[Territory, ...], Field(min_length=1)]
    given: Day
    valid_until: Day


class Words(Record):
    """What prompts must not contain; matched as `poc.prompt_screen` says."""

    names: tuple[Word, ...]
    brands: tuple[Word, ...]


class Status(StrEnum):
    """How a question of the checklist stands."""

    OPEN = "open"
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"


class Answer(Record):
    """The answer to one question: open ones have a day by which, closed ones evidence."""

    item: str
    status: Status
    owner: Text
    evidence: Text | None
    due: Day | None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        is_open = self.status is Status.OPEN
        if is_open and self.due is None:
            raise ValueError(f"'{self.item}' is open: expected 'due', got null. Set a day.")
        if not is_open and self.evidence is None:
            raise ValueError(
                f"'{self.item}' is {self.status}: expected 'evidence', got null. Say where it is."
            )
        if not is_open and self.due is not None:
            raise ValueError(f"'{self.item}' is {self.status}: expected no 'due'. Set it to null.")
        return self


class Waiver(Record):
    """A decision to use an unclear part nevertheless, for a time, by somebody who answers for it.

    What is forbidden cannot be waived.
    """

    part: str
    """Id of a model of models.yaml or of the prompt set."""
    reason: Text
    owner: Text
    decided: Day
    expires: Day


class Approval(Record):
    """One line of the approvals; they are only ever added, each chained to the one before."""

    number: Annotated[int, Field(ge=1, le=10000)]
    role: Role
    by: Text
    requester: Text
    digest: Digest
    """Of what is approved: `poc rights` prints it."""
    previous: Digest | None
    """Digest of the approval before; null for the first."""
    date: Day


def _says_nothing(items: object) -> bool:
    """Whether a section is left out of the JSON, so that older files keep their digests."""
    return items == ()


class RightsFile(Record):
    """A rights file as a whole."""

    version: Literal[1]
    name: Text
    name_ja: Text
    example: bool
    """True when names and dates are made up: then nothing here permits anything."""
    use: UseStatement
    policy: Policy
    checklist: Annotated[str, Field(min_length=1, max_length=200)]
    """Path of the checklist, relative to this file."""
    stills: tuple[Consent, ...]
    deliveries: tuple[DeliveryRights, ...] = Field(default=(), exclude_if=_says_nothing)
    words: Words
    answers: tuple[Answer, ...]
    waivers: tuple[Waiver, ...]
    approvals: tuple[Approval, ...]

    @property
    def latest_record(self) -> date | None:
        """Return the latest day on which something was given, decided or approved."""
        days = (
            *(one.given for one in self.stills),
            *(one.given for one in self.deliveries),
            *(one.decided for one in self.waivers),
            *(one.date for one in self.approvals),
        )
        return max(days, default=None)
