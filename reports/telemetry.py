"""What the GPU's driver told while clips were timed, in words: a line for documents, a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poc.latency_telemetry import ArmTelemetry, DeviceSeen, Energy, Share, Span
from poc.records import Arm, Comparison
from reports import remarks
from reports import text as words
from reports.judged import focus_arm
from reports.load import RunView
from reports.text import Text


def summary(view: RunView, text: Text) -> str:
    """Return a few sentences on the whole run, with the energy of the judged arm and the baseline.

    Where the driver told nothing, that nothing was measured, and why.
    """
    seen = view.telemetry.device
    if not seen.n_read:
        return _not_measured(view, text)
    named = {arm.id: words.arm_name(text, arm) for arm in (focus_arm(view), view.baseline)}
    energies = (
        f"{named[one.arm_id]}: {_energy(text, one.energy)}"
        for one in view.telemetry.arms
        if one.arm_id in named
    )
    return text(
        "latency.device.said",
        read=seen.n_read,
        n=seen.n,
        throttled=_throttled(text, seen),
        shared=_share(text, seen.shared),
        clock=_span(text, seen.sm_clock_mhz),
        energy=text("list.comma").join(energies),
    )


def rows(view: RunView, text: Text, arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return one row for each of these arms that was timed."""
    told = {one.arm_id: one for one in view.telemetry.arms}
    return [_row(text, words.arm_name(text, arm), told[arm.id]) for arm in arms if arm.id in told]


def untold(view: RunView, text: Text) -> Iterator[str]:
    """Yield what the driver did not tell of some clip or of all, with its reason."""
    for field, reason in view.telemetry.device.untold:
        yield f"{text(f'latency.device.{field}')}: {words.shown(reason)}"


def _not_measured(view: RunView, text: Text) -> str:
    """Return which it was: the driver had no answer, there is none, or it was not asked."""
    why = sorted({words.shown(reason) for _, reason in view.telemetry.device.untold})
    if why:
        return text("latency.device.blind", why=text("list.comma").join(why))
    on_cpu = {found.device for found in view.resolved} == {"cpu"}
    return text("latency.device.none") if on_cpu else text("latency.device.not_asked")


def _row(text: Text, name: str, one: ArmTelemetry) -> dict[str, str]:
    seen = one.device
    return {
        text("column.arm"): name,
        text("column.n"): text("latency.device.count", count=seen.n_read, n=seen.n),
        text("latency.device.energy_j"): _energy(text, one.energy),
        text("latency.device.clock_reasons"): _throttled(text, seen),
        text("latency.device.sm_clock_mhz"): _span(text, seen.sm_clock_mhz),
        text("latency.device.memory_clock_mhz"): _span(text, seen.memory_clock_mhz),
        text("latency.device.power_w"): _span(text, seen.power_w),
        text("latency.device.temperature_c"): _span(text, seen.temperature_c),
        text("latency.device.used_bytes"): _span(text, seen.used_bytes, "peak_memory_bytes"),
        text("latency.device.other_processes"): _share(text, seen.shared),
        text("latency.device.other_bytes"): words.number(
            text, "peak_memory_bytes", Comparison.VALUE, seen.most_other_bytes
        ),
    }


def _energy(text: Text, energy: Energy) -> str:
    if energy.median_j is None:
        return remarks.said(text, energy.reason)
    ends = (energy.low_j, energy.high_j)
    return text(
        "number.with_n",
        value=_number(text, energy.median_j),
        interval=words.interval(text, "energy_j", Comparison.VALUE, ends),
        n=energy.n,
    )


def _throttled(text: Text, seen: DeviceSeen) -> str:
    said = _share(text, seen.throttled)
    why = text("list.comma").join(f"{words.shown(name)} {count}" for name, count in seen.reasons)
    return text("number.in_brackets", said=said, why=why) if why else said


def _share(text: Text, share: Share) -> str:
    if share.share is None:
        return text("latency.device.untold")
    counted = text("latency.device.count", count=share.clips, n=share.n)
    return text("number.in_brackets", said=counted, why=words.percent(text, share.share))


def _span(text: Text, span: Span | None, metric: str = "plain") -> str:
    if span is None:
        return text("latency.device.untold")
    if span.low == span.high:
        return _number(text, span.low, metric)
    return words.interval(text, metric, Comparison.VALUE, (span.low, span.high))


def _number(text: Text, value: float, metric: str = "plain") -> str:
    return words.number(text, metric, Comparison.VALUE, value)
