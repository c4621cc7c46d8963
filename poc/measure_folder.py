"""`poc measure`: any folder of clips, made by anybody, by the harness's own metrics.

Every file is decoded once, or not at all where an earlier run with the same `--out` has its
numbers. What cannot be decoded or judged becomes a row with its reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from poc.clip_bench import Bench
from poc.clip_files import Source, Survey, list_clips, survey
from poc.clip_folder import (
    Protocol,
    ProtocolError,
    common_size,
    listed,
    parse_prompts,
    prompt_of_name,
)
from poc.clip_judges import TINY
from poc.clip_means import copies, count, mixed, mixed_lengths, summarise
from poc.clip_records import (
    CLIP_METRICS,
    FORMAT,
    ClipReport,
    FolderSummary,
    MetricSummary,
    NotOk,
    Role,
    Status,
)
from poc.clip_work import Manner, Task
from poc.errors import InputError
from poc.folder_sets import set_metrics, set_row
from poc.measure_cache import Cache, finish

Progress = Callable[[str, int, int], None]

NAMES: Final = "names"
"""`--prompts names`: file names spell the prompts."""
KEEP_EVERY: Final = 100
"""Clips between two writings of what is measured so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderJob:
    """What `poc measure` is asked to do; see its help."""

    folder: Path
    reference: Path | None = None
    prompts: str | None = None
    protocol: Protocol | None = None
    judges: str | None = None
    png_fps: float | None = None
    out: Path | None = None

    @property
    def manner(self) -> Manner:
        """How every clip is measured."""
        return Manner(
            protocol=self.protocol,
            png_fps=self.png_fps,
            judges=self.judges,
            for_sets=self.reference is not None,
        )


@dataclass(frozen=True, slots=True)
class FolderResult:
    """What came of a folder; `reused` numbers of `taken` come from an earlier run."""

    summary: FolderSummary
    clips: tuple[ClipReport, ...]
    reused: int
    taken: int

    @property
    def all_ok(self) -> bool:
        """True when every clip, of the reference too, could be measured."""
        return not self.summary.not_ok

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        clips = [
            {
                "file": clip.name,
                "status": str(clip.status),
                "reason": clip.reason,
                "prompt": clip.prompt,
                "values": {name: clip.value(name) for name in CLIP_METRICS},
            }
            for clip in self.clips
        ]
        numbers = {"reused": self.reused, "taken": self.taken}
        return self.summary.model_dump(mode="json") | numbers | {"clips": clips}


def measure_folder(job: FolderJob, *, progress: Progress) -> FolderResult:
    """Measure a folder and, with `out`, write measurements and summary there.

    Raises:
        InputError: no folder, no clip in it, faulty prompts, or an `out` that is something else.
    """
    cache = Cache.read(job.out)
    sources, left_alone = list_clips(job.folder, skip=job.out)
    prompts = _prompts(job, sources)
    references, _ = list_clips(job.reference, skip=job.out) if job.reference else ([], [])
    bench = Bench(job.manner, cache)
    tasks = [
        *_tasks(bench, sources, Role.CLIP, prompts),
        *_tasks(bench, references, Role.REFERENCE, _reference_prompts(job, references)),
    ]
    reports = _measured(bench, tasks, job.out, progress)
    clips = tuple(report for report in reports if report.role is Role.CLIP)
    reference = tuple(report for report in reports if report.role is Role.REFERENCE)
    sets = list(set_metrics(bench, clips, reference))
    summary = FolderSummary(
        format=FORMAT,
        protocol=bench.protocol_text,
        judges=job.judges,
        counts=count(clips),
        reference_counts=count(reference) if job.reference else None,
        metrics=(*_means(clips), *sets),
        not_ok=tuple(_not_ok(reports)),
        notes=tuple(_notes(job, clips, reference, left_alone)),
    )
    if job.out is not None:
        rows = [row for report in reports for row in report.rows]
        rows += [set_row(bench, one, clips, reference) for one in sets]
        finish(job.out, rows, summary)
    return FolderResult(summary, clips, bench.reused, bench.taken)


def _tasks(
    bench: Bench, sources: Sequence[Source], role: Role, prompts: Mapping[str, str]
) -> list[Task]:
    surveys = [survey(source) for source in sources]
    expected = common_size(_sizes(surveys, bench.manner.protocol))
    return [
        Task(source, found, role, prompts.get(source.name), expected)
        for source, found in zip(sources, surveys, strict=True)
    ]


def _sizes(surveys: Sequence[Survey], protocol: Protocol | None) -> Iterator[tuple[int, int]]:
    """Yield the sizes that clips will be measured at; those that cannot be have no say."""
    for found in surveys:
        if found.size is None:
            continue
        try:
            yield protocol.size(*found.size) if protocol else found.size
        except ProtocolError:
            continue


def _measured(
    bench: Bench, tasks: Sequence[Task], out: Path | None, progress: Progress
) -> list[ClipReport]:
    """Measure all; what is measured is kept now and then, at the end, and whatever ends it."""
    reports: list[ClipReport] = []

    def keep() -> None:
        if out is not None:
            rows = [row for report in reports for row in report.rows]
            bench.cache.keep(out, rows, bench.features)

    progress("measure", 0, len(tasks))
    try:
        for number, task in enumerate(tasks, start=1):
            reports.append(bench.measured(task))
            if number % KEEP_EVERY == 0:
                keep()
            progress("measure", number, len(tasks))
    finally:
        keep()
    return reports


# --- prompts -------------------------------------------------------------------------------------


def _prompts(job: FolderJob, sources: Sequence[Source]) -> dict[str, str]:
    if job.prompts is None:
        return {}
    if job.prompts == NAMES:
        return _prompts_of_names(sources)
    path = Path(job.prompts)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected a readable CSV in UTF-8 with the columns file,prompt ({error}). "
            f"For prompts by file name write --prompts {NAMES}."
        ) from error
    return parse_prompts(text, str(path), [source.name for source in sources])


def _reference_prompts(job: FolderJob, sources: Sequence[Source]) -> dict[str, str]:
    return _prompts_of_names(sources) if job.prompts == NAMES else {}


def _prompts_of_names(sources: Sequence[Source]) -> dict[str, str]:
    spelled = {source.name: prompt_of_name(source.name) for source in sources}
    return {name: prompt for name, prompt in spelled.items() if prompt is not None}


# --- what follows --------------------------------------------------------------------------------


def _means(clips: Sequence[ClipReport]) -> Iterator[MetricSummary]:
    ok = [clip for clip in clips if clip.status is Status.OK]
    for name in CLIP_METRICS:
        refusal = mixed(ok) or mixed_lengths(name, ok)
        yield summarise(name, ok, planned=len(clips), refusal=refusal)


def _not_ok(reports: Sequence[ClipReport]) -> Iterator[NotOk]:
    for one in reports:
        if one.status is not Status.OK:
            yield NotOk(role=one.role, file=one.name, status=one.status, reason=one.reason)


def _notes(
    job: FolderJob,
    clips: Sequence[ClipReport],
    reference: Sequence[ClipReport],
    left_alone: Sequence[str],
) -> Iterator[str]:
    if left_alone:
        yield f"no clips, left alone: {listed(left_alone)}"
    without = [clip.name for clip in clips if clip.prompt is None]
    if job.prompts is not None and without:
        yield f"{len(without)} of {len(clips)} clips have no prompt: {listed(without)}"
    yield from copies(clips)
    known = {clip.frames_digest for clip in reference if clip.status is Status.OK}
    shared = [c.name for c in clips if c.status is Status.OK and c.frames_digest in known]
    if shared:
        yield f"the reference has the same frames as {listed(shared)}"
    if job.judges == TINY:
        yield "judges 'tiny' were taught on the tiny world: not comparable with published values"
