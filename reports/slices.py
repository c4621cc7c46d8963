"""What pages show of slices: each arm where the light, the viewpoint or another factor is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poc.records import ArmSummary, Comparison, Estimate, SliceEstimates
from poc.slicing import looks_compare
from reports import text as words
from reports.judged import cell
from reports.load import RunView
from reports.model import SliceRow, SliceTable
from reports.text import Text


def slice_tables(view: RunView, text: Text) -> Iterator[SliceTable]:
    """Yield a table for each factor and metric that the spec looks at by slices."""
    asked = view.plan.spec.slices
    if asked is None:
        return
    for factor in asked.by:
        parts = [one for one in view.estimates.slices if one.factor == factor]
        for metric in asked.metrics:
            label = words.metric_label(text, metric)
            yield SliceTable(
                title=text("slice.title", metric=label, factor=words.factor_label(text, factor)),
                columns=tuple(_column(text, one) for one in parts),
                rows=tuple(_row(view, text, s, metric, parts) for s in view.estimates.arms),
            )


def _column(text: Text, one: SliceEstimates) -> str:
    return text("slice.column", value=words.slice_label(text, one.value), n=one.n_prompts)


def _row(
    view: RunView, text: Text, summary: ArmSummary, metric: str, parts: Sequence[SliceEstimates]
) -> SliceRow:
    base = summary.arm.id == view.baseline.id
    how = Comparison.VALUE if base else Comparison.DIFFERENCE
    seen = looks_compare(metric, summary.arm.style, view.baseline.style)
    found = (_find(one, summary.arm.id, metric, how) if seen else None for one in parts)
    return SliceRow(
        name=words.arm_name(text, summary.arm),
        marked=base or summary.arm.id == view.decision.recommended_arm_id,
        cells=tuple(cell(text, one) for one in found),
    )


def _find(part: SliceEstimates, arm_id: str, metric: str, how: Comparison) -> Estimate | None:
    wanted = (arm_id, metric, how)
    found = (e for e in part.estimates if (e.arm_id, e.metric, e.comparison) == wanted)
    return next(found, None)
