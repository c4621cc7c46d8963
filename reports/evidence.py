"""What the numbers stand on, in words: method, gaps, lost clips, provenance and vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from poc.records import Arm, ClipStatus
from reports import people, remarks, telemetry, throughput
from reports import text as words
from reports.judged import SPEED, focus_arm
from reports.load import RunView
from reports.model import Line
from reports.text import Text


def method(view: RunView, text: Text) -> Iterator[Line]:
    """Yield how the numbers were made, one line a subject."""
    plan, spec, shape = view.plan, view.plan.spec, view.plan.spec.shape
    yield Line(
        text("method.design"),
        text(
            "method.design.said",
            prompts=len(plan.prompts),
            replicates=spec.replicates,
            arms=len(plan.arms),
        ),
    )
    size = {"frames": shape.num_frames, "w": shape.width, "h": shape.height, "fps": shape.fps}
    yield Line(text("method.clip"), text("method.clip.said", **size))
    yield Line(text("method.interval"), _interval_method(view, text))
    yield Line(text("method.latency"), _latency_method(view, text))
    if view.latency:
        yield Line(text("latency.device"), telemetry.summary(view, text))
    if said := throughput.control(view, text):
        yield Line(text("method.control"), said)
    if said := throughput.summary(view, text):
        yield Line(text("method.offline"), said)
    for reference in spec.references:
        yield Line(text("method.reference"), words.reference(text, plan, reference))
    yield Line(text("method.criteria"), _criteria_method(view, text))
    focus = focus_arm(view)
    said = people.sentence(view, text, people.votes_on(view, focus))
    yield Line(text("method.people"), said)


def _interval_method(view: RunView, text: Text) -> str:
    return text(
        "method.interval.said",
        level=f"{100 * view.estimates.level:.0f}",
        resamples=f"{view.estimates.resamples:,}",
    )


def _latency_method(view: RunView, text: Text) -> str:
    spec = view.plan.spec.latency
    if spec is None or not view.latency:
        return text("method.latency.none")
    device = words.shown(view.latency[0].device)
    return text("method.latency.said", warmup=spec.warmup, repeats=spec.repeats, device=device)


def _criteria_method(view: RunView, text: Text) -> str:
    criteria = view.plan.criteria
    return text(
        "method.criteria.said",
        name=words.shown(criteria.name),
        version=criteria.version,
        written=words.shown(criteria.written),
        author=words.shown(criteria.author),
        digest=view.plan.criteria_digest[:12],
    )


def missing(view: RunView, text: Text) -> Iterator[Line]:
    """Yield what is still pending and every number without a value, with the reason."""
    for summary in view.estimates.arms:
        if pending := summary.counts.pending:
            yield Line(words.arm_name(text, summary.arm), text("counts.pending", n=pending))
        gaps = [e for e in summary.estimates if e.value is None and e.comparison == "value"]
        for found in gaps:
            arm, metric = words.arm_name(text, summary.arm), words.metric_label(text, found.metric)
            yield Line(
                text("missing.cell", arm=arm, metric=metric), remarks.said(text, found.reason)
            )


def lost(view: RunView, text: Text) -> Iterator[Line]:
    """Yield every clip that failed or is invalid, with the reason."""
    for clip in view.clips:
        if clip.status in (ClipStatus.FAILED, ClipStatus.INVALID):
            arm = words.arm_name(text, view.arm(clip.arm_id))
            prompt = prompt_text(view, text, clip.prompt_id)
            said = text(f"clip.{clip.status}", reason=words.shown(clip.reason))
            yield Line(text("lost.clip", arm=arm, prompt=prompt), said)


def prompt_text(view: RunView, text: Text, prompt_id: str) -> str:
    """Return a prompt's wording for people."""
    prompt = view.prompts[prompt_id]
    return words.shown(prompt.text_ja or prompt.text if text.language == "ja" else prompt.text, 160)


def resolved(view: RunView, text: Text) -> Iterator[dict[str, str]]:
    """Yield what every arm turned out to be once loaded: sampler, its timesteps, weights."""
    for found in view.resolved:
        yield {
            text("column.arm"): words.arm_name(text, view.arm(found.arm_id)),
            text("column.sampler"): words.shown(found.scheduler_class),
            text("column.timesteps"): ", ".join(f"{step:g}" for step in found.timesteps),
            text("column.guidance"): _guidance(text, view.arm(found.arm_id)),
            text("column.settings"): words.shown(_settings(view.arm(found.arm_id))),
            text("column.device"): words.shown(found.device),
            text("column.digest"): found.content_digest()[:16],
        }


def _guidance(text: Text, arm: Arm) -> str:
    return text("number.none") if arm.guidance is None else f"{arm.guidance:g}"


def _settings(arm: Arm) -> str:
    """Return the precision and what an arm does to be faster."""
    fast = arm.fast.model_dump(mode="json") if arm.fast else {}
    named = [f"VAE {arm.vae}"] if arm.vae else []
    return ", ".join([arm.dtype, *named, *(f"{key}: {value}" for key, value in fast.items())])


def protocols(view: RunView, text: Text) -> Iterator[dict[str, str]]:
    """Yield how every metric was taken: version, network behind it, what its values stand on."""
    notes: dict[str, dict[str, None]] = {}
    for summary in view.estimates.arms:
        for found in summary.estimates:
            kept = dict.fromkeys(map(remarks.protocol, found.notes))
            kept.pop("", None)
            notes.setdefault(found.metric, {}).update(kept)
    sets = ((metric, None, None) for metric in notes if notes[metric])
    for metric, version, extractor in (*view.taken, *sets):
        said = (remarks.said(text, one) for one in sorted(notes.get(metric, ())))
        yield {
            text("column.metric"): words.metric_label(text, metric),
            text("column.version"): text("number.none") if version is None else str(version),
            text("column.extractor"): words.shown(extractor or text("number.none")),
            text("column.stands_on"): text("list.comma").join(said) or text("number.none"),
        }


def journal(view: RunView, text: Text) -> Iterator[Line]:
    """Yield what the run folder holds, and what its reader had to say of it."""
    made = sum(clip.status is not ClipStatus.PENDING for clip in view.clips)
    yield Line(text("journal.clips"), text("journal.of", n=made, of=len(view.clips)))
    yield Line(text("journal.timed"), str(len(view.latency)))
    yield Line(text("journal.measured"), f"{len(view.measurements):,}")
    yield Line(text("journal.machines"), str(view.machines))
    closed = words.shown(view.closed_reason) if view.closed_reason else text("provenance.no")
    yield Line(text("journal.closed"), closed)
    for finding in view.findings or (text("journal.nothing"),):
        yield Line(text("journal.findings"), words.shown(finding))
    for warning in view.manifest.get("warnings", ()):
        yield Line(text("journal.preflight"), words.shown(_warning(warning)))


def _warning(found: Mapping[str, str]) -> str:
    return f"{found['where']}: {found['text']} {found['change']}"


def provenance(view: RunView, text: Text) -> Iterator[Line]:
    """Return where the numbers come from: machine, versions, commit and digests."""
    yield Line(text("provenance.plan"), view.estimates.plan_digest[:16])
    yield Line(text("provenance.spec"), view.plan.spec_digest[:16])
    yield Line(text("provenance.criteria"), view.decision.criteria_digest[:16])
    yield Line(text("provenance.estimates"), view.decision.estimates_digest[:16])
    yield Line(text("provenance.created"), words.shown(str(view.manifest.get("created", ""))))
    for path, value in _leaves(view.manifest.get("fingerprint", {})):
        yield Line(_place(text, path), _said(text, value))


def basis(view: RunView, text: Text, focus: Arm) -> Iterator[Line]:
    """Yield what a doubting reader needs to check the numbers: n, date, device, seed, digests."""
    counts = view.summaries[focus.id].counts
    made = text("counts.of", ok=counts.ok, planned=counts.planned)
    sizes = {"prompts": len(view.plan.prompts), "arms": len(view.plan.arms)}
    arm = words.arm_name(text, focus)
    said = text("basis.n.said", **sizes, replicates=view.plan.spec.replicates, arm=arm, clips=made)
    yield Line(text("basis.n"), said)
    yield Line(text("request.made"), words.shown(str(view.manifest.get("created", ""))))
    yield Line(text("judges.machine"), machine(view, text))
    yield Line(text("basis.seed"), str(view.plan.spec.seed))
    digests = text(
        "basis.digests.said",
        plan=view.estimates.plan_digest[:12],
        spec=view.plan.spec_digest[:12],
        criteria=view.decision.criteria_digest[:12],
        estimates=view.decision.estimates_digest[:12],
    )
    yield Line(text("basis.digests"), digests)
    asked = view.decision
    beside = " --rights FILE" * bool(asked.rights_basis) + " --cost FILE" * bool(asked.price_basis)
    yield Line(text("basis.command"), f"poc verify {words.shown(view.name, 80)}{beside}")


def machine(view: RunView, text: Text) -> str:
    """Return where the clips were made and timed."""
    fingerprint = view.manifest.get("fingerprint", {})
    names = [str(fingerprint.get("cpu", "")), *map(str, fingerprint.get("gpus") or ())]
    timed = sorted({sample.device for sample in view.latency})
    shown = text("list.comma").join(words.shown(name) for name in names if name)
    if not timed:
        return text("judges.machine.untimed", machine=shown)
    return text("judges.machine.timed", machine=shown, device=words.shown(", ".join(timed)))


def _place(text: Text, path: str) -> str:
    """Return what a part of the fingerprint is called."""
    part, _, name = path.partition(".")
    kinds = {"packages": "provenance.package", "settings": "provenance.setting"}
    if name and part in kinds:
        return text(kinds[part], name=words.shown(name))
    return text.get(f"provenance.{path}", words.shown(path))


def _said(text: Text, value: object) -> str:
    if value is None:
        return text("provenance.unknown")
    if isinstance(value, bool):
        return text("provenance.yes" if value else "provenance.no")
    known = {"absent": "provenance.absent", "unset": "provenance.unset", "": "provenance.none",
             "unknown": "provenance.unknown"}  # fmt: skip
    return text(known[str(value)]) if str(value) in known else words.shown(str(value))


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield path, ", ".join(str(item) for item in value)
    else:
        yield path, value


_TERMS: Final = (
    "arm", "baseline", "candidate", "control", "steps", "nfe", "prompt", "interval", "n",
    "resamples", "must", "should", "target", "minimum", "non_inferior", "front", "inconclusive",
    "demonstration",
)  # fmt: skip


def glossary(text: Text) -> Iterator[Line]:
    """Return one line for each word that a page uses in its own sense, then for each metric."""
    for term in _TERMS:
        yield Line(text(f"term.{term}"), text(f"term.{term}.help"))
    for metric in ("kvd", "fvd", "clip_score", "oracle_all", SPEED):
        yield Line(words.metric_label(text, metric), words.metric_help(text, metric))
