"""Any folder of clips: bad files are told and never scored, good ones get the true numbers."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from metrics import catalog, frames
from metrics.base import Frames
from metrics.extractors.clip import load_clip
from metrics.frames import DecodeError
from metrics.frechet import frechet_distance, polynomial_mmd
from metrics.motion import flow_speeds
from metrics.temporal import clip_frame_consistency
from poc import cli, disk, journal
from poc.clip_files import Source, list_clips, read_frames, survey
from poc.clip_folder import (
    Protocol,
    ProtocolError,
    common_size,
    parse_prompts,
    parse_protocol,
)
from poc.clip_means import clusters_of, summarise
from poc.clip_records import (
    CLIP_METRICS,
    ClipReport,
    FolderMeasurement,
    FolderSummary,
    FrameShape,
    MetricSummary,
    Role,
    Status,
)
from poc.clip_table import table
from poc.errors import InputError
from poc.measure_folder import FolderJob, FolderResult, measure_folder
from poc.models import read_models
from poc.tiny import world
from poc.tiny.video_network import load_video_extractor
from poc.video import encode_webm

DATA = Path(__file__).parents[1].parent / "shared" / "data"
TEXTS = world.unseen_prompts(34)


def silent(_stage: str, _done: int, _planned: int) -> None:
    """Show no progress."""


def measured(folder: Path, **options: Any) -> FolderResult:
    return measure_folder(FolderJob(folder=folder, **options), progress=silent)


def rendered(number: int, seed: int = 0) -> Frames:
    """A clip of the tiny world, 16 frames of 64 px."""
    scene = world.parse(TEXTS[number % len(TEXTS)])
    return world.render_clip(scene, np.random.default_rng([seed, number]))


def write_webm(path: Path, clip: Frames, fps: int = 8) -> None:
    path.write_bytes(encode_webm(clip, fps))


def write_mp4(
    path: Path, clip: Frames, fps: int = 8, *, index_first: bool = False, title: str = ""
) -> None:
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update({"title": title} if title else {})
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
        stream.thread_count = 1
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_sound(path: Path) -> None:
    """An mp4 without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_gif(path: Path, clip: Frames) -> None:
    first, *rest = (Image.fromarray(frame) for frame in clip)
    first.save(path, save_all=True, append_images=rest, duration=120)


def write_png(path: Path, clip: Frames) -> None:
    path.mkdir()
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(path / f"frame_{number}.png")


WRITERS: Mapping[str, Callable[[Path, Frames], None]] = {
    ".webm": write_webm,
    ".mp4": write_mp4,
    ".gif": write_gif,
    "": write_png,
}


def fill(folder: Path, count: int, *, suffix: str = ".webm", seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        name = f"{TEXTS[number % len(TEXTS)].replace(' ', '_')}{suffix}"
        WRITERS[suffix](folder / name, rendered(number, seed))
    return folder


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def by_name(result: FolderResult) -> dict[str, ClipReport]:
    return {clip.name: clip for clip in result.clips}


def found(result: FolderResult, metric: str) -> MetricSummary:
    return next(one for one in result.summary.metrics if one.metric == metric)


def number(clip: ClipReport, metric: str) -> float:
    value = clip.value(metric)
    assert value is not None
    return value


def lines_of(out: Path, name: str = "measurements.jsonl") -> list[FolderMeasurement]:
    lines = (out / name).read_bytes().splitlines()
    return [journal.decode(line, FolderMeasurement) for line in lines]


def change_cache(out: Path, change: Callable[[FolderMeasurement], Mapping[str, Any]]) -> None:
    """Write other things into the cache, as another version of the program would have."""
    name = "measure-cache.jsonl"
    rows = [row.model_copy(update=dict(change(row))) for row in lines_of(out, name)]
    (out / name).write_bytes(b"".join(journal.encode(row) for row in rows))


# --- a corpus of bad clips -----------------------------------------------------------------------

LONG = "n" * 240 + ".mp4"
STEERING = "\x1b[31mred.mp4"


def write_bad(folder: Path) -> dict[str, tuple[Status, str]]:
    """Write bad clips, and return what each must be called and a part of the reason."""
    good, failed, invalid = rendered(0), Status.FAILED, Status.INVALID
    expected: dict[str, tuple[Status, str]] = {}

    def bad(name: str, status: Status, reason: str) -> Path:
        expected[name] = (status, reason)
        return folder / name

    for name, share, reason in [
        ("index_last.mp4", 0.7, "cannot be decoded"),
        ("index_first.mp4", 0.9, "truncated or damaged"),
        ("cut.webm", 0.7, "truncated: it states 2 s"),
        ("cut.gif", 0.7, "truncated: the end mark"),
    ]:
        path = bad(name, failed, reason)
        if name == "index_first.mp4":
            write_mp4(path, good, index_first=True)
        else:
            WRITERS[path.suffix](path, good)
        cut(path, share)
    bad("text.mp4", failed, "is no mp4, webm or gif").write_text("a film\n" * 100)
    playlist = bad("playlist.mp4", failed, "is no mp4, webm or gif")
    playlist.write_text("#EXTM3U\n#EXTINF:2,\nindex_last.mp4\n#EXT-X-ENDLIST\n")
    bad("header.mp4", failed, "cannot be decoded").write_bytes(b"\0\0\0\x20ftypisom" + b"\7" * 99)
    bad("zero.webm", failed, "is empty").touch()
    write_sound(bad("sound.mp4", failed, "it holds none"))
    bad("other.mov", failed, ".mov is not read").write_bytes(b"\0\0\0\x20ftypqt  ")
    bad("nowhere.mp4", failed, "link to nothing").symlink_to(folder / "missing")
    os.mkfifo(bad("pipe.mp4", failed, "no regular file"))
    bad("loop", failed, "link to a folder").symlink_to(folder)
    bad("nothing", failed, "no png frame").mkdir()
    bad(LONG, failed, "is no mp4, webm or gif").write_bytes(b"x" * 64)
    bad(STEERING, failed, "is no mp4, webm or gif").write_bytes(b"x" * 64)
    write_webm(bad("one.webm", invalid, "a clip needs 2 frames, got 1"), good[:1])
    write_webm(bad("frozen.webm", invalid, "are the same"), np.repeat(good[:1], 16, axis=0))
    write_webm(bad("black.webm", invalid, "no frame has visible light"), np.zeros_like(good))
    write_webm(bad("white.webm", invalid, "blown out"), np.full_like(good, 255))
    write_webm(bad("small.webm", invalid, "expected 16 frames of 64x64"), good[:, ::2, ::2])
    _write_bad_png(bad, good)
    return expected


def _freeze(frame: Path) -> None:
    for other in frame.parent.iterdir():
        if other != frame:
            shutil.copy(frame, other)


def _make_clear(frame: Path) -> None:
    with Image.open(frame) as opaque:
        clear = opaque.convert("RGBA")
    clear.putalpha(9)
    clear.save(frame)


BAD_PNG: Mapping[str, tuple[Status, str, Callable[[Path], object]]] = {
    "png_torn": (
        Status.FAILED,
        "frame_3.png: cannot be decoded as png",
        lambda frame: cut(frame, 0.5),
    ),
    "png_text": (
        Status.FAILED,
        "frame_3.png: is no png",
        lambda frame: frame.write_text("no picture at all, but long enough"),
    ),
    "png_gap": (Status.FAILED, "frames are missing between 0 and 15", Path.unlink),
    "png_twice": (
        Status.FAILED,
        "order of frames is not clear",
        lambda frame: shutil.copy(frame, frame.with_name("other_3.png")),
    ),
    "png_sizes": (
        Status.FAILED,
        "expected frames of one size, got 32x32 and 64x64",
        lambda frame: Image.new("RGB", (32, 32)).save(frame),
    ),
    "png_16bit": (
        Status.FAILED,
        "expected 8 bits a channel, got 16",
        lambda frame: Image.fromarray(np.full((64, 64), 999, np.uint16)).save(frame),
    ),
    "png_clear": (Status.FAILED, "transparent", _make_clear),
    "png_frozen": (Status.INVALID, "are the same", _freeze),
}


def _write_bad_png(bad: Callable[[str, Status, str], Path], good: Frames) -> None:
    for name, (status, reason, spoil) in BAD_PNG.items():
        folder = bad(name, status, reason)
        write_png(folder, good)
        spoil(folder / "frame_3.png")


def test_a_corpus_of_bad_clips_is_caught_and_the_good_ones_beside_them_are_measured(
    tmp_path: Path,
) -> None:
    expected = write_bad(tmp_path)
    good = [f"{number}.webm" for number in range(6)]
    for place, name in enumerate(good):
        write_webm(tmp_path / name, rendered(place))

    result = measured(tmp_path)
    clips = by_name(result)

    assert len(expected) >= 29
    assert sorted(clips) == sorted([*expected, *good])
    for name, (status, reason) in expected.items():
        assert clips[name].status is status, (name, clips[name].reason)
        assert reason in clips[name].reason, (name, clips[name].reason)
        assert str(tmp_path) not in clips[name].reason
        assert [row.value for row in clips[name].rows] == [None] * (len(CLIP_METRICS) + 1)
    assert all(clips[name].status is Status.OK for name in good)
    counts = result.summary.counts
    assert (counts.planned, counts.ok) == (len(clips), len(good))
    assert counts.planned == counts.ok + counts.failed + counts.invalid
    assert not result.all_ok


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with_headers(*sizes: tuple[int, int], pixels: tuple[int, int]) -> bytes:
    """A png of `pixels` (width, height) with a header for each size; decoders take the last."""
    width, height = pixels
    headers = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)) for size in sizes]
    rows = (b"\0" + bytes([100]) * (3 * width)) * height
    body = [*headers, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"".join([b"\x89PNG\r\n\x1a\n", *body])


@pytest.mark.parametrize("last", [(32, 32), (6000, 6000), (20000, 20000)])
def test_a_png_with_two_headers_fails_alone_and_is_not_decoded(
    tmp_path: Path, last: tuple[int, int]
) -> None:
    evil = tmp_path / "clips" / "evil"
    evil.mkdir(parents=True)
    (evil / "0.png").write_bytes(png_with_headers((64, 64), pixels=(64, 64)))
    (evil / "1.png").write_bytes(png_with_headers((64, 64), last, pixels=(32, 32)))
    write_webm(tmp_path / "clips" / "good.webm", rendered(0))

    result = measured(tmp_path / "clips", out=tmp_path / "out")

    clips = by_name(result)
    assert clips["evil"].status is Status.FAILED
    assert clips["evil"].reason == "1.png: has 2 headers, a png has one"
    assert clips["good.webm"].status is Status.OK
    assert {row.file for row in lines_of(tmp_path / "out") if row.file} == {"evil", "good.webm"}


def test_a_frame_of_another_size_than_was_checked_is_not_decoded(tmp_path: Path) -> None:
    write_png(tmp_path / "clip", rendered(0))
    source = Source("clip", tmp_path / "clip", is_folder=True)
    checked = survey(source).size
    Image.new("RGB", (20000, 10)).save(tmp_path / "clip" / "frame_3.png")  # in between

    with pytest.raises(DecodeError, match="20000x10, where 64x64 was stated"):
        read_frames(source, size=checked, png_fps=None)


def test_a_title_that_is_no_utf8_keeps_no_clip_from_being_measured(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", rendered(0), title="ABCDABCD")
    data = (tmp_path / "a.mp4").read_bytes()
    assert b"ABCDABCD" in data
    (tmp_path / "a.mp4").write_bytes(data.replace(b"ABCDABCD", b"\xff\xfe" * 4))

    assert measured(tmp_path).all_ok


def test_a_header_that_breaks_its_reader_is_a_failed_clip(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_path: Path) -> tuple[int, int]:
        raise ZeroDivisionError("a time in units of 0")

    monkeypatch.setattr("poc.clip_files._video_size", breaks)

    assert {clip.reason for clip in measured(folder).clips} == {
        "cannot be read (a time in units of 0)"
    }


def test_no_more_pixels_are_read_than_a_clip_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_webm(tmp_path / "a.webm", rendered(0))
    source = Source("a.webm", tmp_path / "a.webm", is_folder=False)
    monkeypatch.setattr("poc.clip_files.MAX_CLIP_PIXELS", 3 * 64 * 64)

    with pytest.raises(DecodeError, match="more than 12288 pixels"):
        read_frames(source, size=(64, 64), png_fps=None)


@pytest.mark.parametrize("error", [ValueError, TypeError, ZeroDivisionError, KeyError, cv2.error])
def test_a_clip_that_breaks_a_metric_fails_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    whole = by_name(measured(folder))
    wanted, others = (name for name in sorted(whole) if name != "frozen.webm")
    metric = catalog.load("contrast")

    def breaks(clip: Frames) -> Any:
        if frames.digest(clip) == whole[wanted].frames_digest:
            raise error("of no use")
        return metric(clip)

    monkeypatch.setattr("metrics.image.contrast", breaks)
    clips = by_name(measured(folder))

    assert clips[wanted].status is Status.FAILED
    assert "cannot be measured" in clips[wanted].reason
    assert clips[others] == whole[others]


def test_many_good_clips_of_all_kinds_raise_no_false_alarm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    suffixes = list(WRITERS)
    for place in range(8):  # test_poc_measure_corpus has very many
        suffix = suffixes[place % 4]
        WRITERS[suffix](tmp_path / f"{place}{suffix}", rendered(place))
    dim = (rendered(0) // 4 + 12).astype(np.uint8)
    slow = np.stack([np.roll(rendered(1)[0], step // 8, axis=1) for step in range(16)])
    noise = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    for name, clip in {"dim": dim, "slow": slow, "noise": noise, "two": rendered(2)[::15]}.items():
        write_png(tmp_path / name, clip)
    write_mp4(tmp_path / "index_first.mp4", rendered(3), index_first=True)
    write_webm(tmp_path / "30fps.webm", rendered(4), fps=30)
    Image.new("L", (64, 64), 90).save(tmp_path / "two" / "frame_2.png")
    (tmp_path / "linked.webm").symlink_to(tmp_path / "0.webm")

    result = measured(tmp_path)

    assert [(one.file, one.reason) for one in result.summary.not_ok] == []
    assert result.all_ok


def test_a_healthy_folder_of_two_sizes_without_a_majority_keeps_its_rows_and_has_no_mean(
    tmp_path: Path,
) -> None:
    write_webm(tmp_path / "large.webm", rendered(0))
    write_webm(tmp_path / "small.webm", rendered(1)[:, ::2, ::2])

    result = measured(tmp_path)

    assert result.all_ok
    assert all(clip.value("flicker") is not None for clip in result.clips)
    mean = found(result, "flicker")
    assert mean.value is None
    assert mean.reason.startswith("sizes are mixed (32x32, 64x64): give --protocol")


def test_a_largest_value_has_no_mean_over_clips_of_several_lengths(tmp_path: Path) -> None:
    write_webm(tmp_path / "long.webm", rendered(0))
    write_webm(tmp_path / "short.webm", rendered(1)[:9])

    result = measured(tmp_path)

    mean = found(result, "luminance_jump")
    assert mean.value is None
    assert mean.reason.startswith("frame counts are mixed (9, 16) and it grows with them")
    assert found(result, "flicker").value is not None
    assert all(clip.value("luminance_jump") is not None for clip in result.clips)


@pytest.mark.parametrize("fps", [12, 24, 30, None])
def test_dynamic_degree_is_not_told_at_another_rate_than_its_rules(
    tmp_path: Path, fps: int | None
) -> None:
    if fps is None:
        write_png(tmp_path / "clip", rendered(0))
    else:
        write_webm(tmp_path / "clip.webm", np.repeat(rendered(0), 4, axis=0), fps=fps)

    (other,) = measured(tmp_path).clips
    (brought,) = measured(
        tmp_path, protocol=parse_protocol("seconds:1,fps:8,short_side:64"), png_fps=8.0
    ).clips

    row = other.row("dynamic_degree")
    assert row is not None
    assert row.value is None
    assert "its rule is for 8 fps" in row.reason
    assert other.value("motion") is not None
    assert brought.value("dynamic_degree") in {0.0, 1.0}


def test_the_same_frames_at_another_rate_are_asked_anew(tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    write_webm(clips / "a.webm", rendered(0), fps=30)
    (quick,) = measured(clips, out=out).clips
    write_webm(clips / "a.webm", rendered(0), fps=8)

    (slow,) = measured(clips, out=out).clips

    assert quick.frames_digest == slow.frames_digest
    assert quick.value("dynamic_degree") is None
    assert slow.value("dynamic_degree") is not None


def test_mixed_frame_rates_have_no_common_mean(tmp_path: Path) -> None:
    write_webm(tmp_path / "a.webm", rendered(0), fps=8)
    write_webm(tmp_path / "b.webm", rendered(1), fps=30)

    assert "frame rates are mixed (30, 8)" in found(measured(tmp_path), "motion").reason


# --- the numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_values_are_those_of_the_metrics_own_functions(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    WRITERS[suffix](path, rendered(0))
    clip = rendered(0) if suffix == "" else frames.decode(path).frames

    (report,) = measured(tmp_path, png_fps=8.0).clips

    assert report.frames_digest == frames.digest(clip)
    for name in CLIP_METRICS:
        info = catalog.describe(name)
        if info.takes in (("frames",), ("frames", "flows")):
            assert report.value(name) == catalog.load(name)(clip).value
        if info.takes == ("speeds",):
            assert report.value(name) == catalog.load(name)(flow_speeds(clip)).value


def test_frames_as_png_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_png(tmp_path / "clip", rendered(0))  # frame_10 sorts before frame_2 as text

    (report,) = measured(tmp_path).clips

    assert report.frames_digest == frames.digest(rendered(0))
    assert report.shape is not None
    assert report.shape.fps is None


def test_a_mean_says_n_and_what_its_interval_resamples(tmp_path: Path) -> None:
    for place in range(3):
        write_webm(tmp_path / f"a_cat_{place}.webm", rendered(place))
    shutil.copy(tmp_path / "a_cat_0.webm", tmp_path / "copy.webm")
    prompts = tmp_path / "prompts.csv"
    prompts.write_text(
        "file,prompt\na_cat_0.webm,a cat\na_cat_1.webm,a cat\na_cat_2.webm,a dog\ncopy.webm,a dog\n"
    )

    alone, grouped = measured(tmp_path), measured(tmp_path, prompts=str(prompts))

    mean = found(alone, "flicker")
    assert (mean.n_clips, mean.n_clusters, mean.clusters) == (4, 3, "clips")
    assert mean.method == "t on per-clip values"
    assert "the same frames: a_cat_0.webm, copy.webm" in alone.summary.notes
    mean = found(grouped, "flicker")
    assert (mean.n_clips, mean.n_clusters, mean.clusters) == (4, 2, "prompts")
    values = [number(clip, "flicker") for clip in grouped.clips]
    per_prompt = [np.mean(values[:2]), np.mean(values[2:])]
    assert mean.value == pytest.approx(np.mean(per_prompt), rel=1e-9)
    half = 12.7062047 * np.std(per_prompt, ddof=1) / np.sqrt(2)  # t with 1 degree of freedom
    assert mean.high == pytest.approx(np.mean(per_prompt) + half, rel=1e-7)


def prompted_clip(number: int, prompt: str | None, value: float) -> ClipReport:
    shape = FrameShape(num_frames=16, height=64, width=64, fps=8.0)
    row = FolderMeasurement(
        role=Role.CLIP,
        file=str(number),
        file_digest=str(number),
        frames_digest=f"frames {number}",
        shape=shape,
        decoder="d",
        protocol="p",
        prompt=prompt,
        metric="motion",
        version=1,
        unit="px/frame",
        value=value,
        status=Status.OK,
        reason="",
        fault=None,
        extractor=None,
        extractor_digest=None,
        reference_digest=None,
    )
    return ClipReport(
        str(number), Role.CLIP, Status.OK, "", shape, row.frames_digest, prompt, (row,)
    )


def test_a_clip_without_a_prompt_leaves_the_others_to_theirs() -> None:
    means = np.array([3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0])
    clips = [
        prompted_clip(25 * place + again, f"prompt {place}", mean + 0.01 * (again - 12))
        for place, mean in enumerate(means)
        for again in range(25)
    ]
    alone = [prompted_clip(999, None, 5.0)]

    mean = summarise("motion", [*clips, *alone], planned=201, refusal="")

    nine = np.append(means, 5.0)
    half = 2.3060041 * np.std(nine, ddof=1) / 3  # t with 8 degrees of freedom
    assert (mean.n_clips, mean.n_clusters, mean.clusters) == (201, 9, "clusters")
    assert (mean.low, mean.high) == pytest.approx((nine.mean() - half, nine.mean() + half))
    assert mean.method == "t on per-cluster values"


def test_a_copy_without_a_prompt_belongs_to_the_one_that_has_it() -> None:
    first, other = prompted_clip(0, "a cat", 1.0), prompted_clip(1, "a dog", 2.0)
    copy = replace(prompted_clip(2, None, 1.0), frames_digest=first.frames_digest)

    assert clusters_of([first, other, copy]) == ("prompts", ("a cat", "a dog", "a cat"))
    assert clusters_of([copy])[0] == "clips"


def test_a_name_that_is_no_utf8_is_measured_and_written_with_escapes(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_webm(folder / os.fsdecode(b"\xff.webm"), rendered(0))

    result = measured(folder, prompts="names", out=tmp_path / "out")

    assert result.all_ok
    assert [clip.name for clip in result.clips] == ["\\udcff.webm"]
    assert "\\udcff.webm" in table(result.summary, result.clips)


def test_one_clip_has_a_mean_and_no_interval(tmp_path: Path) -> None:
    write_webm(tmp_path / "a.webm", rendered(0))

    mean = found(measured(tmp_path), "flicker")

    assert mean.value is not None
    assert (mean.low, mean.high) == (None, None)
    assert mean.reason == "1 clip: an interval needs at least 2"


def test_a_clip_too_small_for_flow_is_measured_by_the_others(tmp_path: Path) -> None:
    write_png(tmp_path / "a", rendered(0)[:, ::4, ::4])

    (report,) = measured(tmp_path).clips

    assert report.status is Status.OK
    assert report.value("flicker") is not None
    row = report.row("motion")
    assert row is not None
    assert (row.value, row.reason) == (None, "optical flow needs frames of at least 32 px")


# --- judges --------------------------------------------------------------------------------------


def test_without_an_extractor_nothing_is_said_that_needs_one(tmp_path: Path) -> None:
    result = measured(fill(tmp_path / "clips", 2), reference=fill(tmp_path / "ref", 2, seed=1))

    for name in ("clip_frame_consistency", "fvd", "kvd"):
        assert found(result, name).value is None
        assert found(result, name).reason == "no extractor for real video is given"
    reason = found(result, "clip_score").reason
    assert reason == "no prompt; no extractor for real video is given"


def test_the_tiny_judges_are_silent_on_clips_of_another_size(tmp_path: Path) -> None:
    big = np.repeat(np.repeat(rendered(0), 2, axis=1), 2, axis=2)
    write_webm(tmp_path / "a_red_circle.webm", big)

    result = measured(tmp_path, judges="tiny", prompts="names")

    for name in ("clip_frame_consistency", "clip_score"):
        assert found(result, name).value is None
        assert "know 16 frames of 64x64 only" in found(result, name).reason


def test_clip_score_needs_a_prompt_in_words_that_the_judge_knows(tmp_path: Path) -> None:
    write_webm(tmp_path / "a_cat_on_mars.webm", rendered(0))

    without, foreign = (measured(tmp_path, judges="tiny", prompts=p) for p in (None, "names"))

    assert found(without, "clip_score").reason == "no prompt"
    assert found(without, "clip_frame_consistency").value is not None
    assert "words of the tiny world's captions only" in found(foreign, "clip_score").reason


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """34 clips of as many prompts, as many of a reference, and what was measured of them."""
    root = tmp_path_factory.mktemp("worlds")
    clips = fill(root / "clips", 34)
    reference = fill(root / "reference", 34, seed=1)
    measured(clips, reference=reference, judges="tiny", out=root / "out")
    return clips, reference, root / "out"


def test_scores_and_distances_are_those_of_the_shipped_networks(
    worlds: tuple[Path, Path, Path],
) -> None:
    clips, reference, out = worlds
    result = measured(clips, reference=reference, judges="tiny", out=out)
    prompted = measured(clips, judges="tiny", prompts="names", out=None)
    models = read_models()
    video = load_video_extractor(models.verify("tiny-video-features"), extractor_id="v")
    words = load_clip(
        models.verify("tiny-clip"), extractor_id="c", batch_size=64, expected_sha256=None
    )

    def features(folder: Path) -> np.ndarray:
        paths = sorted(folder.iterdir())
        rows = [video.features(frames.decode(path).frames[None])[0] for path in paths]
        return np.stack(rows).astype(np.float64)

    x, y = features(clips), features(reference)
    first = min(clips.iterdir())
    images = words.image_features(frames.decode(first).frames).astype(np.float64)
    text = words.text_features([first.stem.replace("_", " ")])[0].astype(np.float64)
    assert found(result, "fvd").value == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert found(result, "kvd").value == pytest.approx(polynomial_mmd(x, y), rel=1e-6)
    report = prompted.clips[0]
    assert report.value("clip_score") == pytest.approx(100 * (images @ text).mean(), rel=1e-6)
    consistency = clip_frame_consistency(images).value
    assert report.value("clip_frame_consistency") == pytest.approx(consistency, rel=1e-9)


def test_a_distance_says_n_floor_and_reference_and_kvd_has_the_interval(
    worlds: tuple[Path, Path, Path],
) -> None:
    clips, reference, out = worlds
    result = measured(clips, reference=reference, judges="tiny", prompts="names", out=out)
    fvd, kvd = found(result, "fvd"), found(result, "kvd")

    assert (fvd.n_clips, fvd.low) == (34, None)
    assert any(note.startswith("noise floor ") and ", ratio " in note for note in fvd.notes)
    assert not any("rank-deficient" in note for note in fvd.notes)
    assert any(note.startswith("too low: the reference shows prompts") for note in fvd.notes)
    assert kvd.low is not None
    assert kvd.high is not None
    assert kvd.low <= 0 <= kvd.high  # both render the same prompts, cleanly
    assert kvd.method.startswith("jackknife over prompts")
    assert "against 34 clips" in kvd.notes


def test_a_distance_that_may_share_prompts_with_its_reference_says_so(
    worlds: tuple[Path, Path, Path],
) -> None:
    clips, reference, out = worlds
    kvd = found(measured(clips, reference=reference, judges="tiny", out=out), "kvd")

    assert kvd.high is not None
    assert kvd.high < 0  # the known trap: pairs of one prompt count as independent
    assert "give --prompts names" in kvd.notes[0]
    assert "takes clips for independent" in kvd.notes[0]


def test_a_distance_to_clips_of_unknown_prompts_has_no_interval_where_prompts_matter(
    worlds: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    clips, reference, out = worlds
    listed = "".join(f'"{path.name}","{path.stem}"\n' for path in sorted(clips.iterdir()))
    (tmp_path / "p.csv").write_text(f"file,prompt\n{listed}")

    kvd = found(
        measured(
            clips, reference=reference, judges="tiny", prompts=str(tmp_path / "p.csv"), out=out
        ),
        "kvd",
    )

    assert kvd.value is not None
    assert (kvd.low, kvd.high) == (None, None)
    assert kvd.reason.startswith("no interval, since the prompts of one side alone are known")
    assert "give --prompts names" in kvd.reason


def copied(folder: Path, source: Path, count: int) -> Path:
    folder.mkdir()
    for path in sorted(source.iterdir())[:count]:
        shutil.copy(path, folder / path.name)
    return folder


def test_too_few_clips_are_marked_and_unequally_many_have_no_distance(
    worlds: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    clips, reference, out = worlds
    few, fewer, two = (copied(tmp_path / str(n), clips, n) for n in (4, 3, 2))
    others = [copied(tmp_path / f"r{n}", reference, n) for n in (4, 2)]
    cached = tmp_path / "out"
    shutil.copytree(out, cached)

    def against(folder: Path, other: Path) -> FolderResult:
        return measured(folder, reference=other, judges="tiny", out=cached)

    equal, unequal, least = (
        against(few, others[0]),
        against(fewer, others[0]),
        against(two, others[1]),
    )

    deficient = found(equal, "fvd")
    assert deficient.value is not None
    assert "rank-deficient: 4 clips against 4 cannot span 32 features" in " ".join(deficient.notes)
    assert "more than 32 of both are needed" in table(equal.summary, equal.clips)
    assert found(equal, "kvd").value is not None
    assert found(unequal, "kvd").reason.startswith("3 valid clips against 4 of the reference")
    assert found(least, "kvd").reason == "an interval needs 3 clips or more, got 2"


def test_a_reference_of_other_sizes_or_rates_is_refused(tmp_path: Path) -> None:
    clips = fill(tmp_path / "clips", 2)
    quick, small = tmp_path / "quick", tmp_path / "small"
    for folder in (quick, small):
        folder.mkdir()
    for place in range(2):
        write_webm(quick / f"{place}.webm", rendered(place, 1), fps=30)
        write_webm(small / f"{place}.webm", rendered(place, 1)[:, ::2, ::2])

    for folder, said in ((quick, "frame rates are mixed"), (small, "sizes are mixed")):
        result = measured(clips, reference=folder, judges="tiny")
        assert found(result, "kvd").value is None
        assert said in found(result, "kvd").reason


def test_bad_reference_clips_are_counted_and_left_out(tmp_path: Path) -> None:
    clips, reference = fill(tmp_path / "clips", 2), fill(tmp_path / "ref", 2, seed=1)
    (reference / "text.mp4").write_text("no clip")

    result = measured(clips, reference=reference)

    assert result.summary.reference_counts is not None
    assert (result.summary.reference_counts.planned, result.summary.reference_counts.failed) == (
        3,
        1,
    )
    assert not result.all_ok
    assert "reference text.mp4: failed: is no mp4" in table(result.summary, result.clips)


def test_a_folder_against_itself_is_told(tmp_path: Path) -> None:
    clips = fill(tmp_path / "clips", 2)

    notes = measured(clips, reference=clips).summary.notes

    assert any(note.startswith("the reference has the same frames as ") for note in notes)


# --- the comparison protocol ---------------------------------------------------------------------


def test_a_protocol_takes_the_frame_shown_at_the_middle_of_each_step() -> None:
    protocol = Protocol(1.0, 8.0, 64)

    assert protocol.indices(8, 8.0) == tuple(range(8))
    assert protocol.indices(30, 24.0) == (1, 4, 7, 10, 13, 16, 19, 22)
    assert protocol.indices(25, 25.0) == (1, 4, 7, 10, 14, 17, 20, 23)
    assert protocol.size(576, 1024) == (64, 114)


@pytest.mark.parametrize(
    ("total", "fps", "said"),
    [
        (7, 8.0, "8 frames at 8 fps are asked, it has 7 at 8 fps"),
        (60, 6.0, "it has 6 fps; none is repeated"),
        (60, None, "states no frame rate"),
    ],
)
def test_a_protocol_repeats_no_frame(total: int, fps: float | None, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        Protocol(1.0, 8.0, 64).indices(total, fps)


def shown_at(times: Sequence[float], at: float) -> int:
    """Which frame is on screen at a time, one after the other."""
    return max(number for number, start in enumerate(times) if start <= at)


def test_frames_of_an_uneven_rate_are_picked_by_the_time_they_are_shown() -> None:
    quick = [k / 40 for k in range(40)]
    slow = [1.0 + k / 10 for k in range(11)]
    times = [*quick, *slow]  # 40 fps for a second, then 10
    protocol = Protocol(2.0, 8.0, 64)

    taken = protocol.indices(len(times), (len(times) - 1) / times[-1], times)

    assert taken == tuple(shown_at(times, (step + 0.5) / 8) for step in range(16))
    assert protocol.indices(16, 8.0, [k / 8 + 0.001 * (k % 2) for k in range(16)]) == tuple(
        range(16)
    )  # rounded to a clock's milliseconds, as a webm is


def test_a_clip_that_stands_still_for_too_long_is_refused_and_not_repeated(tmp_path: Path) -> None:
    times_ms = [0, 1000, *(2000 + 20 * k for k in range(50))]  # 1 fps, then 50
    with av.open(str(tmp_path / "uneven.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(times_ms):
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(rendered(0)[number % 16]), format="rgb24"
            )
            picture.pts, picture.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())

    (clip,) = measured(tmp_path, protocol=parse_protocol("seconds:2,fps:8,short_side:64")).clips

    assert clip.status is Status.INVALID
    assert "unevenly spaced" in clip.reason
    assert "none is repeated" in clip.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seconds:2,fps:8", "expected seconds, fps and short_side once each"),
        ("seconds:2,fps:8,short_side:64,fps:8", "once each"),
        ("seconds:2,fsp:8,short_side:64", "unknown part 'fsp'. Did you mean 'fps'"),
        ("seconds:nan,fps:8,short_side:64", "'seconds': expected a number above 0, got 'nan'"),
        ("seconds:0,fps:8,short_side:64", "'seconds': expected a number above 0"),
        ("seconds:2,fps:8,short_side:64.5", "'short_side': expected whole pixels"),
        ("seconds:1.3,fps:8,short_side:64", "are 10.4 frames; expected a whole number"),
        ("seconds:1,fps:1,short_side:64", "of 2 or more"),
    ],
)
def test_a_protocol_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_protocol(text)


def test_a_protocol_brings_sizes_and_rates_to_one_form_and_leaves_the_files(tmp_path: Path) -> None:
    big = np.repeat(np.repeat(rendered(0), 2, axis=1), 2, axis=2)
    write_webm(tmp_path / "big.webm", np.repeat(big, 4, axis=0), fps=32)
    write_webm(tmp_path / "small.webm", rendered(1))
    write_png(tmp_path / "frames", rendered(2))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.webm")}

    protocol = parse_protocol("seconds:1,fps:4,short_side:32")
    result = measured(tmp_path, protocol=protocol, png_fps=8.0)

    assert result.all_ok
    assert {str(clip.shape) for clip in result.clips} == {"num_frames=4 height=32 width=32 fps=4.0"}
    clip = frames.decode(tmp_path / "small.webm").frames
    expected = frames.resize(clip[[1, 3, 5, 7]], 32, 32, fit="squash")
    assert by_name(result)["small.webm"].frames_digest == frames.digest(expected)
    assert found(result, "flicker").n_clips == 3
    assert {path: path.read_bytes() for path in tmp_path.glob("*.webm")} == before


def test_a_clip_that_the_protocol_cannot_take_is_invalid_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    write_webm(tmp_path / "good.webm", rendered(0))
    write_webm(tmp_path / "short.webm", rendered(1)[:8])
    write_webm(tmp_path / "slow.webm", rendered(2), fps=4)
    write_webm(tmp_path / "small.webm", rendered(3)[:, ::2, ::2])
    write_png(tmp_path / "frames", rendered(4))

    result = measured(tmp_path, protocol=parse_protocol("seconds:2,fps:8,short_side:64"))

    reasons = {one.file: (one.status, one.reason) for one in result.summary.not_ok}
    assert {status for status, _ in reasons.values()} == {Status.INVALID}
    assert "it has 8 at 8 fps (1 s)" in reasons["short.webm"][1]
    assert "it has 4 fps; none is repeated" in reasons["slow.webm"][1]
    assert "a short side of 64 px is asked, it has 32" in reasons["small.webm"][1]
    assert "give --png-fps" in reasons["frames"][1]
    assert by_name(result)["good.webm"].status is Status.OK


def test_the_common_size_is_that_of_more_than_half() -> None:
    assert common_size([(1, 1), (1, 1), (2, 2)]) == (1, 1)
    assert common_size([(1, 1), (2, 2)]) is None
    assert common_size([]) is None


# --- prompts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p.csv:1: expected the columns file,prompt, got 'nothing'"),
        ("file,prompt,seed\na.mp4,x,1\n", "p.csv:1: expected the columns file,prompt"),
        ("file\na.mp4\n", "p.csv:1: expected the columns"),
        ("file,prompt\na.mp4,x\na.mp4,y\n", "p.csv:3: 'a.mp4' is named twice"),
        ("file,prompt\nb.mp5,x\n", "p.csv:2: no clip 'b.mp5' in the folder. Did you mean 'b.mp4'"),
        ("file,prompt\na.mp4, \n", "p.csv:2: 'a.mp4' has an empty prompt"),
        ("file,prompt\na.mp4,red, round\n", "p.csv:2: expected 2 fields, got 3"),
        ('file,prompt\na.mp4,"open\n', "no readable CSV"),
    ],
)
def test_a_faulty_list_of_prompts_is_refused_by_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_prompts(text, "p.csv", ["a.mp4", "b.mp4"])

    assert said in str(refused.value)


def test_all_faults_of_a_list_are_told_at_once_and_a_good_list_passes() -> None:
    with pytest.raises(InputError) as refused:
        parse_prompts("file,prompt\nc.mp4,x\na.mp4,\n", "p.csv", ["a.mp4", "b.mp4"])

    assert len(str(refused.value).splitlines()) == 2
    good = parse_prompts('prompt,file\n"a red,  round",a.mp4\n\n', "p.csv", ["a.mp4", "b.mp4"])
    assert good == {"a.mp4": "a red, round"}


def test_clips_without_a_line_are_told_and_have_no_prompt(tmp_path: Path) -> None:
    clips = fill(tmp_path / "clips", 2)
    names = sorted(path.name for path in clips.iterdir())
    (tmp_path / "p.csv").write_text(f'file,prompt\n"{names[0]}",a cat\n', "utf-8-sig")

    result = measured(clips, prompts=str(tmp_path / "p.csv"))

    assert f"1 of 2 clips have no prompt: {names[1]}" in result.summary.notes
    assert [clip.prompt for clip in result.clips] == ["a cat", None]


def test_names_spell_prompts_only_when_asked(tmp_path: Path) -> None:
    write_webm(tmp_path / "a_red_circle.webm", rendered(0))

    assert measured(tmp_path).clips[0].prompt is None
    assert measured(tmp_path, prompts="names").clips[0].prompt == "a red circle"


# --- what is written, and what is reused ---------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good clips and a frozen one."""
    clips = fill(tmp_path / "clips", 2)
    write_webm(clips / "frozen.webm", np.repeat(rendered(0)[:1], 16, axis=0))
    return clips


def test_measurements_say_all_that_a_number_stands_on(folder: Path, tmp_path: Path) -> None:
    measured(folder, judges="tiny", out=tmp_path / "out")

    rows = lines_of(tmp_path / "out")
    files = {row.file for row in rows if row.file is not None}
    assert files == {path.name for path in folder.iterdir()}
    assert len(rows) == 3 * (len(CLIP_METRICS) + 1) + 4  # and four of the set
    for row in rows:
        assert row.unit == catalog.describe(row.metric).unit
        assert row.version == catalog.describe(row.metric).version
        assert (row.value is None) == bool(row.reason)
        assert row.protocol == f"{frames.PROTOCOL} as decoded"
    (one,) = [r for r in rows if r.metric == "clip_frame_consistency" and r.value and r.file][:1]
    assert one.extractor == "tiny-clip"
    assert one.extractor_digest == read_models().pinned_digest("tiny-clip")
    for line in (tmp_path / "out" / "measurements.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_second_run_decodes_nothing_and_writes_the_same_summary(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = measured(folder, out=out)
    written = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(frames, "decode", lambda path: pytest.fail(f"{path} was decoded again"))

    again = measured(folder, out=out)

    assert (first.reused, again.taken, again.reused) == (0, 0, first.taken)
    assert again.summary == first.summary
    assert {path.name: path.read_bytes() for path in out.iterdir()} == written


def test_features_of_sets_are_reused_too(
    worlds: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, reference, out = worlds
    monkeypatch.setattr(frames, "decode", lambda path: pytest.fail(f"{path} was decoded again"))

    again = measured(clips, reference=reference, judges="tiny", out=out)

    assert again.taken == 0
    assert found(again, "fvd").value is not None


def test_what_is_all_known_is_summarised_without_loading_a_network(
    worlds: tuple[Path, Path, Path],
) -> None:
    clips, reference, out = worlds
    summary = (out / "summary.json").read_bytes()
    command = ["measure", str(clips), "--reference", str(reference), "--judges", "tiny"]
    program = (
        "import sys; from poc.cli import main; code = main(sys.argv[1:]); "
        "print(code, sorted({'torch', 'open_clip', 'transformers'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--out", str(out)],
        check=True,
        capture_output=True,
        text=True,
    )

    assert "numbers taken: 0, " in done.stdout
    assert done.stdout.splitlines()[-1] == "0 []"
    assert (out / "summary.json").read_bytes() == summary


def test_a_network_that_moved_stops_before_its_first_number_and_not_where_none_is_wanted(
    worlds: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, reference, out = worlds

    def moved() -> None:
        raise InputError("golden clip: clip_score is 1, expected 2")

    monkeypatch.setattr("poc.clip_given.check_golden_network", moved)
    monkeypatch.setattr("poc.clip_video.check_golden_network", moved)

    assert measured(clips, reference=reference, judges="tiny", out=out).taken == 0
    with pytest.raises(InputError, match="golden clip"):
        measured(clips, reference=reference, judges="tiny", out=tmp_path / "new")
    rows = (tmp_path / "new" / "measure-cache.jsonl").read_bytes()
    assert b"tiny-clip" not in rows


def test_a_run_that_measured_nothing_new_writes_its_cache_no_more(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    measured(folder, out=out)
    before = (out / "measure-cache.jsonl").stat().st_ino  # a file that is written anew has another

    measured(folder, out=out)

    assert (out / "measure-cache.jsonl").stat().st_ino == before


def test_a_renamed_file_is_known_by_its_content(folder: Path, tmp_path: Path) -> None:
    measured(folder, out=tmp_path / "out")
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(f"new_{path.name}"))

    again = measured(folder, out=tmp_path / "out")

    assert again.taken == 0
    assert all(clip.name.startswith("new_") for clip in again.clips)
    assert {row.file for row in lines_of(tmp_path / "out")} >= {c.name for c in again.clips}


@pytest.mark.parametrize("damage", ["a digit", "half a line", "everything"])
def test_damaged_lines_are_measured_again(folder: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    first = measured(folder, out=out)
    path = out / "measure-cache.jsonl"
    text = path.read_bytes()
    if damage == "a digit":
        path.write_bytes(text.replace(b'"value":0.9', b'"value":0.8', 1))
    else:
        path.write_bytes(text[: len(text) // 2] if damage == "half a line" else b"\xff\n\0" * 9)

    again = measured(folder, out=out)

    assert 0 < again.taken <= first.taken
    assert again.reused == first.taken - again.taken
    assert again.summary == first.summary
    assert sorted(path.read_bytes().splitlines()) == sorted(text.splitlines())


def test_another_version_protocol_or_content_is_measured_again(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = measured(folder, out=out)
    change_cache(out, lambda row: {"version": row.version + 1})

    assert measured(folder, out=out).reused == 0
    other = measured(folder, out=out, protocol=parse_protocol("seconds:1,fps:8,short_side:64"))
    assert other.reused == 0
    measured(folder, out=out)
    write_webm(folder / "frozen.webm", rendered(7))
    changed = measured(folder, out=out)
    assert changed.reused == first.taken - 1  # the frozen clip had one number: its validity
    assert changed.all_ok


def test_a_wrong_size_is_judged_anew_beside_other_clips(tmp_path: Path) -> None:
    clips, out = fill(tmp_path / "clips", 2), tmp_path / "out"
    write_webm(clips / "small.webm", rendered(5)[:, ::2, ::2])
    first = measured(clips, out=out)
    for path in clips.iterdir():
        if path.name != "small.webm":
            path.unlink()

    assert by_name(first)["small.webm"].status is Status.INVALID
    assert measured(clips, out=out).all_ok


def test_an_interrupted_run_keeps_what_it_has(folder: Path, tmp_path: Path) -> None:
    whole = measured(folder)

    def stop(_stage: str, done: int, _planned: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_folder(FolderJob(folder=folder, out=tmp_path / "out"), progress=stop)

    again = measured(folder, out=tmp_path / "out")
    assert 0 < again.taken < whole.taken
    assert again.summary == whole.summary


def test_whatever_ends_a_run_leaves_its_numbers_and_the_last_finished_run(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    measured(folder, out=out)
    finished = {name: (out / name).read_bytes() for name in ("summary.json", "measurements.jsonl")}
    other = FolderJob(
        folder=folder, out=out, protocol=parse_protocol("seconds:1,fps:8,short_side:64")
    )

    def stop(_stage: str, done: int, _planned: int) -> None:
        if done == 2:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        measure_folder(other, progress=stop)

    assert {name: (out / name).read_bytes() for name in finished} == finished
    again = measure_folder(other, progress=silent)
    assert again.reused > 0
    assert {row.protocol for row in lines_of(out)} == {again.summary.protocol}


def test_a_folder_that_comes_back_is_not_measured_again(tmp_path: Path) -> None:
    first, second, out = fill(tmp_path / "a", 2), fill(tmp_path / "b", 2, seed=1), tmp_path / "out"
    there = measured(first, out=out)
    measured(second, out=out)

    back = measured(first, out=out)

    assert (back.taken, back.reused) == (0, there.taken)
    assert {row.file for row in lines_of(out) if row.file} == {clip.name for clip in there.clips}


def test_flow_of_another_version_of_its_library_is_measured_again(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    measured(folder, out=out)
    of_flow = {"motion", "dynamic_degree", "warping_error"}
    change_cache(
        out,
        lambda row: {"extractor": "opencv-0.1 dis-medium"} if row.metric in of_flow else {},
    )

    again = measured(folder, out=out)

    assert again.taken == 2 * len(of_flow)  # of two good clips
    assert all(row.extractor for row in lines_of(out) if row.metric in of_flow and row.value)


def test_a_disk_that_refuses_leaves_the_old_state(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    measured(folder, out=out)
    written = {path.name: path.read_bytes() for path in out.iterdir()}

    def broken(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "_fsync", broken)
    (folder / "frozen.webm").unlink()
    with pytest.raises(InputError, match="disk full"):
        measured(folder, out=out)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == written


@pytest.mark.parametrize(
    "foreign",
    [{"notes.txt": "x"}, {"summary.json": "{}"}, {"measurements.jsonl": "{}\n"}],
)
def test_a_folder_of_something_else_is_not_written_to(
    folder: Path, tmp_path: Path, foreign: Mapping[str, str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in foreign.items():
        (out / name).write_text(text)

    with pytest.raises(InputError, match="holds something that `poc measure` did not write"):
        measured(folder, out=out)

    assert {path.name: path.read_text() for path in out.iterdir()} == foreign


def test_a_file_as_out_is_refused_and_an_empty_folder_is_taken(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match="expected a folder, found a file"):
        measured(folder, out=tmp_path / "file")
    measured(folder, out=tmp_path / "empty")
    assert (tmp_path / "empty" / "summary.json").is_file()


def test_what_the_command_wrote_into_the_folder_is_no_clip(folder: Path) -> None:
    first = measured(folder, out=folder / "out")
    elsewhere = measured(folder)

    assert [clip.name for clip in elsewhere.clips] == [clip.name for clip in first.clips]
    assert "no clips, left alone: out" in elsewhere.summary.notes


# --- the folder itself ---------------------------------------------------------------------------


def test_other_files_are_told_and_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    for name in (".hidden.mp4", "notes.txt"):
        (tmp_path / name).touch()

    sources, others = list_clips(tmp_path)

    assert len(sources) == 1
    assert others == [".hidden.mp4", "notes.txt"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.absolute, "expected a folder of clips, found nothing"),
        (Path.touch, "expected a folder of clips, found a file"),
        (Path.mkdir, "it is empty"),
        (lambda path: (path.mkdir(), (path / "a.txt").touch()), "found a.txt"),
    ],
)
def test_a_folder_without_clips_is_refused(
    tmp_path: Path, make: Callable[[Path], Any], said: str
) -> None:
    make(tmp_path / "clips")

    with pytest.raises(InputError, match=said):
        measured(tmp_path / "clips")


# --- what a person sees --------------------------------------------------------------------------


def run(arguments: Sequence[str | Path]) -> int:
    return cli.main(["measure", *map(str, arguments)])


def test_the_table_counts_everything_and_fits_the_terminal(tmp_path: Path) -> None:
    write_bad(tmp_path)
    for place in range(6):
        write_webm(tmp_path / f"{place}.webm", rendered(place))
    result = measured(tmp_path)

    text = table(result.summary, result.clips)

    counts = result.summary.counts
    assert (
        f"clips: planned {counts.planned} = ok 6 + failed {counts.failed} "
        f"+ invalid {counts.invalid}" in text
    )
    assert "\x1b" not in text
    rows, _, _ = text.partition("summary ")
    assert max(len(line) for line in rows.splitlines()) <= 120
    assert "0.webm" in rows
    assert "interval of flicker" in text
    assert "it resamples clips" in text
    assert "clip_score, clip_logit: not measured: no prompt" in text
    assert "unsafe: not measured: no safety checker is given (--safety)" in text


def test_a_large_folder_shows_its_bad_clips_and_its_means(tmp_path: Path) -> None:
    write_webm(tmp_path / "0.webm", rendered(0)[:4])  # what they show does not matter here
    for place in range(1, 41):
        (tmp_path / f"{place}.webm").write_bytes((tmp_path / "0.webm").read_bytes())
    (tmp_path / "text.mp4").write_text("no clip")
    result = measured(tmp_path)

    text = table(result.summary, result.clips)

    assert "text.mp4: failed: " in text
    assert "\n17.webm" not in text
    assert "41 clips, 1 that differ" in text


@pytest.mark.parametrize("kind", ["all good", "a bad clip"])
def test_exit_0_says_all_were_measured_and_3_that_some_were_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    clips = fill(tmp_path / "clips", 2)
    if kind == "a bad clip":
        (clips / "text.mp4").write_text("no clip")

    code = run([clips, "--json", "--out", tmp_path / "out"])
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    assert code == (0 if kind == "all good" else 3)
    assert printed["counts"]["ok"] == 2
    assert printed["reused"] == 0
    assert all(clip["values"]["clip_score"] is None for clip in printed["clips"])
    summary = FolderSummary.from_json((tmp_path / "out" / "summary.json").read_text())
    assert summary.counts.ok == 2
    assert run([clips, "--out", tmp_path / "out"]) == code
    assert "reused from an earlier run: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], "missing: expected a folder of clips, found nothing"),
        (["clips", "--prompts", "p.csv"], "p.csv: expected a readable CSV"),
        (["clips", "--protocol", "seconds:2"], "--protocol: expected seconds, fps and short_side"),
        (["clips", "--reference", "missing"], "missing: expected a folder of clips"),
        (["clips", "--out", "clips"], "clips: holds something that `poc measure` did not write"),
    ],
)
def test_exit_2_is_for_input_that_cannot_be_meant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    fill(tmp_path / "clips", 1)
    monkeypatch.chdir(tmp_path)

    assert run(arguments) == 2
    assert f"poc: error: {said}" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "nan", "fast"])
def test_a_frame_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["clips", "--png-fps", rate])

    assert ended.value.code == 2


# --- real clips ----------------------------------------------------------------------------------

real = pytest.mark.skipif(
    not DATA.is_dir(), reason="no real clips: they lie beside the repository, not in it"
)


PHONE: Mapping[str, tuple[float, float]] = {
    # Heavy compression smears detail and movement, and jumps at its key frames.
    "sharpness": (0.0, 0.6),
    "high_frequency_share": (0.0, 0.6),
    "motion": (0.0, 0.6),
    "luminance_jump": (1.2, 9.0),
    "clipped_share": (1.2, 99.0),
    # The light of the scene and its colours stay.
    "contrast": (0.95, 1.05),
    "first_frame_darkness": (0.9, 1.1),
    "saturation": (0.9, 1.1),
    # What is smeared changes less from frame to frame, and these take that for better.
    "flicker": (1.0, 1.02),
    "warping_error": (0.0, 0.6),
    "motion_smoothness": (1.0, 1.1),
}
"""Distorted over pristine, the range that every metric of pixels has to lie in."""


@real
def test_the_distorted_phone_clip_is_worse_where_it_should_be_and_equal_elsewhere(
    tmp_path: Path,
) -> None:
    for name in ("carphone_distorted.mp4", "carphone_pristine.mp4"):
        shutil.copyfile(DATA / name, tmp_path / name)

    result = measured(tmp_path)
    distorted, pristine = result.clips
    told = {metric for metric in CLIP_METRICS if pristine.value(metric) is not None}

    assert result.all_ok
    assert told == set(PHONE) | {"flashes"}
    assert [clip.value("flashes") for clip in result.clips] == [0.0, 0.0]
    ratios = {name: number(distorted, name) / number(pristine, name) for name in PHONE}
    wrong = {n: r for n, r in ratios.items() if not PHONE[n][0] < r < PHONE[n][1]}
    assert wrong == {}


@real
def test_planted_faults_of_a_real_clip_are_caught(tmp_path: Path) -> None:
    clip = frames.decode(DATA / "carphone_pristine.mp4").frames[:24]
    blurred = frames.resize(
        frames.resize(clip, 48, 58, fit="squash"), *clip.shape[1:3], fit="squash"
    )
    copies = {
        "good": clip,
        "shuffled": clip[np.random.default_rng(0).permutation(24)],
        "blurred": blurred,
        "dimmed": clip // 2,
        "dark": clip // 32,
        "frozen": np.repeat(clip[:1], 24, axis=0),
    }
    for name, planted in copies.items():
        write_png(tmp_path / name, planted)

    clips = by_name(measured(tmp_path))

    good = clips["good"]
    assert {name for name, one in clips.items() if one.status is Status.INVALID} == {
        "dark",
        "frozen",
    }
    assert number(clips["shuffled"], "motion") > 1.5 * number(good, "motion")
    assert number(clips["shuffled"], "flicker") < number(good, "flicker")
    assert number(clips["blurred"], "sharpness") < 0.5 * number(good, "sharpness")
    assert number(clips["dimmed"], "contrast") < 0.6 * number(good, "contrast")


ROOFTOP, HACKER, DOG, BOAT, ROOFTOP_AGAIN, CASTLE = range(6)
"""What a person sees in the six clips, by their numbers."""


@real
def test_six_animatelcm_clips_are_measured_in_one_command_and_the_table_is_what_a_person_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in DATA.glob("animatelcm_svd_*.mp4"):
        (tmp_path / path.name).symlink_to(path)

    code = run([tmp_path, "--protocol", "seconds:3,fps:8,short_side:128", "--json"])
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    names = sorted(clip["file"] for clip in printed["clips"])
    values = {names.index(clip["file"]): clip["values"] for clip in printed["clips"]}

    def ranked(metric: str) -> list[int]:
        return sorted(values, key=lambda clip: float(values[clip][metric]), reverse=True)

    assert code == 0
    assert printed["counts"]["ok"] == len(values) == 6
    # A castle with clouds that hardly drift, a man at a desk who sits still; the camera passes the
    # boat and the rooftop, and the dog turns its head in rippled water.
    assert ranked("motion")[-2:] == [HACKER, CASTLE]
    assert [clip for clip in values if values[clip]["dynamic_degree"]] == [DOG]
    assert ranked("flicker")[0] == CASTLE
    assert ranked("flicker")[-1] == DOG
    # Around the man a hundred small lights flash; it is also the picture of the finest detail.
    assert ranked("luminance_jump")[0] == HACKER
    assert ranked("high_frequency_share")[0] == HACKER
    # A black and white dog before the sun, in soft water; all else is colourful, the rooftop most.
    assert ranked("contrast")[0] == DOG
    assert ranked("high_frequency_share")[-1] == DOG
    assert ranked("saturation")[-1] == DOG
    assert set(ranked("saturation")[:2]) == {ROOFTOP, ROOFTOP_AGAIN}
    # One picture was animated twice: the two look alike in whatever a still can show.
    for metric in ("sharpness", "contrast", "saturation", "high_frequency_share"):
        first, again = (values[clip][metric] for clip in (ROOFTOP, ROOFTOP_AGAIN))
        assert first == pytest.approx(again, rel=0.15), metric
    # None begins in the dark or flashes.
    assert all(abs(one["first_frame_darkness"]) < 3 for one in values.values())
    assert all(one["luminance_jump"] < 3 for one in values.values())


def test_neither_numbers_nor_counts_depend_on_how_many_clips_are_measured_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same frames twice, once as another file: each thread may come to them first."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(6):
        write_webm(folder / f"{number}.webm", rendered(number))
    shutil.copy(folder / "5.webm", folder / "5 again.webm")
    (folder / "torn.webm").write_bytes((folder / "0.webm").read_bytes()[:900])
    found = {}
    for threads in (1, 4):
        monkeypatch.setattr("poc.clip_bench.usable_cores", lambda count=threads: count)
        result = measured(
            folder, reference=folder, judges="tiny", out=tmp_path / f"{threads} threads"
        )
        files = sorted((tmp_path / f"{threads} threads").iterdir())
        found[threads] = (result.taken, result.reused, [path.read_bytes() for path in files])
    assert found[1] == found[4]
    assert found[1][0] > 0
