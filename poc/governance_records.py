"""What goes into a rights answer and what comes out of it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from poc.licences import Judgement, Statement, UseStatement
from poc.prompt_screen import Hit
from poc.records import Light, Record, RightsBasis
from poc.rights_file import Waiver


class PartKind(StrEnum):
    """What a part does in an arm."""

    BASE = "base"
    MOTION_ADAPTER = "motion_adapter"
    LORA = "lora"
    STILLS = "stills"
    CLIPS = "clips"
    """Clips that somebody else made and delivered: what made them is not known here."""
    JUDGE = "judge"
    """A network behind a metric: no clip comes from it, but the decision stands on it."""
    PROMPTS = "prompts"


class Part(Record):
    """One thing that an arm uses, with what is known of its rights."""

    id: str
    kind: PartKind
    licence: str
    """SPDX expression or `LicenseRef-` and a name; empty when none is known."""
    commercial_use: Literal["permitted", "forbidden", "unclear"] | None
    """What the table of models says itself; None where it says nothing."""
    digest: str | None
    """Of its files as pinned, or of the prompts; None where there is none."""
    changed: bool = False
    """Whether the run used other files than the table of models describes today."""
    files: dict[str, str] = Field(default_factory=dict)
    """Of stills: relative path -> SHA-256."""


class ArmParts(Record):
    """An arm with all that it uses."""

    arm_id: str
    name: str
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class Subject(Record):
    """What is asked about: the arms of one plan, and what its prompts name."""

    arms: Annotated[tuple[ArmParts, ...], Field(min_length=1)]
    n_prompts: int
    hits: tuple[Hit, ...]
    """Listed names and brands in the prompts; the same prompts go to every arm."""


class PartRights(Record):
    """What may be said of one part for the stated use."""

    part: str
    kind: PartKind
    licence: str
    judgement: Judgement
    reasons: tuple[Statement, ...]
    way_out: tuple[Statement, ...]
    conditions: tuple[Statement, ...]
    """What the user has to do or leave even where it is permitted."""
    waiver: Waiver | None
    """The waiver that counts on this day; only an unclear part can have one."""
    valid_until: date | None
    """Last day on which this stands; None: no end, or nothing is allowed."""


class ArmRights(Record):
    """The light of one arm; never better than its worst part."""

    arm_id: str
    arm: str
    light: Light
    parts: tuple[PartRights, ...]
    replacements: tuple[str, ...]
    """Arms of the same plan with no part that is unclear or forbidden."""
    valid_until: date | None
    """Last day on which the light stands; None where nothing is allowed."""


class OpenItem(Record):
    """A question of the checklist that is not closed."""

    item: str
    question: Statement
    owner: str | None
    """None: nobody has answered."""
    due: date | None
    late: bool
    """Not answered at all, or past its day."""


class Expiry(Record):
    """Something relied on that ends soon, or has ended."""

    what: str
    ends: date
    past: bool


class RightsResult(Record):
    """The whole answer for one day."""

    on: date
    name: str
    name_ja: str
    use: UseStatement
    light: Light
    """The worst of the arms: all of them are to run."""
    arms: tuple[ArmRights, ...]
    open_items: tuple[OpenItem, ...]
    expiring: tuple[Expiry, ...]
    reasons: tuple[Statement, ...]
    """What holds for every arm alike."""
    digest: str
    """Of what there is to approve."""
    approved_by: tuple[str, ...]
    missing_roles: tuple[str, ...]
    """Roles that have not approved exactly this."""
    other_approvals: tuple[int, ...]
    """Numbers of approvals of other content: they count for nothing here."""
    next_number: int
    previous: str | None
    """Number and chain digest of the approval that may be added."""
    valid_until: date | None


class RightsOfRun(Record):
    """rights.json: what the rights file gives every arm of a run, behind the rights light."""

    format_version: Literal[1]
    kind: Literal["procurement", "demonstration"]
    basis: RightsBasis
    result: RightsResult
