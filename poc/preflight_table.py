"""What `poc plan` prints of licences and of the pre-flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from poc.models import Model, ModelTable
from poc.preflight import LicenceRow, line_of
from poc.records import Plan, PreflightFinding, Severity

_BYTES_PER_NUMBER = 4  # the published weights are float32


def preflight_text(
    rows: Sequence[LicenceRow], found: Sequence[PreflightFinding], weight_bytes: int = 0
) -> str:
    """Return a line for the weights, where their size is known, each licence and each finding."""
    weights = f"weights: at least {weight_bytes / 2**30:,.1f} GiB on the device"
    lines = [weights] if weight_bytes else []
    return "\n".join([*lines, *map(_licence_line, rows), *_finding_lines(found)])


def preflight_json(
    rows: Iterable[LicenceRow], found: Iterable[PreflightFinding], weight_bytes: int = 0
) -> dict[str, Any]:
    """Return the same for machines; `weight_bytes` is at least, None where nobody knows."""
    return {
        "weight_bytes": weight_bytes or None,
        "licences": [
            {"licence": row.licence, "use": row.judgement, "models": list(row.models)}
            for row in rows
        ],
        "preflight": [one.model_dump(mode="json") for one in found],
    }


def judge_json(plan: Plan, models: ModelTable) -> dict[str, Any] | None:
    """Return what is known of the image-text judge that a spec names; None where it names none.

    `disk_bytes` is what the lock says, else what the weights take by their number; None: not known.
    """
    if plan.image_text is None:
        return None
    model = models.resolve(plan.image_text)
    return _judge(model, plan.image_text_digest) | {"languages": list(model.entry.languages)}


def video_judge_json(plan: Plan, models: ModelTable) -> dict[str, Any] | None:
    """Return the same of its video judge, and the reference sets that are folders."""
    judge = plan.video_judge
    if judge is None:
        return None
    sets = [{"name": one.name, "clips": len(one.files)} for one in plan.reference_clips]
    found = _judge(models.resolve(judge.id), judge.digest)
    return found | {"network": judge.network, "reference_folders": sets}


def _judge(model: Model, digest: str | None) -> dict[str, Any]:
    entry, locked = model.entry, model.locked
    about = entry.parameters and entry.parameters * _BYTES_PER_NUMBER
    return {
        "model": entry.id,
        "digest": digest,
        "licence": entry.licence,
        "commercial_use": entry.commercial_use,
        "training_data": entry.training_data,
        "disk_bytes": sum(file.size_bytes for file in locked.files) if locked else about,
    }


def judge_text(plan: Plan, models: ModelTable) -> str:
    """Return a line on every judge that a spec names; empty where it names none."""
    said = []
    if judge := judge_json(plan, models):
        read = ", ".join(judge["languages"])
        said.append(f"judge of pictures and words: {_judge_line(judge)}, reads {read}")
    if judge := video_judge_json(plan, models):
        sets = [
            f", against {one['clips']} clips of {one['name']}" for one in judge["reference_folders"]
        ]
        said.append(f"judge of clips: {_judge_line(judge)}, {judge['network']}{''.join(sets)}")
    if said:
        said[-1] += "; the other judges are those of the tiny world"
    return "".join(f"{line}\n" for line in said)


def _judge_line(judge: dict[str, Any]) -> str:
    size = judge["disk_bytes"]
    if size is None:
        disk = "size not known"
    elif size < 0.1 * 2**30:
        disk = f"{size / 2**20:,.1f} MiB of weights"
    else:
        disk = f"{size / 2**30:,.1f} GiB of weights"
    return f"{judge['model']} ({judge['licence']}, {disk})"


def _licence_line(row: LicenceRow) -> str:
    judged = row.judgement or "no use stated"
    return f"licence: {row.licence} ({judged}): {', '.join(row.models)}"


def _finding_lines(found: Sequence[PreflightFinding]) -> Iterator[str]:
    errors = sum(one.severity is Severity.ERROR for one in found)
    yield f"pre-flight: {errors} errors, {len(found) - errors} warnings"
    for one in found:
        yield f"  {line_of(one)}"
