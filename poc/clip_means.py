"""What follows from the numbers of a folder's clips: counts, clusters, means and refusals.

Pure: reports in, summaries out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from metrics import catalog
from poc.clip_folder import listed
from poc.clip_records import RATES, ClipReport, Clusters, MetricSummary, Status
from poc.outcomes import sample_outcomes
from poc.records import Comparison, Counts, Estimate, short_id
from poc.samples import Sample

GROWS_WITH_LENGTH: Final = frozenset({"luminance_jump", "flashes"})
"""Metrics that are a largest value or a count over a clip: they grow with its length."""


def count(clips: Sequence[ClipReport]) -> Counts:
    """Return where the planned clips went: ok, failed or invalid."""
    found = Counter(clip.status for clip in clips)
    return Counts(
        planned=len(clips),
        ok=found[Status.OK],
        failed=found[Status.FAILED],
        invalid=found[Status.INVALID],
        pending=0,
    )


def clusters_of(clips: Sequence[ClipReport]) -> tuple[Clusters, tuple[str, ...]]:
    """Return what valid clips are independent draws of, and the name of each clip's draw.

    Clips of one prompt are alike and copies are the same: neither adds to n. A clip without a
    prompt belongs to its copies, and to their prompt where one of them has any; else it stands for
    itself, and leaves the others to their prompts.
    """
    prompts = {clip.frames_digest: clip.prompt for clip in clips if clip.prompt}
    known = [clip.prompt or prompts.get(clip.frames_digest) for clip in clips]
    names = tuple(
        prompt or str(clip.frames_digest) for prompt, clip in zip(known, clips, strict=True)
    )
    if not any(known):
        return "clips", names
    return "prompts" if all(known) else "clusters", names


def mixed(clips: Sequence[ClipReport]) -> str:
    """Return why numbers of valid clips have no common mean; empty where they have.

    Sizes and frame rates must agree: px/frame and changes from frame to frame depend on both.
    """
    shapes = [clip.shape for clip in clips if clip.shape is not None]
    sizes = sorted({f"{shape.width}x{shape.height}" for shape in shapes})
    rates = sorted({"unknown" if s.fps is None else f"{s.fps:.4g}" for s in shapes})
    found = [
        f"{what} are mixed ({', '.join(values[:4])})"
        for what, values in (("sizes", sizes), ("frame rates", rates))
        if len(values) > 1
    ]
    return f"{' and '.join(found)}: give --protocol to compare" if found else ""


def mixed_lengths(metric: str, clips: Sequence[ClipReport]) -> str:
    """Return why a metric has no mean over clips of several lengths; empty where it has one."""
    counts = sorted({clip.shape.num_frames for clip in clips if clip.shape is not None})
    if metric not in GROWS_WITH_LENGTH or len(counts) < 2:
        return ""
    shown = ", ".join(map(str, counts[:4]))
    return f"frame counts are mixed ({shown}) and it grows with them: give --protocol to compare"


def summarise(
    metric: str, clips: Sequence[ClipReport], *, planned: int, refusal: str
) -> MetricSummary:
    """Return the mean of one metric over valid clips, with an interval from 2 clusters on.

    `refusal` says why there is no common mean. A mean weighs every prompt (or clip that differs)
    alike; below 15 of them the interval is Student's t, else a bootstrap (`poc.outcomes`).
    """
    pairs = [(clip, value) for clip in clips if (value := clip.value(metric)) is not None]
    measured = [clip for clip, _ in pairs]
    kind, names = clusters_of(measured)
    if refusal or not measured:
        reason = refusal if measured else _why_none(metric, clips)
        return summary_of(metric, kind, reason=reason, n_missing=planned - len(measured))
    groups: dict[str, list[float]] = {}
    for name, (_, value) in zip(names, pairs, strict=True):
        groups.setdefault(name, []).append(value)
    means = np.array([np.mean(group) for group in groups.values()])
    sample = Sample(
        arm_id="",
        metric=metric,
        comparison=Comparison.VALUE,
        numerator=means,
        denominator=np.ones(len(means)),
        present=np.ones(len(means), dtype=np.bool_),
        n_clips=len(measured),
        n_missing=planned - len(measured),
        notes=(),
        reason="",
        cluster=kind.removesuffix("s"),
    )
    # Seeded by what is measured, so that the same clips give the same interval in any folder.
    seed = int(short_id(sorted(groups)), 16)
    (outcome,) = sample_outcomes([sample], RATES, seed=seed)
    return of_estimate(metric, kind, outcome.estimate)


def of_estimate(metric: str, kind: Clusters, estimate: Estimate) -> MetricSummary:
    """Return an estimate over prompts or clips as the summary of one metric."""
    return summary_of(
        metric,
        kind,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n_clips=estimate.n_clips,
        n_clusters=estimate.n_prompts,
        n_missing=estimate.n_missing,
        method=estimate.method,
        reason=estimate.reason,
        notes=estimate.notes,
    )


def _why_none(metric: str, clips: Sequence[ClipReport]) -> str:
    reasons = [row.reason for clip in clips if (row := clip.row(metric)) is not None]
    if not reasons:
        return "no valid clip"
    return Counter(reasons).most_common(1)[0][0]


def summary_of(
    metric: str,
    kind: Clusters,
    *,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    n_clips: int = 0,
    n_clusters: int = 0,
    n_missing: int = 0,
    method: str = "none",
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> MetricSummary:
    """Return a summary of one metric with unit and version filled in; nothing by default."""
    info = catalog.describe(metric)
    return MetricSummary(
        metric=metric,
        version=info.version,
        unit=info.unit,
        value=value,
        low=low,
        high=high,
        n_clips=n_clips,
        n_clusters=n_clusters,
        clusters=kind,
        n_missing=n_missing,
        method=method,
        reason=reason,
        notes=notes,
    )


def set_summary(
    metric: str,
    clips: Sequence[ClipReport],
    *,
    planned: int,
    value: float | None = None,
    interval: tuple[float, float] | None = None,
    method: str = "none",
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> MetricSummary:
    """Return the number of a set of valid clips, or why there is none."""
    kind, names = clusters_of(clips)
    low, high = interval or (None, None)
    there = value is not None
    return summary_of(
        metric,
        kind,
        value=value,
        low=low,
        high=high,
        n_clips=len(clips) if there else 0,
        n_clusters=len(set(names)) if there else 0,
        n_missing=planned - len(clips) if there else planned,
        method=method,
        reason=reason,
        notes=notes,
    )


def set_refusal(clips: Sequence[ClipReport], reference: Sequence[ClipReport]) -> str:
    """Return why two sets of valid clips have no distance; empty where they have one."""
    both = [*clips, *reference]
    if unlike := mixed(both):
        return unlike
    counts = sorted({clip.shape.num_frames for clip in both if clip.shape is not None})
    if len(counts) > 1:
        return f"frame counts are mixed ({', '.join(map(str, counts[:4]))}): give --protocol"
    if len(clips) != len(reference):
        return (
            f"{len(clips)} valid clips against {len(reference)} of the reference: FVD and KVD are "
            "compared only at equal n; take as many of both"
        )
    return ""


def copies(clips: Sequence[ClipReport]) -> list[str]:
    """Return a note for every group of clips with the same frames: they count once in n."""
    groups: dict[str, list[str]] = {}
    for clip in clips:
        if clip.frames_digest is not None and clip.status is Status.OK:
            groups.setdefault(clip.frames_digest, []).append(clip.name)
    return [f"the same frames: {listed(names)}" for names in groups.values() if len(names) > 1]
