"""Published claims and the parts of the speed-up, in words. Formats; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poc.claims import Beside, ClaimResult, ClaimStatus, TestResult
from poc.claims_file import Claim, ClaimLook, ClaimTest, Condition, How, PublishedValue
from poc.records import Comparison, Finding
from poc.speed_split import Figure, SpeedSplit
from reports import text as words
from reports.load import RunView
from reports.model import Cell, ClaimNumber, ClaimRow, Mark, SplitRow
from reports.text import Text

_LEVELS: Final = {
    ClaimStatus.CONFIRMED: "PASS",
    ClaimStatus.NOT_CONFIRMED: "FAIL",
    ClaimStatus.OPEN: "INCONCLUSIVE",
    ClaimStatus.NOT_TESTABLE: "NONE",
}

_HOWS: Final = {
    How.VALUE: Comparison.VALUE,
    How.DIFFERENCE: Comparison.DIFFERENCE,
    How.RATIO: Comparison.RATIO,
    How.SPEED_UP: Comparison.RATIO,
    How.SPEED_UP_PER_NFE: Comparison.VALUE,
}
"""As which comparison a test's number is written."""


def claims(view: RunView, text: Text) -> Iterator[ClaimRow]:
    """Yield every published claim beside what this run says of it."""
    for result in view.claims.claims:
        yield _row(view, text, result)


def _row(view: RunView, text: Text, result: ClaimResult) -> ClaimRow:
    claim, japanese = result.claim, text.language == "ja"
    return ClaimRow(
        label=words.shown(claim.label_ja if japanese else claim.label),
        said=words.shown(claim.text_ja if japanese else claim.text),
        source=words.shown(claim.source),
        published=_published(text, claim),
        numbers=tuple(_number(view, text, one) for one in result.results),
        beside=tuple(_beside(view, text, one) for one in result.beside),
        mark=_mark(text, result.status),
        reasons=tuple(_sentence(view, text, result, one) for one in result.reasons),
        differs=tuple(
            _sentence(view, text, result, one.said)
            for one in result.differs
            if one.condition is not Condition.WORLD
        ),
    )


def _mark(text: Text, status: ClaimStatus) -> Mark:
    return Mark(text(f"claim.{status}"), _LEVELS[status])


def _sentence(view: RunView, text: Text, result: ClaimResult, one: Finding) -> str:
    """Return a sentence with the names of metrics and settings in the place of their ids."""
    said, labels, arms = text.pick(one), {}, _arm_names(view, text)
    for test in result.results:
        labels[test.metric] = words.metric_label(text, test.metric)
        for name in filter(None, (test.arm, test.test.against)):
            labels[name] = arms.get(name) or text.get(f"arm.{name}", name)
    return words.shown(words.with_labels(said, labels))


def _published(text: Text, claim: Claim) -> tuple[str, ...]:
    if not claim.published:
        return (text("claim.in_words"),)
    return tuple(_value(text, one) for one in claim.published)


def _value(text: Text, one: PublishedValue) -> str:
    what = one.what_ja if text.language == "ja" else one.what
    value = f"{one.value:g}"
    if one.unit == "x":
        value = text("number.ratio", value=value)
    elif one.unit:
        value = f"{value} {one.unit}"
    return f"{words.shown(what)}{text('punctuation.colon')}{words.shown(value)}"


def _arm_names(view: RunView, text: Text) -> dict[str, str]:
    return {arm.name: words.arm_name(text, arm) for arm in view.plan.arms}


def _number(view: RunView, text: Text, one: TestResult) -> ClaimNumber:
    arm = _arms_of(view, text, one.arm, one.against)
    metric = words.metric_label(text, one.metric)
    return ClaimNumber(
        label=text("claim.number", metric=metric, how=text(f"claim.how.{one.test.how}")),
        arm=arm,
        cell=_cell(text, one.test, one.metric, one.figure),
        asked=_asked(text, one.test, one.metric),
        mark=_mark(text, one.status),
        reason=_reason(text, one),
    )


def _beside(view: RunView, text: Text, one: Beside) -> ClaimNumber:
    how = text(f"claim.how.{one.look.how}")
    label = text("claim.number", metric=words.metric_label(text, one.metric), how=how)
    return ClaimNumber(
        label=text("claim.beside", label=label),
        arm=_arms_of(view, text, one.arm, one.against),
        cell=_cell(text, one.look, one.metric, one.figure),
        asked="",
        mark=Mark(text("number.none"), "NONE"),
        reason="",
    )


def _arms_of(view: RunView, text: Text, arm: str, against: str | None) -> str:
    names = _arm_names(view, text)
    named = names.get(arm, words.shown(arm))
    if against is None:
        return named
    return text("contrast.pair", arm=named, against=names.get(against, words.shown(against)))


def _reason(text: Text, one: TestResult) -> str:
    """Return why nothing follows from a number, without the metric's id, which its row names."""
    if one.reason is None:
        return ""
    said = text.pick(one.reason)
    return words.shown(said.removeprefix(f"{one.metric}{text('punctuation.colon')}"))


def _cell(text: Text, test: ClaimLook, metric: str, found: Figure) -> Cell:
    if found.value is None:
        return Cell(text("number.none"), "", "", text("cell.absent"))
    low, high = (_written(text, test, metric, end) for end in (found.low, found.high))
    there = found.low is not None and found.high is not None
    interval = text("number.interval", low=low, high=high) if there else text("number.no_interval")
    return Cell(_written(text, test, metric, found.value), interval, text("n.clips", n=found.n))


def _asked(text: Text, test: ClaimTest, metric: str) -> str:
    ends = (("claim.above", test.above), ("claim.below", test.below))
    said = [text(key, value=_line(text, test, metric, e)) for key, e in ends if e is not None]
    return text("list.comma").join(said)


def _line(text: Text, test: ClaimTest, metric: str, end: float) -> str:
    """Return a line with all its digits: it is a published figure, not a measured one."""
    if test.how is How.SPEED_UP_PER_NFE:
        return f"{end:g}"
    if _HOWS[test.how] is Comparison.RATIO:
        return text("number.ratio", value=f"{end:g}")
    return _written(text, test, metric, end)


def _written(text: Text, test: ClaimLook, metric: str, value: float | None) -> str:
    unit = "" if test.how is How.SPEED_UP_PER_NFE else metric
    return words.number(text, unit, _HOWS[test.how], value)


def splits(view: RunView, text: Text) -> Iterator[SplitRow]:
    """Yield the parts of every timed arm's speed-up."""
    for one in view.claims.splits:
        if one.denoise.value is not None or one.whole.value is not None:
            yield _split(text, one)


def _split(text: Text, one: SpeedSplit) -> SplitRow:
    return SplitRow(
        name=words.arm_name(text, one.arm),
        denoise=_times(text, one.denoise),
        steps=words.number(text, "", Comparison.RATIO, one.steps),
        guidance=words.number(text, "", Comparison.RATIO, one.guidance),
        denoise_rest=_times(text, one.denoise_rest),
        whole=_times(text, one.whole),
        whole_rest=_times(text, one.whole_rest),
    )


def _times(text: Text, found: Figure) -> Cell:
    if found.value is None:
        return Cell(text("number.none"), "", "", text("cell.absent"))
    value = words.number(text, "", Comparison.RATIO, found.value)
    return Cell(value, words.interval(text, "", Comparison.RATIO, (found.low, found.high)), "")
