"""`poc measure`: any folder of clips, made by anybody, by the harness's own metrics.

Every file is decoded once, or not at all where an earlier run with the same `--out` has its
numbers. What cannot be decoded or judged becomes a row with its reason, and the others go on.
"""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metrics import catalog
from metrics import frames as frames_
from metrics.base import ClipValue, SetBasis
from metrics.extractors.base import WeightsError, file_digest, folder_digest
from metrics.frames import DecodedClip, DecodeError
from metrics.validity import Fault, judge
from poc import clip_folder, disk, encoding
from poc.clip_folder import (
    CLIP_METRICS,
    FORMAT,
    SET_METRICS,
    VALIDITY,
    ClipReport,
    FolderMeasurement,
    FolderSummary,
    FrameShape,
    MetricSummary,
    NotOk,
    Protocol,
    ProtocolError,
    Role,
    Status,
    clusters_of,
    listed,
    set_summary,
)
from poc.errors import InputError
from poc.journal import DamagedLineError, decode, encode
from poc.measure import IMAGE_TEXT_EXTRACTOR, VIDEO_EXTRACTOR
from poc.models import ModelKind, read_models
from poc.records import digest

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

SUFFIXES: Final = frozenset({".mp4", ".webm", ".gif"})
NOT_READ: Final = frozenset({".mov", ".avi", ".mkv", ".m4v", ".wmv", ".flv", ".ts", ".webp"})
"""Clips all the same: they are counted, and fail."""
MEASUREMENTS, SUMMARY, FEATURES = "measurements.jsonl", "summary.json", "features.npz"
NAMES: Final = "names"
"""`--prompts names`: file names spell the prompts."""
TINY: Final = "tiny"
"""`--judges tiny`: the networks that ship, taught on the tiny world alone."""
UNDECODABLE, PROTOCOL_FAULT = "undecodable", "protocol"
"""Faults besides those of `metrics.validity`."""

MAX_FRAME_PIXELS: Final = 2**25  # 7680 x 4320
MAX_CLIP_PIXELS: Final = 2**29
"""259 frames of 1920 x 1080; their flow and luma take ten times as many bytes."""
KEEP_EVERY: Final = 100
"""Clips between two writings of what is measured so far."""
LEVEL, FLOOR_DRAWS, FLOOR_SEED = 0.95, 200, 0

_NO_EXTRACTOR = "no extractor for real video is given"
_NO_PROMPT = "no prompt"
_NO_REFERENCE = "no --reference is given"
_INDEPENDENT = (
    "too low, also significantly, where the reference shows the folder's own prompts: then name "
    "the files of both after them and give --prompts names"
)
_BEGINNINGS = (b"\x1aE\xdf\xa3", b"GIF8")
_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide"})
"""How webm and gif begin, and the first boxes of an mp4. Nothing else is opened: a playlist that
is called mp4 would make the decoder read other files."""
_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "gif"})
"""As FFmpeg names them. A torn mp4 can be taken for sound or a raw stream: that is no clip."""
_CLOCK = re.compile(r"([0-9]+):([0-9]+):([0-9]+(?:\.[0-9]+)?)")
_PNG = b"\x89PNG\r\n\x1a\n"
_LAST_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")


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
    bench = Bench(job, cache)
    tasks = [
        *_tasks(bench, sources, Role.CLIP, prompts),
        *_tasks(bench, references, Role.REFERENCE, _reference_prompts(job, references)),
    ]
    reports = _measured(bench, tasks, job.out, progress)
    clips = tuple(report for report in reports if report.role is Role.CLIP)
    reference = tuple(report for report in reports if report.role is Role.REFERENCE)
    sets = list(_sets(bench, clips, reference))
    summary = FolderSummary(
        format=FORMAT,
        protocol=bench.protocol_text,
        judges=job.judges,
        counts=clip_folder.count(clips),
        reference_counts=clip_folder.count(reference) if job.reference else None,
        metrics=(*_means(clips), *sets),
        not_ok=tuple(_not_ok(reports)),
        notes=tuple(_notes(job, clips, reference, left_alone)),
    )
    if job.out is not None:
        rows = [row for report in reports for row in report.rows]
        rows += [_set_row(bench, one, clips, reference) for one in sets]
        cache.write(job.out, rows, bench.features, summary)
    return FolderResult(summary, clips, bench.reused, bench.taken)


# --- what lies in a folder -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One clip as it lies on disk: a file, or a folder of frames."""

    name: str
    path: Path
    is_folder: bool


def list_clips(folder: Path, *, skip: Path | None = None) -> tuple[list[Source], list[str]]:
    """Return the clips of a folder by name, and the names of what else lies there.

    Subfolders are clips (frames as png), except hidden ones, `skip`, and what this command wrote.

    Raises:
        InputError: no such folder, not readable, or no clip in it.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing"
        raise InputError(f"{folder}: expected a folder of clips, found {what}. Check the path.")
    with disk.explained(folder):
        paths = sorted(folder.absolute().iterdir())
    sources, others = [], []
    for path in paths:
        if not path.name.startswith(".") and _is_clip(path, skip):
            sources.append(Source(_text(path.name), path, path.is_dir()))
        else:
            others.append(_text(path.name))
    if not sources:
        found = f"found {listed(others)}" if others else "it is empty"
        raise InputError(
            f"{folder}: expected mp4, webm or gif files, or one folder of png frames per clip; "
            f"{found}."
        )
    return sources, others


def _is_clip(path: Path, skip: Path | None) -> bool:
    if path.is_dir():
        is_ours = (path / SUMMARY).is_file() and (path / MEASUREMENTS).is_file()
        return not is_ours and (skip is None or path.resolve() != skip.resolve())
    return path.suffix.lower() in SUFFIXES | NOT_READ


def _text(name: str) -> str:
    """Return a file name as text that can be written anywhere: bytes that are no UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


# --- from a file to frames -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a source before it is decoded."""

    file_digest: str | None
    size: tuple[int, int] | None
    """Height and width in pixels, as stated."""
    problem: str = ""


def survey(source: Source) -> Survey:
    """Look at a file without decoding it: is it whole, how large are its frames."""
    try:
        found = _source_digest(source)
    except (DecodeError, WeightsError) as error:
        return Survey(None, None, _reason(error, source))
    try:
        size = _png_size(_png_paths(source)) if source.is_folder else _video_size(source.path)
    except DecodeError as error:
        return Survey(found, None, _reason(error, source))
    return Survey(found, size)


def read_frames(source: Source, *, png_fps: float | None) -> DecodedClip:
    """Decode all frames of a source.

    Raises:
        DecodeError: it cannot be decoded, or not without guessing.
    """
    if not source.is_folder:
        return frames_.decode(source.path)
    images = [_png_frame(path) for path in _png_paths(source)]
    return DecodedClip(frames_.check(np.stack(images)), png_fps)


def _reason(error: Exception, source: Source) -> str:
    """Return what is wrong, without the place where the folder happens to lie."""
    text = str(error).removeprefix(f"{source.path}: ").replace(f"{source.path}/", "")
    return " ".join(text.replace(str(source.path), source.name).split()) or type(error).__name__


def _source_digest(source: Source) -> str:
    if source.is_folder and source.path.is_symlink():
        raise DecodeError("is a link to a folder, which is not followed; copy the frames")
    if source.is_folder:
        return folder_digest(_png_paths(source))
    if not source.path.is_file():  # opening a pipe would wait for ever
        what = "a link to nothing" if source.path.is_symlink() else "no regular file"
        raise DecodeError(f"is {what}")
    if source.path.stat().st_size == 0:
        raise DecodeError("the file is empty")
    if source.path.suffix.lower() in NOT_READ:
        raise DecodeError(
            f"{source.path.suffix} is not read; convert it to mp4, webm, gif or png frames"
        )
    return file_digest(source.path)


def _video_size(path: Path) -> tuple[int, int]:
    """Return height and width after making sure that the file is a video and whole."""
    import av

    with path.open("rb") as file:
        head = file.read(16)
    if not head.startswith(_BEGINNINGS) and head[4:8] not in _BOXES:
        raise DecodeError("is no mp4, webm or gif, whatever its name says")
    try:
        with av.open(str(path)) as container:
            if container.format.name not in _FORMATS or not container.streams.video:
                raise DecodeError("cannot be decoded as video: it holds none, or is truncated")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise DecodeError("cannot be decoded as video (its codec is not known)")
            height, width = stream.codec_context.height, stream.codec_context.width
            packets = [p for p in container.demux(stream) if p.pts is not None]
            _check_whole(path, container, stream, packets)
    except (av.FFmpegError, OSError) as error:
        raise DecodeError(f"cannot be decoded as video ({error})") from error
    _check_pixels(height, width, len(packets))
    return height, width


def _check_whole(path: Path, container: Any, stream: Any, packets: Sequence[Any]) -> None:
    """Refuse a file that ends before it says it does: decoders show what is left as a clip."""
    if any(packet.is_corrupt for packet in packets):
        raise DecodeError("is truncated or damaged: a frame lacks bytes")
    if container.format.name == "gif" and not path.read_bytes().rstrip(b"\0").endswith(b";"):
        raise DecodeError("is truncated: the end mark of a gif is missing")
    stated_s = _stated_end_s(container, stream)
    if stated_s is None or not packets or not stream.average_rate:
        return
    end_s = max(float((p.pts + (p.duration or 0)) * p.time_base) for p in packets)
    # Without durations of frames the last one may end up to a frame later than is seen.
    allowed = (0.5 if all(p.duration for p in packets) else 1.5) / float(stream.average_rate)
    if end_s + allowed < stated_s:
        raise DecodeError(f"is truncated: it states {stated_s:.3g} s and ends at {end_s:.3g} s")


def _stated_end_s(container: Any, stream: Any) -> float | None:
    """Return the second at which the file says its video ends; None where it says nothing."""
    if stream.duration is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    stated = _CLOCK.fullmatch(str(stream.metadata.get("DURATION", "")))
    if stated:
        return 3600 * float(stated[1]) + 60 * float(stated[2]) + float(stated[3])
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if alone else None


def _check_pixels(height: int, width: int, count: int) -> None:
    if height * width > MAX_FRAME_PIXELS or height * width * count > MAX_CLIP_PIXELS:
        raise DecodeError(
            f"{count} frames of {width}x{height} are more than {MAX_CLIP_PIXELS} pixels (or "
            f"{MAX_FRAME_PIXELS} a frame); cut it or make it smaller"
        )


def _png_paths(source: Source) -> list[Path]:
    """Return the frames of a folder in order: by the last number in their names, without a gap."""
    try:
        paths = sorted(p for p in source.path.iterdir() if p.suffix.lower() == ".png")
    except OSError as error:
        raise DecodeError(f"cannot be read ({error.strerror})") from error
    if not paths:
        raise DecodeError("holds no png frame; subfolders and other pictures are not read")
    if not all(path.is_file() for path in paths):  # opening a pipe would wait for ever
        raise DecodeError("holds a png that is no regular file, or a link to nothing")
    found = [_LAST_NUMBER.search(path.stem) for path in paths]
    numbers = [int(match[1]) for match in found if match is not None]
    if not numbers:
        return paths
    if len(numbers) < len(paths) or len(set(numbers)) < len(numbers):
        raise DecodeError("the order of frames is not clear: give each png its own number")
    ordered = sorted(numbers)
    if len({after - before for before, after in itertools.pairwise(ordered)}) > 1:
        raise DecodeError(f"frames are missing between {ordered[0]} and {ordered[-1]}")
    return [path for _, path in sorted(zip(numbers, paths, strict=True))]


def _png_size(paths: Sequence[Path]) -> tuple[int, int]:
    sizes = {_png_header(path) for path in paths}
    if len(sizes) > 1:
        shown = " and ".join(sorted(f"{width}x{height}" for height, width in sizes))
        raise DecodeError(f"expected frames of one size, got {shown}")
    (size,) = sizes
    _check_pixels(*size, len(paths))
    return size


def _png_header(path: Path) -> tuple[int, int]:
    """Return height and width of a png of 8 bits a channel, from its first 26 bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError as error:
        raise DecodeError(f"{path}: cannot be read ({error.strerror})") from error
    if len(head) < 26 or not head.startswith(_PNG) or head[12:16] != b"IHDR":
        raise DecodeError(f"{path}: is no png, or truncated")
    width, height, bits = struct.unpack(">IIB", head[16:25])
    if bits > 8:
        raise DecodeError(f"{path}: expected 8 bits a channel, got {bits}; nothing is rounded here")
    return height, width


def _png_frame(path: Path) -> Frames:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            opaque = image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
            pixels = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise DecodeError(f"{path}: cannot be decoded as png ({error})") from error
    if not opaque:
        raise DecodeError(f"{path}: has transparent pixels; what lies behind them is not known")
    return pixels


# --- what was measured before --------------------------------------------------------------------


@dataclass
class Cache:
    """Measurements of an earlier run into the same folder, found by content and never by name."""

    rows: list[FolderMeasurement] = field(default_factory=list)
    features: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path | None) -> Cache:
        """Read what is there; damaged lines are as good as not there.

        Raises:
            InputError: the folder holds something else.
        """
        if out is None or not out.exists():
            return cls()
        _refuse_something_else(out)
        with disk.explained(out):
            disk.remove_temporaries(out)
            lines = (
                (out / MEASUREMENTS).read_bytes().split(b"\n") if _has(out, MEASUREMENTS) else []
            )
            data = (out / FEATURES).read_bytes() if _has(out, FEATURES) else b""
        return cls(list(_rows(lines)), _arrays(data))

    @cached_property
    def _places(self) -> dict[tuple[str | None, ...], FolderMeasurement]:
        known = [row for row in self.rows if row.file_digest and row.frames_digest and row.shape]
        return {(row.file_digest, row.protocol, row.decoder): row for row in known}

    @cached_property
    def _values(self) -> dict[tuple[str | None, ...], FolderMeasurement]:
        # A size is wrong only beside others, so this is judged anew.
        judged = [row for row in self.rows if row.role is not Role.SET]
        return {_key(row): row for row in judged if row.fault != Fault.WRONG_SHAPE}

    def place(self, file_digest: str, protocol: str, decoder: str) -> FolderMeasurement | None:
        """Return a row with frames digest and shape of the same bytes, decoded the same way."""
        return self._places.get((file_digest, protocol, decoder))

    def value(self, asked: FolderMeasurement) -> FolderMeasurement | None:
        """Return the measurement of the same frames by the same metric and network."""
        return self._values.get(_key(asked))

    def write(
        self,
        out: Path,
        rows: Sequence[FolderMeasurement],
        features: Mapping[str, Floats],
        summary: FolderSummary | None,
    ) -> None:
        """Write whole files beside and rename them; without a summary, earlier rows are kept."""
        kept = list(rows)
        if summary is None:
            there = {_key(row) for row in rows}
            kept += [row for row in self.rows if _key(row) not in there]
        disk.make_folder(out)
        disk.publish(out / MEASUREMENTS, b"".join(encode(row) for row in kept))
        if features:
            disk.publish(out / FEATURES, encoding.encode_arrays(features))
        if summary is not None:
            disk.publish(out / SUMMARY, summary.to_json().encode() + b"\n")
        disk.sync_folder(out)


def _key(row: FolderMeasurement) -> tuple[str | None, ...]:
    """Return what a number follows from."""
    prompt = row.prompt if "text_features" in catalog.describe(row.metric).takes else None
    version = f"{row.metric} {row.version}"
    return row.frames_digest, version, row.extractor_digest, row.protocol, prompt


def _has(out: Path, name: str) -> bool:
    return (out / name).is_file()


def _refuse_something_else(out: Path) -> None:
    if not out.is_dir():
        raise InputError(f"{out}: expected a folder, found a file. Choose another --out.")
    with disk.explained(out):
        names = sorted(path.name for path in out.iterdir())
    ours = {MEASUREMENTS, SUMMARY, FEATURES}
    foreign = [name for name in names if name.removesuffix(disk.TEMPORARY) not in ours]
    if not foreign and names and not _is_ours(out):
        foreign = names
    if foreign:
        raise InputError(
            f"{out}: holds something that `poc measure` did not write ({listed(foreign, 3)}). "
            "Choose another --out."
        )


def _is_ours(out: Path) -> bool:
    """Tell our files from others of the same names; one of ours may be damaged or missing."""
    with disk.explained(out):
        summary, measurements = (
            (out / name).read_bytes() if _has(out, name) else b""
            for name in (SUMMARY, MEASUREMENTS)
        )
    return FORMAT.encode() in summary or any(_rows(measurements.split(b"\n")))


def _rows(lines: Sequence[bytes]) -> Iterator[FolderMeasurement]:
    for line in lines:
        try:
            row = decode(line, FolderMeasurement)
        except DamagedLineError:
            continue
        if row.metric in catalog.CATALOG:
            yield row


def _arrays(data: bytes) -> dict[str, Floats]:
    try:
        return encoding.decode_arrays(data) if data else {}
    except encoding.DecodingError:
        return {}


# --- measuring -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """One source to be measured, and the size that it should have."""

    source: Source
    survey: Survey
    role: Role
    prompt: str | None
    expected: tuple[int, int] | None
    """Height and width of most clips of its folder, after the protocol."""


@dataclass(frozen=True)
class _Judges:
    """The tiny world's networks by their pinned digests, each loaded at its first use."""

    image_text_folder: Path
    image_text_digest: str
    video_folder: Path
    video_digest: str

    @classmethod
    def shipped(cls) -> _Judges:
        """Return the judges of models.yaml, every file of theirs verified."""
        models = read_models()

        def only(kind: ModelKind) -> str:
            return next(key for key, one in models.models.items() if one.entry.kind is kind)

        image_text, video = only(ModelKind.IMAGE_TEXT), only(ModelKind.VIDEO_FEATURES)
        return cls(
            models.verify(image_text),
            models.pinned_digest(image_text),
            models.verify(video),
            models.pinned_digest(video),
        )

    @cached_property
    def image_text(self) -> Any:
        from metrics.extractors.clip import load_clip
        from poc.pipelines.device import set_threads

        set_threads(1)  # results depend on it
        return load_clip(
            self.image_text_folder,
            extractor_id=IMAGE_TEXT_EXTRACTOR,
            batch_size=64,
            expected_sha256=None,
        )

    @cached_property
    def video(self) -> Any:
        from poc.pipelines.device import set_threads
        from poc.tiny.video_network import load_video_extractor

        set_threads(1)
        return load_video_extractor(self.video_folder, extractor_id=VIDEO_EXTRACTOR)


class Bench:
    """Measures one source after another, taking what the cache has; counts both."""

    def __init__(self, job: FolderJob, cache: Cache) -> None:
        self.job, self.cache = job, cache
        self.reused = self.taken = 0
        self.features: dict[str, Floats] = {}
        protocol = f" {job.protocol.text}" if job.protocol else ""
        self.protocol_text = f"{frames_.PROTOCOL}{protocol or ' as decoded'}"

    @cached_property
    def judges(self) -> _Judges | None:
        """The networks that the user named; None where none is."""
        return None if self.job.judges is None else _Judges.shipped()

    def protocol_of(self, source: Source) -> str:
        """Return all that is done to the frames of a source before they are measured."""
        if not source.is_folder or self.job.png_fps is None:
            return self.protocol_text
        return f"{self.protocol_text}, png at {self.job.png_fps:.12g} fps"

    def measured(self, task: Task) -> ClipReport:
        """Measure one source; whatever is wrong with it is in the report."""
        blank = self._blank(task)
        if task.survey.problem:
            return _nothing(task, blank, Status.FAILED, task.survey.problem, UNDECODABLE)
        work = _Work(self, task)
        try:
            blank = blank.model_copy(
                update={"frames_digest": work.frames_digest, "shape": work.shape}
            )
            valid = self._validity(work, blank)
        except DecodeError as error:
            reason = _reason(error, task.source)
            return _nothing(task, blank, Status.FAILED, reason, UNDECODABLE)
        except ProtocolError as error:
            return _nothing(task, blank, Status.INVALID, str(error), PROTOCOL_FAULT)
        if valid.status is not Status.OK:
            return _nothing(task, blank, valid.status, valid.reason, valid.fault)
        rows = [valid]
        if task.role is Role.CLIP:
            rows += [self._metric(name, work, blank) for name in CLIP_METRICS]
        self._keep_features(work, blank)
        return _report(task, blank, rows)

    def _blank(self, task: Task) -> FolderMeasurement:
        """Return a row of which everything but the number is known."""
        return FolderMeasurement(
            role=task.role,
            file=task.source.name,
            file_digest=task.survey.file_digest,
            frames_digest=None,
            shape=None,
            decoder=decoder_id(task.source),
            protocol=self.protocol_of(task.source),
            prompt=task.prompt,
            **_named(VALIDITY),
            value=None,
            status=Status.NOT_MEASURED,
            reason="not yet",
            fault=None,
            extractor=None,
            extractor_digest=None,
            reference_digest=None,
        )

    def _validity(self, work: _Work, blank: FolderMeasurement) -> FolderMeasurement:
        size = (work.shape.height, work.shape.width)
        fits = work.task.expected in (None, size)
        known = self.cache.value(blank) if fits else None
        if known is not None:
            return self._again(known, blank)
        self.taken += 1
        expected = None if fits or work.task.expected is None else work.task.expected
        planned = None if expected is None else (work.shape.num_frames, *expected)
        found = judge(work.frames, expected=planned)
        if found.ok:
            return blank.model_copy(update=_ok(1.0))
        reason = found.reason
        if found.fault is Fault.WRONG_SHAPE:
            reason += ", unlike most clips of the folder; "
            reason += (
                "the protocol keeps aspect ratios"
                if self.job.protocol
                else "give --protocol to compare them"
            )
        return blank.model_copy(
            update={"status": Status.INVALID, "reason": reason, "fault": str(found.fault)}
        )

    def _again(self, known: FolderMeasurement, blank: FolderMeasurement) -> FolderMeasurement:
        """Return an earlier result for the file that has the same frames now."""
        self.reused += 1
        number = ("value", "status", "reason", "fault")
        return blank.model_copy(update={name: getattr(known, name) for name in number})

    def _metric(self, name: str, work: _Work, blank: FolderMeasurement) -> FolderMeasurement:
        row = blank.model_copy(update=_named(name) | self._network(name))
        if reason := self._why_not(name, work):
            return row.model_copy(update={"reason": reason})
        known = self.cache.value(row)
        if known is not None:
            return self._again(known, row)
        self.taken += 1
        arguments = [work.get(argument) for argument in catalog.describe(name).takes]
        result: ClipValue = catalog.load(name)(*arguments)
        if result.value is None:
            return row.model_copy(update={"reason": result.reason})
        return row.model_copy(update=_ok(result.value))

    def _network(self, name: str) -> dict[str, str]:
        takes = catalog.describe(name).takes
        if self.judges is None or not {"image_features", "text_features"} & set(takes):
            return {}
        pinned = self.judges.image_text_digest
        return {"extractor": IMAGE_TEXT_EXTRACTOR, "extractor_digest": pinned}

    def _why_not(self, name: str, work: _Work) -> str:
        """Return why a metric has no number of this clip that is what its name says."""
        info = catalog.describe(name)
        takes, is_flow = info.takes, (info.target or "").startswith("metrics.motion:")
        if is_flow and min(work.shape.height, work.shape.width) < _flow_side():
            return f"optical flow needs frames of at least {_flow_side()} px"
        if "image_features" not in takes:
            return ""
        reasons = [_NO_EXTRACTOR if self.job.judges is None else _not_tiny(work.shape)]
        if "text_features" in takes:
            prompt = work.task.prompt
            reasons.insert(0, _NO_PROMPT if prompt is None else "")
            reasons.append(_unreadable(prompt) if prompt and self.job.judges else "")
        return "; ".join(reason for reason in reasons if reason)

    def _keep_features(self, work: _Work, blank: FolderMeasurement) -> None:
        """Take video features where a set metric could want them."""
        if self.judges is None or self.job.reference is None or _not_tiny(work.shape):
            return
        key = self.feature_key(blank.frames_digest)
        if key in self.features:
            return
        known = self.cache.features.get(key)
        if known is not None and known.ndim == 1 and np.isfinite(known).all():
            self.reused += 1
            self.features[key] = known
            return
        self.taken += 1
        # One clip at a time: features depend on their batch by rounding.
        self.features[key] = np.asarray(
            self.judges.video.features(work.frames[None])[0], np.float64
        )

    def feature_key(self, frames_digest: str | None) -> str:
        """Name the features of a clip by network and frames."""
        network = self.judges.video_digest if self.judges else None
        return f"video_{digest([network, frames_digest])}"


class _Work:
    """One source while it is measured: decoded at most once, features computed at first use."""

    def __init__(self, bench: Bench, task: Task) -> None:
        self._bench, self.task = bench, task
        self._known = bench.cache.place(
            task.survey.file_digest or "",
            bench.protocol_of(task.source),
            decoder_id(task.source),
        )

    @cached_property
    def _clip(self) -> DecodedClip:
        decoded = read_frames(self.task.source, png_fps=self._bench.job.png_fps)
        protocol = self._bench.job.protocol
        return decoded if protocol is None else resampled(decoded, protocol)

    @property
    def frames(self) -> Frames:
        """Frames as they are measured, uint8 (t, h, w, 3)."""
        return self._clip.frames

    @cached_property
    def frames_digest(self) -> str:
        """SHA-256 of the frames as they are measured."""
        if self._known is not None and self._known.frames_digest is not None:
            return self._known.frames_digest
        return frames_.digest(self.frames)

    @cached_property
    def shape(self) -> FrameShape:
        """Number, size and rate of the frames as they are measured."""
        if self._known is not None and self._known.shape is not None:
            return self._known.shape
        count, height, width, _ = self.frames.shape
        return FrameShape(num_frames=count, height=height, width=width, fps=self._clip.fps)

    def get(self, argument: str) -> Any:
        """Return an argument of the catalogue by its name there."""
        match argument:
            case "frames":
                return self.frames
            case "speeds":
                return self._speeds
            case "image_features":
                return self._image_features
            case "text_features":
                return self._network.text_features([self.task.prompt])[0].astype(np.float64)
            case _:
                raise LookupError(f"a metric takes {argument!r}, which no stage supplies")

    @property
    def _network(self) -> Any:
        if self._bench.judges is None:
            raise LookupError("a metric wants a network, and none is named")
        return self._bench.judges.image_text

    @cached_property
    def _image_features(self) -> Floats:
        return np.asarray(self._network.image_features(self.frames), np.float64)

    @cached_property
    def _speeds(self) -> Floats:
        from metrics.motion import flow_speeds

        return flow_speeds(self.frames)


def resampled(clip: DecodedClip, protocol: Protocol) -> DecodedClip:
    """Bring a clip to the protocol: frames are picked, then made smaller; none is invented.

    Raises:
        ProtocolError: it is too short, too slow or too small.
    """
    count, height, width, _ = clip.frames.shape
    size = protocol.size(height, width)
    picked = clip.frames[list(protocol.indices(count, clip.fps))]
    return DecodedClip(frames_.resize(picked, *size, fit="squash"), protocol.fps)


def decoder_id(source: Source) -> str:
    """Name what turns the file into pixels, and resizes them, with its version."""
    import PIL

    resizer = f"pillow-{PIL.__version__}"
    if source.is_folder:
        return resizer
    import av

    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"av-{av.__version__} libavcodec-{codec} {resizer}"


def _flow_side() -> int:
    from metrics.motion import SMALLEST_SIDE

    return SMALLEST_SIDE


def _not_tiny(shape: FrameShape) -> str:
    """Return why the tiny judges know nothing of such clips; empty where they do."""
    from poc.tiny.world import FRAMES, SIZE

    if (shape.num_frames, shape.height, shape.width) == (FRAMES, SIZE, SIZE):
        return ""
    return (
        f"the judges 'tiny' know {FRAMES} frames of {SIZE}x{SIZE} only, the clip has "
        f"{shape.num_frames} of {shape.width}x{shape.height}"
    )


def _unreadable(prompt: str) -> str:
    from poc.tiny import world

    try:
        world.parse(prompt)
    except ValueError:
        return "the judges 'tiny' know the words of the tiny world's captions only"
    return ""


def _named(metric: str) -> dict[str, Any]:
    info = catalog.describe(metric)
    return {"metric": info.name, "version": info.version, "unit": info.unit}


def _ok(value: float) -> dict[str, Any]:
    return {"value": value, "status": Status.OK, "reason": ""}


def _nothing(
    task: Task, blank: FolderMeasurement, status: Status, reason: str, fault: str | None
) -> ClipReport:
    """Return the report of a source that has no numbers: each metric's row says why."""
    names = (VALIDITY, *CLIP_METRICS) if task.role is Role.CLIP else (VALIDITY,)
    why = {"value": None, "status": status, "reason": reason, "fault": fault}
    return _report(task, blank, [blank.model_copy(update=_named(name) | why) for name in names])


def _report(task: Task, blank: FolderMeasurement, rows: Sequence[FolderMeasurement]) -> ClipReport:
    """Return what came of a source; its first row is its validity."""
    return ClipReport(
        name=task.source.name,
        role=task.role,
        status=rows[0].status,
        reason=rows[0].reason,
        shape=blank.shape,
        frames_digest=blank.frames_digest,
        prompt=task.prompt,
        rows=tuple(rows),
    )


def _tasks(
    bench: Bench, sources: Sequence[Source], role: Role, prompts: Mapping[str, str]
) -> list[Task]:
    surveys = [survey(source) for source in sources]
    expected = clip_folder.common_size(_sizes(surveys, bench.job.protocol))
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
    """Measure all; what is measured so far is kept now and then, and when interrupted."""
    reports: list[ClipReport] = []

    def keep() -> None:
        if out is not None:
            rows = [row for report in reports for row in report.rows]
            features = bench.cache.features | bench.features
            bench.cache.write(out, rows, features, None)

    progress("measure", 0, len(tasks))
    try:
        for number, task in enumerate(tasks, start=1):
            reports.append(bench.measured(task))
            if number % KEEP_EVERY == 0:
                keep()
            progress("measure", number, len(tasks))
    except KeyboardInterrupt:
        keep()
        raise
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
    return clip_folder.parse_prompts(text, str(path), [source.name for source in sources])


def _reference_prompts(job: FolderJob, sources: Sequence[Source]) -> dict[str, str]:
    return _prompts_of_names(sources) if job.prompts == NAMES else {}


def _prompts_of_names(sources: Sequence[Source]) -> dict[str, str]:
    spelled = {source.name: clip_folder.prompt_of_name(source.name) for source in sources}
    return {name: prompt for name, prompt in spelled.items() if prompt is not None}


# --- what follows --------------------------------------------------------------------------------


def _means(clips: Sequence[ClipReport]) -> Iterator[MetricSummary]:
    ok = [clip for clip in clips if clip.status is Status.OK]
    refusal = clip_folder.mixed(ok)
    for name in CLIP_METRICS:
        yield clip_folder.summarise(name, ok, planned=len(clips), refusal=refusal)


def _sets(
    bench: Bench, clips: Sequence[ClipReport], reference: Sequence[ClipReport]
) -> Iterator[MetricSummary]:
    """Yield FVD and KVD of the valid clips against those of the reference, or why not."""
    own, other = ([c for c in side if c.status is Status.OK] for side in (clips, reference))
    reason = _set_reason(bench, own, other)
    if reason:
        for name in SET_METRICS:
            yield set_summary(name, own, planned=len(clips), reason=reason)
        return
    sets = _set_pair(bench, own, other, len(clips))
    yield _fvd(sets)
    yield _kvd(sets)


def _set_reason(bench: Bench, own: Sequence[ClipReport], other: Sequence[ClipReport]) -> str:
    if bench.job.reference is None:
        return _NO_REFERENCE
    if bench.judges is None:
        return _NO_EXTRACTOR
    if not own or not other:
        return "no valid clip" if not own else "no valid clip in the reference"
    if refusal := clip_folder.set_refusal(own, other):
        return refusal
    shape = own[0].shape
    return "no shape" if shape is None else _not_tiny(shape)


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
    bench: Bench, own: Sequence[ClipReport], other: Sequence[ClipReport], planned: int
) -> _Sets:
    features, reference = (
        np.stack([bench.features[bench.feature_key(clip.frames_digest)] for clip in side])
        for side in (own, other)
    )
    basis = SetBasis(
        n=len(own),
        reference_n=len(other),
        dimension=features.shape[1],
        reference=frames_digest_of(other),
        protocol=bench.protocol_text,
        extractor=VIDEO_EXTRACTOR,
        extractor_digest=bench.judges.video_digest if bench.judges else "",
    )
    return _Sets(own, other, planned, features, reference, basis)


def frames_digest_of(clips: Sequence[ClipReport]) -> str:
    """Return one digest of the frames of all clips, in whatever order they lie."""
    return digest(sorted(str(clip.frames_digest) for clip in clips))


def _fvd(sets: _Sets) -> MetricSummary:
    from metrics.fvd import fvd

    basis = sets.basis
    if basis.rank_deficient:
        reason = (
            f"{basis.n} clips against {basis.reference_n} cannot span {basis.dimension} features: "
            f"more than {basis.dimension} of both are needed"
        )
        return set_summary("fvd", sets.own, planned=sets.planned, reason=reason)
    result = fvd(sets.features, sets.reference, basis=basis, draws=FLOOR_DRAWS, seed=FLOOR_SEED)
    notes = [f"noise floor {result.floor.mean:.3g} at n = {basis.n}"]
    _, names = clusters_of([*sets.own, *sets.other])
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
    from metrics.kvd import TooFewError, kvd_jackknife

    # Clips of one prompt, or of the same frames, are no independent pair, in the reference neither.
    kind, names = clusters_of([*sets.own, *sets.other])
    labels, count = np.array(names), len(sets.own)
    try:
        found = kvd_jackknife(
            sets.features,
            sets.reference,
            clusters=labels[:count],
            reference_clusters=labels[count:],
        )
    except TooFewError as error:
        reason = str(error) if kind == "prompts" else str(error).replace("prompts", "clips")
        return set_summary("kvd", sets.own, planned=sets.planned, reason=reason)
    interval = found.interval(LEVEL)
    return set_summary(
        "kvd",
        sets.own,
        planned=sets.planned,
        value=found.value,
        interval=(interval.low, interval.high),
        method=f"jackknife over {kind}, of folder and reference together, skew-corrected",
        notes=(
            *([_INDEPENDENT] if kind == "clips" else []),
            f"against {len(sets.other)} clips",
            f"extractor {sets.basis.extractor}",
        ),
    )


def _set_row(
    bench: Bench,
    one: MetricSummary,
    clips: Sequence[ClipReport],
    reference: Sequence[ClipReport],
) -> FolderMeasurement:
    own, other = ([c for c in side if c.status is Status.OK] for side in (clips, reference))
    there = one.value is not None
    pinned = bench.judges.video_digest if bench.judges and there else None
    return FolderMeasurement(
        role=Role.SET,
        file=None,
        file_digest=None,
        frames_digest=frames_digest_of(own),
        shape=own[0].shape if there else None,
        decoder=None,
        protocol=bench.protocol_text,
        prompt=None,
        **_named(one.metric),
        value=one.value,
        status=Status.OK if there else Status.NOT_MEASURED,
        reason="" if there else one.reason,
        fault=None,
        extractor=VIDEO_EXTRACTOR if pinned else None,
        extractor_digest=pinned,
        reference_digest=frames_digest_of(other) if other else None,
    )


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
    yield from clip_folder.copies(clips)
    known = {clip.frames_digest for clip in reference if clip.status is Status.OK}
    shared = [c.name for c in clips if c.status is Status.OK and c.frames_digest in known]
    if shared:
        yield f"the reference has the same frames as {listed(shared)}"
    if job.judges == TINY:
        yield "judges 'tiny' were taught on the tiny world: not comparable with published values"
