"""Whether a run says what a report of an earlier one said: number by number, within its intervals.

The same plan with the same weights on the same kind of machine gives the same numbers; a run with
other weights, seeds or prompts gives others. An interval holds what is true in 95 of 100 runs, and
the value of another run in fewer: of two equal runs of independent prompts each value lies within
the other's 95 % interval in about 83 of 100 cases (its error has the interval's variance too).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from poc.differences import differences
from poc.latency_scenarios import OFFLINE_MEMORY, THROUGHPUT
from poc.records import Comparison, Estimate, Estimates

_OF_MACHINE = (THROUGHPUT, OFFLINE_MEMORY, "peak_memory_bytes")


class Subject(NamedTuple):
    """What a number is of, by names that two runs share."""

    arm: str
    against: str
    """The arm that a contrast subtracts; empty elsewhere."""
    part: str
    """Slice, such as 'camera close up'; empty for all prompts."""
    metric: str
    comparison: Comparison

    @property
    def is_of_machine(self) -> bool:
        """Whether it is seconds or memory, which another machine has others of."""
        return self.metric.startswith("latency_") or self.metric in _OF_MACHINE

    def __str__(self) -> str:
        """Return it as people read it."""
        named = f"{self.arm} against {self.against}" if self.against else self.arm
        where = f" ({self.part})" if self.part else ""
        return f"{named}{where}: {self.metric}, {self.comparison}"


class Reproduced(NamedTuple):
    """A reported number with an interval, and what the run says of the same."""

    subject: Subject
    value: float
    low: float
    high: float
    found: float | None
    """None: the run has no such number."""

    @property
    def within(self) -> bool:
        """Whether the run's number lies within what was reported."""
        return self.found is not None and self.low <= self.found <= self.high


class Reproduction(NamedTuple):
    """How a run stands to a report."""

    quality: tuple[Reproduced, ...]
    machine: tuple[Reproduced, ...]
    bare: int
    """Reported numbers without an interval: nothing to lie within."""
    fewer: int
    """Numbers of quality that stand on fewer prompts than in the report."""
    settings: tuple[str, ...]
    """Which arms were asked for otherwise, by name, and how (reported -> found); not their weights:
    whether others give the same numbers may be just what is asked."""

    @property
    def missing(self) -> tuple[Reproduced, ...]:
        """Numbers of quality that the run does not have."""
        return tuple(one for one in self.quality if one.found is None)

    @property
    def outside(self) -> tuple[Reproduced, ...]:
        """Numbers of quality that lie outside of what was reported."""
        return tuple(one for one in self.quality if one.found is not None and not one.within)


def reproduction(found: Estimates, reported: Estimates) -> Reproduction:
    """Lay a run's numbers beside those that were reported, by the names of arms."""
    have = dict(_numbers(found))
    pairs, bare, fewer = [], 0, 0
    for subject, one in _numbers(reported):
        if one.value is None:
            continue
        if one.low is None or one.high is None:
            bare += 1
            continue
        other = have.get(subject)
        value = None if other is None else other.value
        short = other is not None and other.n_prompts < one.n_prompts
        fewer += short and not subject.is_of_machine
        pairs.append(Reproduced(subject, one.value, one.low, one.high, value))
    return Reproduction(
        quality=tuple(pair for pair in pairs if not pair.subject.is_of_machine),
        machine=tuple(pair for pair in pairs if pair.subject.is_of_machine),
        bare=bare,
        fewer=fewer,
        settings=tuple(_other_settings(found, reported)),
    )


def _other_settings(found: Estimates, reported: Estimates) -> Iterator[str]:
    """Yield the arms of one name that are not asked for alike."""
    asked = [
        {
            one.arm.name: one.arm.model_dump(mode="json", exclude={"id", "model_digests"})
            for one in run.arms
        }
        for run in (reported, found)
    ]
    for name in sorted(asked[0].keys() & asked[1].keys()):
        if differs := [*differences(asked[0][name], asked[1][name])]:
            yield f"{name}: {'; '.join(differs)}"


def _numbers(estimates: Estimates) -> Iterator[tuple[Subject, Estimate]]:
    """Yield every number of a report: of arms, of contrasts, of slices."""
    names = {summary.arm.id: summary.arm.name for summary in estimates.arms}
    for summary in estimates.arms:
        for one in summary.estimates:
            yield Subject(summary.arm.name, "", "", one.metric, one.comparison), one
    for contrast in estimates.contrasts:
        for result in contrast.results:
            one, pair = result.estimate, (names[contrast.arm_id], names[contrast.against_id])
            yield Subject(*pair, "", one.metric, one.comparison), one
    for part in estimates.slices:
        for one in part.estimates:
            where = f"{part.factor} {part.value}"
            yield Subject(names[one.arm_id], "", where, one.metric, one.comparison), one
