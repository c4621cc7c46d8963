"""What the cost model answers: frozen records, money in the currency of the inputs."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Final, Literal

from pydantic import Field

from poc.cost_file import (
    AlternativeName,
    Basis,
    CostInputs,
    Deliverable,
    GpuMode,
    Quantity,
    Rollout,
    Text,
)
from poc.cost_model import Part
from poc.records import ClipShape, Finding, Light, PriceBasis, Record

ACCEPTANCE: Final = "material.acceptance_rate"
REVIEW: Final = "material.review_min_per_clip"


class TimedSeconds(Record):
    """Seconds per clip as a run timed them; replaces what the inputs state."""

    seconds_per_clip: Quantity
    device: Text
    """Device of the latency pass, as its driver names it."""
    shape: ClipShape
    """Of the clips that were timed."""
    rounds: int
    """Rounds of the latency pass after the cold one."""
    is_demonstration: bool
    """Timed on tiny weights, or in a run that decides on no purchase."""


class JudgedClips(Record):
    """What people said of an arm's clips one by one; replaces what the inputs state."""

    acceptance: Quantity | None
    """Share that would be published as they are; None where it is not to be replaced."""
    review: Quantity | None
    """Minutes; None as above."""
    stated_acceptance: float
    """What the inputs say instead."""
    stated_review: float
    votes: int
    raters: int
    prompts: int
    clips: int
    is_demonstration: bool
    """Clips of tiny weights, or of a run that decides on no purchase."""


class UnusedVotes(Record):
    """Votes on an arm's clips that are there and replace nothing."""

    why: Finding


class Seconds(Record):
    """Seconds per clip, and whether they are measured on the GPU that is to be paid for."""

    value: float
    low: float
    high: float
    source: str
    device: str | None
    """Where they were timed; None where they are only stated."""
    shape: ClipShape | None
    """Of the clips that were timed; None where the seconds are only stated."""
    is_measured: bool
    doubt: Finding | None
    """Why they do not count as measured; None where they do."""


class PartCost(Record):
    """What one of equipment, people, fees and rights costs in a deliverable."""

    part: Part
    label: Finding
    per_deliverable: float
    share: float
    """Of the cost of a deliverable, 0 to 1."""


class GpuOption(Record):
    """One way of paying for GPUs, all else equal."""

    mode: GpuMode
    label: Finding
    is_shared: bool
    """Whether other work pays for the rest of the GPUs' time."""
    is_taken: bool
    is_example: bool
    """Whether a price or share behind it is an example."""
    gpus: float
    """Paid for: whole ones for this work alone."""
    price_per_hour: float
    """Of work."""
    cost_per_accepted_clip: float
    cost_per_deliverable: float
    npv: float


class OtherWay(Record):
    """An alternative beside ours."""

    name: AlternativeName
    label: Finding
    is_example: bool
    """Whether a number behind it is an example."""
    cost_per_deliverable: float
    saving_per_deliverable: float
    """What ours costs less; negative where it costs more."""
    working_days: float | None


class Spread(Record):
    """Three quantiles of a simulation; None where it is never reached."""

    low: float | None
    """5 % of the simulations lie below."""
    median: float | None
    high: float | None
    """95 % of the simulations lie below."""


class Simulation(Record):
    """Monte Carlo over the stated ranges; spreads are shares of simulations, not confidence."""

    runs: int
    seed: int
    distribution: Finding
    """Which one, and why."""
    cost_per_accepted_clip: Spread
    cost_per_deliverable: Spread
    payback_months: Spread
    npv: Spread
    share_paid_back: float
    """Simulations in which it is paid back within the period."""
    share_npv_above_zero: float


class Swing(Record):
    """One bar of the tornado: an input at both ends of its range, all others as stated."""

    name: str
    label: Finding
    unit: str
    low: float
    high: float
    cost_at_low: float
    """Per deliverable, with the input at its low end."""
    cost_at_high: float
    npv_at_low: float
    npv_at_high: float

    @property
    def cost_swing(self) -> float:
        """Return how far the cost of a deliverable moves."""
        return abs(self.cost_at_high - self.cost_at_low)

    @property
    def npv_swing(self) -> float:
        """Return how far the net present value moves."""
        return abs(self.npv_at_high - self.npv_at_low)


class CurvePoint(Record):
    """The results at one assumed value."""

    value: float
    cost_per_accepted_clip: float
    cost_per_deliverable: float
    payback_months: float | None
    npv: float
    share_within: float | None
    """Simulations within all limits at once; None without a limit."""


class Curve(Record):
    """The results over the range of an input that nobody measured."""

    name: str
    label: Finding
    basis: Basis
    unit: str
    points: tuple[CurvePoint, ...]


class LimitCheck(Record):
    """A figure against its limit."""

    name: str
    label: Finding
    value: float | None
    """None: never reached."""
    limit: float
    share_within: float
    """Simulations within it, whatever the other limits."""
    said: Finding


class CostResult(Record):
    """All that the cost model answers; money in `currency`."""

    name: str
    name_ja: str
    currency: str
    deliverable: Deliverable
    compared_with: AlternativeName
    gpu_model: str
    mode: GpuMode
    deliverables_per_month: float
    horizon_months: float
    seconds: Seconds
    acceptance: Quantity
    acceptance_basis: Basis
    review: Quantity
    review_basis: Basis
    judged: JudgedClips | UnusedVotes | None = Field(default=None, exclude_if=not_)
    """The votes that acceptance and review come from, or why they do not; None: nobody voted."""
    attempts_per_accepted: float
    """Generated clips per accepted one, failures included."""
    reviewed_per_accepted: float
    energy_kwh_per_accepted_clip: float
    gpu_hours_per_month: float
    gpus: float
    """At the stated utilisation."""
    gpus_paid: float
    """What all money here is for: as many, or whole ones where nothing shares them."""
    whole_gpus: int
    """How many this work alone has to pay for, unless they are rented by the hour."""
    other_work: str | None
    """What pays for the rest of the time of reserved or bought GPUs."""
    utilisation: float
    fill: float
    """Share of their time in which whole GPUs would work on this alone, at most `utilisation`."""
    cost_per_accepted_clip: float
    cost_per_deliverable: float
    parts: tuple[PartCost, ...]
    largest_part: Finding
    gpu_options: tuple[GpuOption, ...]
    alternatives: tuple[OtherWay, ...]
    initial_cost: float
    first_year_cost: float
    """Paid in the twelve months of the first year, without the initial cost."""
    later_year_cost: float
    working_days: float
    break_even_per_month: float | None
    """Least deliverables a month at which ours costs no more; None: no number is enough."""
    cheaper_below_per_month: float | None
    """Deliverables a month up to which ours costs less; None where this is not so."""
    payback_months: float | None
    """Undiscounted; None: not within the period, or not kept to its end."""
    npv: float
    tornado: tuple[Swing, ...]
    """Largest movement of the cost of a deliverable first, then of the net present value."""
    simulation: Simulation
    curves: tuple[Curve, ...]
    """One for each of acceptance rate and review minutes that no people's votes gave."""
    limits: tuple[LimitCheck, ...]
    share_within_all: float | None
    """Simulations within all limits at once; None without a limit."""
    valid_until: str | None = Field(default=None, exclude_if=not_)
    """Last day of the offers behind the prices, ISO 8601; None where nobody named one."""
    rollout: Rollout | None = Field(default=None, exclude_if=not_)
    examples: tuple[str, ...]
    """Names of the inputs in use that are examples, the one that moves the cost most first."""
    other_examples: int
    """Further examples: they move no result, but other ways that stand beside ours."""


class EconomicLight(Record):
    """The economic light, why, and what has to be done first where that has a name."""

    light: Light
    reasons: tuple[Finding, ...]
    conditions: tuple[Finding, ...]
    next_step: Finding | None
    """What would settle it where it is INSUFFICIENT_EVIDENCE."""


class SettingCost(Record):
    """What a deliverable costs by another setting than the recommended one, as people judged it."""

    arm_id: str
    arm: str
    """Its name."""
    acceptance: Quantity
    cost_per_deliverable: float
    """As stated."""
    saving_per_deliverable: float
    """By the recommended setting; negative where that costs more."""
    working_days: float
    drawn: Spread
    share_cheaper: Annotated[float, Field(ge=0, le=1)]
    """Share of the simulations in which it costs less than by the recommended one."""
    share_within_all: Annotated[float, Field(ge=0, le=1)] | None
    """Share of them within all limits at once; None without a limit."""


class MoneyOfRun(Record):
    """money.json: what a deliverable of the recommended arm costs, behind the economic light."""

    format_version: Literal[1]
    kind: Literal["procurement", "demonstration"]
    estimates_digest: str
    """Of the estimates that the decision stands on."""
    basis: PriceBasis
    cost: CostResult
    economic: EconomicLight
    inputs: CostInputs | None = None
    """What it was computed from, with the run's own seconds; a run from before has none."""
    settings: tuple[SettingCost, ...] = Field(default=(), exclude_if=not_)
    """Other settings that pass and may be used, of the same style, where people judged both."""
