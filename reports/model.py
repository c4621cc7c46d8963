"""What a report says, as frozen strings ready to show: one content model for every writer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its interval and n; `reason` instead of them where it is missing."""

    value: str
    interval: str
    n: str
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the three numbers at the top, with what is said below it."""

    label: str
    help: str
    cell: Cell
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict or light: the word people read and the level that colours it."""

    word: str
    level: str


@dataclass(frozen=True, slots=True)
class Line:
    """A term and what is said of it: provenance, words, what is missing."""

    term: str
    said: str


@dataclass(frozen=True, slots=True)
class LightRow:
    """One of the three lights with the question it answers."""

    title: str
    question: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """A criterion, what it asked and what came out for the arm in focus."""

    label: str
    name: str
    help: str
    weight: str
    target: str
    minimum: str
    cell: Cell
    target_share: str
    minimum_share: str
    mark: Mark
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm in the table of arms."""

    arm_id: str
    name: str
    spec_name: str
    steps: str
    nfe: str
    counts: str
    lost: str
    cells: tuple[Cell, ...]
    mark: Mark | None
    role: str
    marked: bool
    """Stands out in the table: the baseline and the arm recommended."""
    verdicts: tuple[Mark | None, ...]


@dataclass(frozen=True, slots=True)
class SliceRow:
    """An arm in every slice: the baseline's own values, the others' differences to them."""

    name: str
    marked: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class SliceTable:
    """One metric in the slices of one factor."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[SliceRow, ...]


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """One metric of a contrast: the first arm minus the second."""

    label: str
    help: str
    cell: Cell
    standing: str


@dataclass(frozen=True, slots=True)
class ContrastTable:
    """Two arms compared with each other, and the question that this answers."""

    question: str
    pair: str
    rows: tuple[ContrastRow, ...]


@dataclass(frozen=True, slots=True)
class ClaimNumber:
    """Our number beside a claim: of what, of which arms, and the line that it has to pass."""

    label: str
    arm: str
    cell: Cell
    asked: str
    mark: Mark
    """What follows from this number alone."""
    reason: str
    """Why nothing does; empty otherwise."""


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A published claim, our numbers, and what differs from where it was made."""

    label: str
    said: str
    source: str
    published: tuple[str, ...]
    numbers: tuple[ClaimNumber, ...]
    beside: tuple[ClaimNumber, ...]
    """Numbers that a reader should know beside those; they decide nothing."""
    mark: Mark
    reasons: tuple[str, ...]
    differs: tuple[str, ...]
    """Without the tiny world of a demonstration: the page says that of all claims at once."""


@dataclass(frozen=True, slots=True)
class SplitRow:
    """An arm's speed-up as a product: fewer steps, no guidance, and the rest."""

    name: str
    denoise: Cell
    steps: str
    guidance: str
    denoise_rest: Cell
    whole: Cell
    whole_rest: Cell


# --- people, money, rights -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One question of the blind comparison."""

    question: str
    counts: str
    not_worse: Cell
    preferred: Cell
    alpha: str
    same: str


@dataclass(frozen=True, slots=True)
class RaterRow:
    """One rater by pseudonym, and whether the votes count."""

    name: str
    votes: str
    catches: str
    standing: str


@dataclass(frozen=True, slots=True)
class PeopleDetail:
    """All that people said of one arm."""

    pair: str
    said: str
    who: str
    """Votes, raters and prompts behind it."""
    caution: str
    """That these are too few to lean on; empty where they are not."""
    needed: str
    rows: tuple[VoteRow, ...]
    raters: tuple[RaterRow, ...]


@dataclass(frozen=True, slots=True)
class ClipsDetail:
    """All that people said of one arm's clips, one by one."""

    title: str
    said: str
    caution: str
    """As in `PeopleDetail`."""
    needed: str
    lines: tuple[Line, ...]
    raters: tuple[RaterRow, ...]


@dataclass(frozen=True, slots=True)
class WayRow:
    """A way to the same deliverable, or around it."""

    name: str
    cost: str
    saving: str
    days: str
    mark: str


@dataclass(frozen=True, slots=True)
class Ways:
    """What else could be done, beside ours."""

    about: str
    rows: tuple[WayRow, ...]
    """None without prices."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SwingRow:
    """An input at both ends of its range, and what a deliverable then costs."""

    name: str
    low: str
    high: str
    cost_at_low: str
    cost_at_high: str


@dataclass(frozen=True, slots=True)
class MoneyDetail:
    """Where the money goes, what comes back, and what moves both."""

    about: str
    parts: tuple[Line, ...]
    returns: tuple[Line, ...]
    swings: tuple[SwingRow, ...]
    rollout: tuple[Line, ...] = ()
    """Stages, each with its gate and what stops it; none where the prices state none."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part that is not simply permitted, why, and the ways out."""

    name: str
    licence: str
    mark: Mark
    reasons: tuple[str, ...]
    ways_out: tuple[str, ...]
    waived: str


@dataclass(frozen=True, slots=True)
class RightsPage:
    """The rights light with what stands behind it; `how` where no rights file does."""

    mark: Mark
    said: str
    how: str = ""
    last_day: str = ""
    whose: tuple[str, ...] = ()
    """What ends on the last day."""
    reasons: tuple[str, ...] = ()
    parts: tuple[PartRow, ...] = ()
    cleared: tuple[str, ...] = ()
    instead: str = ""
    open: tuple[Line, ...] = ()
    missing: tuple[str, ...] = ()
    """Roles that have not approved."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """Something still to be done; `who` and `due` say so where nobody has set them."""

    what: str
    who: str
    due: str
    effect: str
    """The light or verdict that it can change."""
    is_next: bool = False
    """The cheapest step that could change the answer."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a report says about a run, in one language, in reading order."""

    title: str
    question: str
    subject: str
    """Which setting is judged and what it is compared with, for whoever reads nothing else."""
    level: str
    banner: str
    warnings: tuple[str, ...]
    mark: Mark
    headline: str
    sureness: str
    lights: tuple[LightRow, ...]
    reasons: tuple[str, ...]
    asked: str
    watermark: str
    """Marks each part of a demonstration that may be cut out of its page; else empty."""
    focus: str
    numbers: tuple[KeyNumber, ...]
    worst: str
    ways: Ways
    rights: RightsPage
    stops: tuple[Line, ...]
    actions: tuple[ActionRow, ...]
    actions_note: str
    """That nothing is missing, or no further measurement proposed; else empty."""
    judges: tuple[Line, ...]
    criteria: tuple[CriterionRow, ...]
    rule: str
    """By which rule a criterion passes or fails."""
    arm_columns: tuple[Line, ...]
    criterion_columns: tuple[Line, ...]
    arms: tuple[ArmRow, ...]
    contrasts: tuple[ContrastTable, ...]
    compared: str
    slices: tuple[SliceTable, ...]
    claims: tuple[ClaimRow, ...]
    claims_note: str
    """What must be known of all claims at once; else empty."""
    splits: tuple[SplitRow, ...]
    people: tuple[PeopleDetail, ...]
    clips: tuple[ClipsDetail, ...]
    no_clips: tuple[str, ...]
    """What stands where a picture of their judgements would: that there are none, and what to type.
    Empty where there is one."""
    money: MoneyDetail | None
    method: tuple[Line, ...]
    missing: tuple[Line, ...]
    lost: tuple[Line, ...]
    provenance: tuple[Line, ...]
    glossary: tuple[Line, ...]
    request: tuple[Line, ...]
    """What is asked, for how much money, until when; as a ringi form has it."""
    basis: tuple[Line, ...]
    """How the numbers can be checked: n, dates, device, seed, digests, command."""
    remarks: tuple[str, ...]
    """Sentences to say in a meeting, one for each number at the top: value, interval, n."""

    @property
    def raters(self) -> tuple[RaterRow, ...]:
        """Everybody who judged in pairs, then everybody who judged clip by clip."""
        judged: tuple[PeopleDetail | ClipsDetail, ...] = (*self.people[:1], *self.clips[:1])
        return tuple(row for one in judged for row in one.raters)
