"""What a folder's clips have in common, or lack: diversity across seeds, and marks on many of them.

Both look at several clips at once and need no reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from poc.clip_bench import Bench
from poc.clip_folder import listed
from poc.clip_means import clusters_of, of_estimate, set_summary
from poc.clip_records import ClipReport, MetricSummary, Status
from poc.outcomes import sample_outcomes
from poc.records import Comparison, short_id
from poc.samples import Sample

DIVERSITY, OVERLAY = "seed_diversity", "overlay_rate"


def folder_rates(bench: Bench, clips: Sequence[ClipReport]) -> Iterator[MetricSummary]:
    """Yield diversity across seeds and the share of marked clips, or why there is none.

    Copies count for diversity: seeds that give one clip are what it has to show. For marks they
    count once, since they share every edge.
    """
    valid = [clip for clip in clips if clip.status is Status.OK]
    first: dict[str | None, ClipReport] = {}
    for clip in valid:
        first.setdefault(clip.frames_digest, clip)
    yield _diversity(bench, valid, planned=len(clips))
    yield _overlay(bench, list(first.values()), planned=len(clips))


def _diversity(bench: Bench, clips: Sequence[ClipReport], *, planned: int) -> MetricSummary:
    from metrics.diversity import seed_diversity

    known = [(clip, bench.image_of(clip)) for clip in clips if clip.prompt]
    seen = [(clip, feature) for clip, feature in known if feature is not None]
    prompts = [clip.prompt for clip, _ in seen]
    if len(set(prompts)) == len(prompts):
        reason = "no prompt has two clips that an image-text network knows"
        return set_summary(DIVERSITY, clips, planned=planned, reason=reason)
    found = seed_diversity(np.stack([feature for _, feature in seen]), prompts)
    values = np.array(list(found.of_prompt.values()))
    sample = Sample(
        arm_id="",
        metric=DIVERSITY,
        comparison=Comparison.VALUE,
        numerator=values,
        denominator=np.ones(len(values)),
        present=np.ones(len(values), dtype=np.bool_),
        n_clips=found.clips,
        n_missing=planned - found.clips,
        notes=(),
        reason="",
    )
    seed = int(short_id(sorted(map(str, found.of_prompt))), 16)
    (outcome,) = sample_outcomes([sample], frozenset(), seed=seed)
    return of_estimate(DIVERSITY, "prompts", outcome.estimate)


def _overlay(bench: Bench, clips: Sequence[ClipReport], *, planned: int) -> MetricSummary:
    """Return the share of marked clips, over one clip a prompt: clips of one scene look marked."""
    from metrics.overlay import FEWEST, overlay_rate

    of_prompt: dict[str, ClipReport] = {}
    for name, clip in zip(clusters_of(clips)[1], clips, strict=True):
        of_prompt.setdefault(name, clip)
    known = [(clip, bench.edges_of(clip)) for clip in of_prompt.values()]
    seen = [(clip, field) for clip, field in known if field is not None]
    used = [clip for clip, _ in seen]
    if len(seen) < FEWEST:
        reason = f"takes {FEWEST} clips of different prompts, got {len(seen)}"
        return set_summary(OVERLAY, used, planned=planned, reason=reason)
    if len({field.shape for _, field in seen}) > 1:
        reason = "sizes are mixed: give --protocol to compare"
        return set_summary(OVERLAY, used, planned=planned, reason=reason)
    found = overlay_rate(np.stack([field for _, field in seen]))
    marked = [clip.name for clip, is_marked in zip(used, found.marked, strict=True) if is_marked]
    return set_summary(
        OVERLAY,
        used,
        planned=planned,
        value=found.value,
        method="edges in place",
        reason="has no interval: each clip is judged by the others",
        notes=(f"marked: {listed(marked)}",) if marked else (),
    )
