"""One folder of clips beside another, prompt by prompt.

Clips made elsewhere share no seed with ours, so takes are not paired: each prompt's mean is, with
the other arm's mean of the same prompt. Both are measured under one protocol.
Pure: reports in, summaries out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from poc.clip_means import mixed, mixed_lengths, of_estimate, summary_of
from poc.clip_records import CLIP_METRICS, RATES, ClipReport, MetricSummary, Status
from poc.outcomes import sample_outcomes
from poc.records import Comparison, short_id
from poc.samples import Sample


def differences(own: Sequence[ClipReport], other: Sequence[ClipReport]) -> Iterator[MetricSummary]:
    """Yield each metric's mean difference, own minus other, over the prompts that both have."""
    ok, beside = ([c for c in side if c.status is Status.OK] for side in (own, other))
    for metric in CLIP_METRICS:
        both = [*ok, *beside]
        refusal = mixed(both) or mixed_lengths(metric, both) or _unlike(metric, ok, beside)
        yield _difference(metric, ok, beside, refusal=refusal, planned=len(own))


def _unlike(metric: str, own: Sequence[ClipReport], other: Sequence[ClipReport]) -> str:
    """Return why numbers of one metric do not compare; empty where they do."""
    rows = [row for clip in (*own, *other) if (row := clip.row(metric)) and row.value is not None]
    seen = sorted({f"{row.extractor} {row.extractor_digest or ''}".strip() for row in rows})
    return f"seen through {' and '.join(seen)}" if len(seen) > 1 else ""


def _difference(
    metric: str,
    own: Sequence[ClipReport],
    other: Sequence[ClipReport],
    *,
    refusal: str,
    planned: int,
) -> MetricSummary:
    mine, theirs = _by_prompt(metric, own), _by_prompt(metric, other)
    prompts = sorted(mine.keys() & theirs.keys())
    clips = sum(len(mine[prompt]) for prompt in prompts)
    if refusal or not prompts:
        reason = refusal or "no prompt has a value on both sides"
        return summary_of(metric, "prompts", reason=reason, n_missing=planned)
    gaps = np.array([np.mean(mine[prompt]) - np.mean(theirs[prompt]) for prompt in prompts])
    sample = Sample(
        arm_id="",
        metric=metric,
        comparison=Comparison.DIFFERENCE,
        numerator=gaps,
        denominator=np.ones(len(gaps)),
        present=np.ones(len(gaps), dtype=np.bool_),
        n_clips=clips,
        n_missing=planned - clips,
        notes=(),
        reason="",
    )
    (outcome,) = sample_outcomes([sample], RATES, seed=int(short_id(prompts), 16))
    return of_estimate(metric, "prompts", outcome.estimate)


def _by_prompt(metric: str, clips: Sequence[ClipReport]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for clip in clips:
        value = clip.value(metric)
        if clip.prompt and value is not None:
            found.setdefault(clip.prompt, []).append(value)
    return found
