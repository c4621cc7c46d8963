"""`poc measure`: any folder of clips, made by anybody, by the harness's own metrics.

Every file is decoded once, or not at all where an earlier run with the same `--out` has its
numbers. What cannot be decoded or judged becomes a row with its reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from poc.clip_bench import Bench
from poc.clip_beside import differences
from poc.clip_files import Source, Survey, list_clips, survey
from poc.clip_folder import (
    Protocol,
    ProtocolError,
    common_size,
    listed,
    parse_prompts,
    prompt_of_name,
)
from poc.clip_given import Given
from poc.clip_judges import TINY
from poc.clip_means import copies, count, mixed, mixed_lengths, summarise
from poc.clip_records import (
    CLIP_METRICS,
    FORMAT,
    BesideSummary,
    ClipReport,
    FolderSummary,
    MetricSummary,
    NotOk,
    Role,
    Status,
)
from poc.clip_video import VideoNetwork
from poc.clip_work import Manner, Task
from poc.delivery import COLUMNS, Take, delivery_summary, missing_takes, parse_delivery
from poc.errors import InputError
from poc.folder_rates import folder_rates
from poc.folder_sets import set_metrics, set_row
from poc.golden import check_golden
from poc.measure_cache import Cache, finish

Progress = Callable[[str, int, int], None]

NAMES: Final = "names"
"""`--prompts names`: file names spell the prompts."""
KEEP_EVERY: Final = 100
"""Clips between two writings of what is measured so far, at least; see `_next_keep`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderJob:
    """What `poc measure` is asked to do; see its help."""

    folder: Path
    reference: Path | None = None
    prompts: str | None = None
    protocol: Protocol | None = None
    judges: str | None = None
    video: VideoNetwork | None = None
    png_fps: float | None = None
    delivery: Path | None = None
    """CSV of every take, see `poc.delivery`; then clips were made elsewhere."""
    beside: Path | None = None
    """Folder of another arm's clips, compared by prompt under one protocol."""
    beside_prompts: str = "names"
    given: Given = field(default_factory=Given)
    out: Path | None = None

    @property
    def manner(self) -> Manner:
        """How every clip is measured."""
        return Manner(
            protocol=self.protocol,
            png_fps=self.png_fps,
            judges=self.judges,
            given=self.given,
            for_sets=self.reference is not None,
            video=self.video,
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
    _refuse_contradictions(job)
    cache = Cache.read(job.out)
    sources, left_alone = list_clips(job.folder, skip=job.out)
    takes = _takes(job, sources)
    prompts = _prompts(job.prompts, sources) | {t.file: t.prompt for t in takes if t.file}
    references, _ = list_clips(job.reference, skip=job.out) if job.reference else ([], [])
    job.given.check()
    check_golden(networks=False)  # the networks' at their first use
    bench = Bench(job.manner, cache)
    bench.aids.load()
    beside = _beside(bench, job, progress)
    tasks = [
        *_tasks(bench, sources, Role.CLIP, prompts),
        *_tasks(bench, references, Role.REFERENCE, _reference_prompts(job, references)),
        *_tasks_beside(bench, job),
    ]
    reports = [*beside, *_measured(bench, tasks, job.out, progress, before=beside)]
    lost = missing_takes(takes, [source.name for source in sources])
    clips = (*(report for report in reports if report.role is Role.CLIP), *lost)
    reference = tuple(report for report in reports if report.role is Role.REFERENCE)
    sets = [*set_metrics(bench, clips, reference), *folder_rates(bench, clips)]
    summary = FolderSummary(
        format=FORMAT,
        protocol=bench.protocol_text,
        judges=job.judges,
        counts=count(clips),
        reference_counts=count(reference) if job.reference else None,
        metrics=(*_means(clips), *sets),
        not_ok=tuple(_not_ok([*reports, *(clip for clip in clips if not clip.rows)])),
        notes=(*_notes(job, clips, reference, left_alone), *_cut(bench, clips)),
        delivery=delivery_summary(takes, clips) if job.delivery else None,
        beside=None if job.beside is None else _compared(clips, reports),
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


def _beside(bench: Bench, job: FolderJob, progress: Progress) -> list[ClipReport]:
    """Look at the clips of a baseline, which those of their names are laid beside."""
    if job.given.baseline is None:
        return []
    sources, _ = list_clips(job.given.baseline, skip=job.out)
    tasks = _tasks(bench, sources, Role.BASELINE, {})
    reports = _measured(bench, tasks, job.out, progress)
    bench.lay_beside(tasks, reports)
    return reports


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
    bench: Bench,
    tasks: Sequence[Task],
    out: Path | None,
    progress: Progress,
    *,
    before: Sequence[ClipReport] = (),
) -> list[ClipReport]:
    """Measure all; what is measured is kept now and then, at the end, and whatever ends it.

    `before` are measured already, and are kept too.
    """
    reports: list[ClipReport] = []

    def keep() -> None:
        if out is not None:
            rows = [row for report in (*before, *reports) for row in report.rows]
            bench.cache.keep(out, rows, bench.features)

    progress("measure", 0, len(tasks))
    due = KEEP_EVERY
    try:
        with closing(bench.measured(tasks)) as measured:
            for number, report in enumerate(measured, start=1):
                reports.append(report)
                if number >= due:
                    keep()
                    due = _next_keep(number)
                progress("measure", number, len(tasks))
    finally:
        keep()
    return reports


def _next_keep(number: int) -> int:
    """Return the clip after which all is written next: all writing together grows as n does.

    >>> _next_keep(100), _next_keep(8000)
    (200, 10000)
    """
    return number + max(KEEP_EVERY, number // 4)


# --- prompts -------------------------------------------------------------------------------------


def _prompts(asked: str | None, sources: Sequence[Source]) -> dict[str, str]:
    if asked is None:
        return {}
    if asked == NAMES:
        return _prompts_of_names(sources)
    path = Path(asked)
    text = _read(path, f"file,prompt. For prompts by file name write --prompts {NAMES}")
    return parse_prompts(text, str(path), [source.name for source in sources])


def _takes(job: FolderJob, sources: Sequence[Source]) -> tuple[Take, ...]:
    if job.delivery is None:
        return ()
    text = _read(job.delivery, ",".join(COLUMNS))
    return parse_delivery(text, str(job.delivery), [source.name for source in sources])


def _read(path: Path, columns: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected a readable CSV in UTF-8 ({error}) with the columns {columns}."
        ) from error


def _refuse_contradictions(job: FolderJob) -> None:
    if job.delivery is not None and job.prompts is not None:
        raise InputError("--prompts: the delivery names the prompt of every take. Leave it away.")
    if job.beside is None:
        return
    if job.protocol is None:
        raise InputError(
            "--beside: arms that were made differently are compared in one form only. Give "
            "--protocol, such as seconds:2,fps:8,short_side:256."
        )
    if job.delivery is None and job.prompts is None:
        raise InputError("--beside: clips are compared by prompt. Give --delivery or --prompts.")


def _tasks_beside(bench: Bench, job: FolderJob) -> list[Task]:
    if job.beside is None:
        return []
    sources, _ = list_clips(job.beside, skip=job.out)
    prompts = _prompts(job.beside_prompts, sources)
    return _tasks(bench, sources, Role.BESIDE, prompts)


def _compared(clips: Sequence[ClipReport], reports: Sequence[ClipReport]) -> BesideSummary:
    other = [report for report in reports if report.role is Role.BESIDE]
    shared = [
        {clip.prompt for clip in side if clip.prompt and clip.status is Status.OK}
        for side in (clips, other)
    ]
    return BesideSummary(
        counts=count(other),
        prompts=len(shared[0] & shared[1]),
        metrics=tuple(differences(clips, other)),
    )


def _reference_prompts(job: FolderJob, sources: Sequence[Source]) -> dict[str, str]:
    return _prompts_of_names(sources) if job.prompts == NAMES else {}


def _prompts_of_names(sources: Sequence[Source]) -> dict[str, str]:
    spelled = {source.name: prompt_of_name(source.name) for source in sources}
    return {name: prompt for name, prompt in spelled.items() if prompt is not None}


# --- what follows --------------------------------------------------------------------------------


def _cut(bench: Bench, clips: Sequence[ClipReport]) -> Iterator[str]:
    """Say which prompts are longer than the image-text network reads."""
    prompts = sorted({clip.prompt for clip in clips if clip.prompt})
    if long := bench.aids.cut_off(prompts):
        yield (
            f"{len(long)} of {len(prompts)} prompts are longer than the image-text network reads; "
            f"their ends count for nothing: {listed(long, 3)}"
        )


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
    if job.delivery is not None:
        yield "an imported arm: its seeds are unknown, so it is compared by prompt only"
    yield from copies(clips)
    known = {clip.frames_digest for clip in reference if clip.status is Status.OK}
    shared = [c.name for c in clips if c.status is Status.OK and c.frames_digest in known]
    if shared:
        yield f"the reference has the same frames as {listed(shared)}"
    if job.judges == TINY:
        yield "judges 'tiny' were taught on the tiny world: not comparable with published values"
