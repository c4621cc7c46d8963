"""Runs whose arms differ in one thing each, as a page: what it changed, in words and numbers.

Strings ready to show, and what each picture holds. Formats; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poc.records import ArmSummary, Comparison, ContrastEstimates, ContrastResult, Standing
from reports import text as words
from reports.claim_pictures import Picture, clips_of, named
from reports.content import make_content
from reports.judged import cell
from reports.load import RunView
from reports.model import Cell, ContrastTable, Line
from reports.text import Text


@dataclass(frozen=True, slots=True)
class Brief:
    """A comparison in a line: its question, and the metrics by how they came out."""

    question: str
    better: str
    worse: str
    other: str
    """Differences that are neither, and metrics without a difference shown."""


@dataclass(frozen=True, slots=True)
class ArmValues:
    """One setting's own values, in the order of the section's metrics."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class RunSection:
    """One run: its question, what came out in brief, the numbers, and the same prompt by all."""

    anchor: str
    question: str
    warnings: tuple[str, ...]
    briefs: tuple[Brief, ...]
    metrics: tuple[Line, ...]
    arms: tuple[ArmValues, ...]
    tables: tuple[ContrastTable, ...]
    picture: Picture | None
    made: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ComparisonsPage:
    """The page in one language, in reading order."""

    text: Text
    tiny: str
    """Empty unless a run is a demonstration."""
    notes: tuple[str, ...]
    about: str
    sections: tuple[RunSection, ...]
    glossary: tuple[Line, ...]


def make_page(views: Sequence[RunView], text: Text, notes: tuple[str, ...]) -> ComparisonsPage:
    """Put the comparisons of runs into words, in the order of the runs."""
    sections = tuple(_section(view, text) for view in views)
    lines = {line.term: line for section in sections for line in section.metrics if line.said}
    level = f"{100 * views[0].estimates.level:.0f}"
    total = sum(len(one.results) for view in views for one in view.estimates.contrasts)
    return ComparisonsPage(
        text=text,
        tiny=text("banner.demonstration") if any(view.demonstration for view in views) else "",
        notes=notes,
        about=text("section.contrasts.about", level=level, n=total),
        sections=sections,
        glossary=tuple(lines.values()),
    )


def metrics_of(view: RunView) -> tuple[str, ...]:
    """Return the metrics that a run compares, each once, in the order of its comparisons."""
    compared = (one.estimate.metric for c in view.estimates.contrasts for one in c.results)
    return tuple(dict.fromkeys(compared))


def _section(view: RunView, text: Text) -> RunSection:
    content, metrics = make_content(view, text), metrics_of(view)
    arms = [summary.arm for summary in view.estimates.arms]
    picture = clips_of(view, text, arms, view.baseline)
    return RunSection(
        anchor=words.shown(view.plan.spec.name),
        question=content.question,
        warnings=content.warnings,
        briefs=tuple(_brief(text, one) for one in view.estimates.contrasts),
        metrics=tuple(
            Line(words.metric_label(text, one), words.metric_help(text, one)) for one in metrics
        ),
        arms=tuple(_values(view, text, one, metrics) for one in view.estimates.arms),
        tables=content.contrasts,
        picture=named(picture, words.shown(view.plan.spec.name)) if picture else None,
        made=tuple(_made(view, text)),
    )


def _brief(text: Text, found: ContrastEstimates) -> Brief:
    def listed(*wanted: Standing) -> str:
        said = [_change(text, one) for one in found.results if one.standing in wanted]
        return text("list.comma").join(said) or text("number.none")

    return Brief(
        question=words.shown(found.question_ja if text.language == "ja" else found.question),
        better=listed(Standing.BETTER),
        worse=listed(Standing.WORSE),
        other=listed(Standing.DIFFERENT, Standing.OPEN),
    )


def _change(text: Text, one: ContrastResult) -> str:
    """Return a metric and its difference; a difference without a better side is said to be one."""
    label = words.metric_label(text, one.estimate.metric)
    if one.estimate.value is None:
        return label
    value, _ = words.estimate(text, one.estimate)
    if one.standing is Standing.DIFFERENT:
        value += text("punctuation.aside", said=text("standing.different"))
    return f"{label} {value}"


def _values(view: RunView, text: Text, summary: ArmSummary, metrics: Sequence[str]) -> ArmValues:
    arm = summary.arm
    found = (view.estimate(arm.id, one, Comparison.VALUE) for one in metrics)
    return ArmValues(words.arm_name(text, arm), tuple(cell(text, one) for one in found))


def _made(view: RunView, text: Text) -> Iterator[Line]:
    """Yield how the run was made and can be checked."""
    spec = view.plan.spec
    sizes = {"prompts": len(view.plan.prompts), "arms": len(view.plan.arms)}
    yield Line(text("comparisons.spec"), words.shown(spec.name))
    yield Line(text("comparisons.size"), text("comparisons.size.said", **sizes, seed=spec.seed))
    yield Line(text("request.made"), words.shown(str(view.manifest.get("created", ""))))
    yield Line(text("provenance.plan"), view.estimates.plan_digest[:16])
    yield Line(text("provenance.estimates"), view.decision.estimates_digest[:16])
