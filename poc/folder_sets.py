"""FVD and KVD of a folder's valid clips against those of a reference, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics import catalog
from metrics.base import SetBasis
from poc.clip_bench import NO_EXTRACTOR, Bench, named
from poc.clip_means import clusters_of, set_refusal, set_summary
from poc.clip_records import (
    SET_METRICS,
    ClipReport,
    FolderMeasurement,
    MetricSummary,
    Role,
    Status,
)
from poc.clip_video import VideoNetwork
from poc.records import digest

Floats = npt.NDArray[np.float64]

LEVEL, FLOOR_SEED = 0.95, 0
MANY_DIMENSIONS = 64
"""Beyond these a floor varies by 1 to 3 % from draw to draw, and a draw takes long."""

_NO_REFERENCE = "no --reference is given"
_INDEPENDENT = (
    "takes clips for independent: too narrow where clips share a prompt, and too low, also "
    "significantly, where the reference shows the folder's own prompts: then name the files of "
    "both after them and give --prompts names"
)
_ONE_SIDED = (
    "no interval, since the prompts of one side alone are known, and clips of one prompt are no "
    "independent draws: name the files of both after them and give --prompts names"
)


def set_metrics(
    bench: Bench, clips: Sequence[ClipReport], reference: Sequence[ClipReport]
) -> Iterator[MetricSummary]:
    """Yield FVD and KVD of the valid clips against those of the reference, or why not."""
    own, other = ([c for c in side if c.status is Status.OK] for side in (clips, reference))
    reason = _set_reason(bench, own, other)
    if reason:
        for name in SET_METRICS:
            yield set_summary(name, own, planned=len(clips), reason=reason)
        return
    if bench.video is None:
        return
    sets = _set_pair(bench, bench.video, own, other, planned=len(clips))
    yield _fvd(sets)
    yield _kvd(sets)


def _set_reason(bench: Bench, own: Sequence[ClipReport], other: Sequence[ClipReport]) -> str:
    if not bench.manner.for_sets:
        return _NO_REFERENCE
    if bench.video is None:
        return NO_EXTRACTOR
    if not own or not other:
        return "no valid clip" if not own else "no valid clip in the reference"
    if refusal := set_refusal(own, other):
        return refusal
    shape = own[0].shape
    return "no shape" if shape is None else bench.video.why_not(shape)


@dataclass(frozen=True, slots=True)
class _Sets:
    """Valid clips and the reference's, with their features (n, d) and (m, d)."""

    own: Sequence[ClipReport]
    other: Sequence[ClipReport]
    planned: int
    features: Floats
    reference: Floats
    basis: SetBasis


def _set_pair(
    bench: Bench,
    video: VideoNetwork,
    own: Sequence[ClipReport],
    other: Sequence[ClipReport],
    *,
    planned: int,
) -> _Sets:
    features, reference = (
        np.stack([bench.features[video.key(clip.frames_digest)] for clip in side])
        for side in (own, other)
    )
    basis = SetBasis(
        n=len(own),
        reference_n=len(other),
        dimension=features.shape[1],
        reference=frames_digest_of(other),
        protocol=bench.protocol_text,
        extractor=video.id,
        extractor_digest=video.digest,
    )
    return _Sets(own, other, planned, features, reference, basis)


def frames_digest_of(clips: Sequence[ClipReport]) -> str:
    """Return one digest of the frames of all clips, in whatever order they lie."""
    return digest(sorted(str(clip.frames_digest) for clip in clips))


def _fvd(sets: _Sets) -> MetricSummary:
    from metrics.fvd import fvd, fvd_infinity

    basis = sets.basis
    if min(basis.n, basis.reference_n) < 2:
        reason = "a covariance needs 2 clips or more, got 1"
        return set_summary("fvd", sets.own, planned=sets.planned, reason=reason)
    draws = 200 if basis.dimension <= MANY_DIMENSIONS else 20
    result = fvd(sets.features, sets.reference, basis=basis, draws=draws, seed=FLOOR_SEED)
    ratio = "" if result.ratio is None else f", ratio {result.ratio:.3g}"
    notes = [f"noise floor {result.floor.mean:.3g} at n = {basis.n}{ratio}"]
    if basis.rank_deficient:
        notes.append(
            f"rank-deficient: {basis.n} clips against {basis.reference_n} cannot span "
            f"{basis.dimension} features, more than {basis.dimension} of both are needed; it may "
            "enter no criterion"
        )
    endless = fvd_infinity(sets.features, sets.reference, seed=FLOOR_SEED)
    if endless.value is not None:
        notes.append(f"FVD-infinity {endless.value:.3g}")
    names = _labels(sets)
    if set(names[: basis.n]) & set(names[basis.n :]):
        notes.append("too low: the reference shows prompts or frames of the folder itself")
    return set_summary(
        "fvd",
        sets.own,
        planned=sets.planned,
        value=result.value,
        method="Frechet distance of video features",
        reason="an interval is given for KVD only; FVD is biased at small n",
        notes=(*notes, f"against {basis.reference_n} clips", f"extractor {basis.extractor}"),
    )


def _kvd(sets: _Sets) -> MetricSummary:
    from metrics.kvd import FEWEST, kvd_jackknife

    # Clips of one prompt, or of the same frames, are no independent pair, in the reference neither.
    # Each side is grouped by what is known of it, whatever the other lacks.
    kind, other_kind = (clusters_of(side)[0] for side in (sets.own, sets.other))
    labels, count = np.array(_labels(sets)), len(sets.own)
    own, other = labels[:count], labels[count:]
    fewest = min(len(set(own)), len(set(other)))
    if fewest < FEWEST:
        few = kind if len(set(own)) == fewest else other_kind
        reason = f"an interval needs {FEWEST} {few} or more, got {fewest}"
        return set_summary("kvd", sets.own, planned=sets.planned, reason=reason)
    found = kvd_jackknife(
        sets.features,
        sets.reference,
        clusters=own,
        reference_clusters=other,
    )
    notes = (f"against {len(sets.other)} clips", f"extractor {sets.basis.extractor}")
    if (kind == "clips") != (other_kind == "clips"):
        return set_summary(
            "kvd",
            sets.own,
            planned=sets.planned,
            value=found.value,
            method="unbiased MMD of video features",
            reason=_ONE_SIDED,
            notes=notes,
        )
    interval = found.interval(LEVEL)
    return set_summary(
        "kvd",
        sets.own,
        planned=sets.planned,
        value=found.value,
        interval=(interval.low, interval.high),
        method=f"jackknife over {kind}, of folder and reference together, skew-corrected",
        notes=(*([_INDEPENDENT] if kind == "clips" else []), *notes),
    )


def _labels(sets: _Sets) -> tuple[str, ...]:
    """Return what each clip is a draw of, the reference's after the folder's."""
    return clusters_of([*sets.own, *sets.other])[1]


def _seen_through(bench: Bench, metric: str) -> tuple[str | None, str | None]:
    """Return name and digest of the network that a metric of a set stands on."""
    if metric in SET_METRICS:
        return (bench.video.id, bench.video.digest) if bench.video else (None, None)
    takes_images = "clip_features" in catalog.describe(metric).takes
    return (bench.image_network if takes_images else None) or (None, None)


def set_row(
    bench: Bench,
    one: MetricSummary,
    clips: Sequence[ClipReport],
    reference: Sequence[ClipReport],
) -> FolderMeasurement:
    """Return the row of a set's number, or of why there is none."""
    own, other = ([c for c in side if c.status is Status.OK] for side in (clips, reference))
    there = one.value is not None
    extractor, pinned = _seen_through(bench, one.metric) if there else (None, None)
    return FolderMeasurement(
        role=Role.SET,
        file=None,
        file_digest=None,
        frames_digest=frames_digest_of(own),
        shape=own[0].shape if there else None,
        decoder=None,
        protocol=bench.protocol_text,
        prompt=None,
        **named(one.metric),
        value=one.value,
        status=Status.OK if there else Status.NOT_MEASURED,
        reason="" if there else one.reason,
        fault=None,
        extractor=extractor,
        extractor_digest=pinned,
        reference_digest=frames_digest_of(other) if other and one.metric in SET_METRICS else None,
    )
