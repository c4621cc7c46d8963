"""The plain-text table of a measured folder: a row a clip, the means, and what is not there."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from poc.clip_records import (
    CLIP_METRICS,
    BesideSummary,
    ClipReport,
    FolderSummary,
    MetricSummary,
    Role,
    Status,
)
from poc.records import Counts, DeliverySummary
from poc.table import GAP, MISSING, WIDTH, columns, cut, figure, line

ROWS = 40
"""Largest folder whose clips are all shown; of a larger one only those that are not ok."""

_NAME_WIDTH = 36
_HEADS = {
    "luminance_jump": "lum_jump",
    "dynamic_degree": "dynamic",
    "clip_frame_consistency": "consistency",
}
"""Shorter column heads, so that a row fits the terminal; the means below have the full names."""
_RESAMPLED = {
    "clips": "clips",
    "prompts": "prompts",
    "clusters": "prompts, and each clip without one",
}
_STEERING = {"Cc", "Cf", "Cs", "Cn", "Co"}


def table(summary: FolderSummary, clips: Sequence[ClipReport]) -> str:
    """Return the table of a folder. Names of files cannot steer the terminal."""
    lines = _clips(clips) if len(clips) <= ROWS else []
    lines += ["", *_means(summary), *_missing(summary), "", *_bad(summary), *_counts(summary)]
    lines += [*_delivery(summary.delivery), *_beside(summary.beside)]
    lines += [f"note: {note}" for note in summary.notes]
    return "\n".join(_plain(line).rstrip() for line in lines).strip("\n")


def _clips(clips: Sequence[ClipReport]) -> list[str]:
    """Return a row a clip; what does not fit the width goes on in further blocks of rows."""
    names = ["clip", *(_plain(clip.name) for clip in clips)]
    cells = [_facts(clip) for clip in clips]
    facts = [list(c) for c in zip(("status", "frames", "size", "fps"), *cells, strict=True)]
    values = [
        [_HEADS.get(metric, metric), *(_number(clip.value(metric)) for clip in clips)]
        for metric in CLIP_METRICS
        if any(clip.value(metric) is not None for clip in clips)
    ]
    room = WIDTH - min(max(map(columns, names)), _NAME_WIDTH)
    lines: list[str] = []
    for block in _blocks([*facts, *values], room):
        lines += ["", *_aligned(list(zip(names, *block, strict=True)))]
    return lines


def _blocks(cells: Sequence[list[str]], room: int) -> list[list[list[str]]]:
    """Split columns into blocks that take at most `room` terminal columns."""
    blocks: list[list[list[str]]] = [[]]
    left = room
    for column in cells:
        width = max(map(columns, column)) + len(GAP)
        if blocks[-1] and width > left:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= width
    return blocks


def _facts(clip: ClipReport) -> list[str]:
    status = "ok" if clip.status is Status.OK else clip.status.value.upper()
    shape = clip.shape
    if shape is None:
        return [status, *[MISSING] * 3]
    fps = MISSING if shape.fps is None else f"{shape.fps:.4g}"
    return [status, str(shape.num_frames), f"{shape.width}x{shape.height}", fps]


def _number(value: float | None) -> str:
    return MISSING if value is None else figure(value)


def _means(summary: FolderSummary) -> list[str]:
    rows = [
        [one.metric, *_mean(one), _count(one), one.unit]
        for one in summary.metrics
        if one.value is not None
    ]
    return _aligned([["summary", "mean", "95 % interval", "n", "unit"], *rows]) if rows else []


def _mean(one: MetricSummary) -> list[str]:
    if one.low is None or one.high is None:
        return [_number(one.value), "none"]
    return [_number(one.value), f"[{figure(one.low)},{figure(one.high)}]"]


def _count(one: MetricSummary) -> str:
    """Return clips and, where they are fewer, the prompts or different clips among them."""
    if one.n_clusters == one.n_clips:
        return f"{one.n_clips} {'clips' if one.clusters == 'clusters' else one.clusters}"
    what = {"prompts": "prompts", "clips": "that differ", "clusters": "prompts or clips without"}[
        one.clusters
    ]
    return f"{one.n_clips} clips, {one.n_clusters} {what}"


def _missing(summary: FolderSummary) -> list[str]:
    """Return what stands behind each interval, and what was not measured and why."""
    lines = []
    there = [one for one in summary.metrics if one.value is not None]
    for method in dict.fromkeys(one.method for one in there if one.low is not None):
        names = ", ".join(one.metric for one in there if one.method == method)
        kind = _RESAMPLED[next(one.clusters for one in there if one.method == method)]
        lines.append(f"interval of {names}: {method}; it resamples {kind}")
    said: dict[str, list[str]] = {}
    for one in summary.metrics:
        text = "; ".join(filter(None, (one.reason, *one.notes)))
        if text:
            said.setdefault(text if one.value is not None else f"not measured: {text}", []).append(
                one.metric
            )
    return [*lines, *(f"{', '.join(names)}: {text}" for text, names in said.items())]


def _bad(summary: FolderSummary) -> list[str]:
    whose = {Role.REFERENCE: "reference ", Role.BASELINE: "baseline ", Role.BESIDE: "other "}
    return [
        f"{whose.get(one.role, '')}{cut(_plain(one.file), _NAME_WIDTH)}: {one.status}: {one.reason}"
        for one in summary.not_ok
    ]


def _counts(summary: FolderSummary) -> list[str]:
    lines = [f"clips: {_sum(summary.counts)}"]
    if summary.reference_counts is not None:
        lines.append(f"reference: {_sum(summary.reference_counts)}")
    return [*lines, f"protocol: {summary.protocol}"]


def _delivery(found: DeliverySummary | None) -> list[str]:
    """Return what a delivery states of itself, marked as that."""
    if found is None:
        return []
    price = f"none ({found.price_reason})"
    if found.price_total is not None:
        each = "none" if found.price_per_ok is None else f"{found.price_per_ok:.6g}"
        price = f"{found.price_total:.6g} {found.currency} in all, {each} a usable clip"
    time = "none"
    if found.latency_median_s is not None and found.latency_max_s is not None:
        time = (
            f"median {figure(found.latency_median_s)} s, longest {figure(found.latency_max_s)} s, "
            f"n = {found.latency_n} of {found.takes} takes"
        )
    lines = [f"delivery ({found.basis}): price {price}; request to receipt: {time}"]
    if found.picked:
        lines.append(
            f"delivery: {len(found.picked)} of {found.takes} takes are HAND-PICKED, numbers "
            f"flatter: {cut(_plain(', '.join(found.picked)), 2 * _NAME_WIDTH)}"
        )
    return lines


def _beside(found: BesideSummary | None) -> list[str]:
    """Return the differences to another arm, own minus other."""
    if found is None:
        return []
    rows = [
        [one.metric, *_mean(one), f"{one.n_clusters} prompts", one.unit]
        for one in found.metrics
        if one.value is not None
    ]
    head = ["own minus other, by prompt", "mean", "95 % interval", "n", "unit"]
    unlike = {one.reason for one in found.metrics if one.value is None and "mixed" in one.reason}
    return [
        "",
        *(_aligned([head, *rows]) if rows else []),
        *(f"not compared: {reason}" for reason in sorted(unlike)),
        f"other arm: {_sum(found.counts)}; {found.prompts} prompts in common",
    ]


def _sum(counts: Counts) -> str:
    return (
        f"planned {counts.planned} = ok {counts.ok} + failed {counts.failed} "
        f"+ invalid {counts.invalid}"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], _NAME_WIDTH)
    return [line(row, widths) for row in rows]


def _plain(text: str) -> str:
    r"""Return a text without anything that steers a terminal.

    >>> _plain("a\x1b[31m")
    'a?[31m'
    """
    return "".join("?" if unicodedata.category(sign) in _STEERING else sign for sign in text)
