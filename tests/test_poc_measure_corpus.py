"""Many good clips and many bad ones in one folder, by the public command: who is told from whom.

All clips are made here. The good ones are as unlike as the world allows: every look, dark and slow
ones too, in every format. Of the bad ones each has one planted fault. `make endure` takes 200 good
ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pytest
from PIL import Image

from metrics.base import Frames
from metrics.validity import Fault, judge_finite
from poc import cli
from poc.tiny import world
from poc.video import encode_webm

GOOD: Final = 84
"""Every kind of clip in every look and every format, once."""
LOOKS: Final = (None, *world.Style)


def rendered(number: int) -> Frames:
    """One of the world's 2,304 scenes, spread over all of them, in each look in turn."""
    scenes = world.all_scenes()
    scene = scenes[number * 997 % len(scenes)]
    return world.render_clip(scene, np.random.default_rng(number), LOOKS[number % 3])


def dark(clip: Frames, number: int) -> Frames:
    """The scene by little light: 30 to 60 % of it."""
    return np.asarray(np.rint(clip * np.random.default_rng(number).uniform(0.3, 0.6)), np.uint8)


def slow(clip: Frames, number: int) -> Frames:
    """The scene in slow motion: what was 1 to 4 of 15 steps fills the clip, blended between."""
    times = np.linspace(0, 1 + number % 4, len(clip))
    before = np.minimum(times.astype(int), len(clip) - 2)
    part = (times - before)[:, None, None, None]
    return np.asarray(np.rint((1 - part) * clip[before] + part * clip[before + 1]), np.uint8)


def late(clip: Frames, number: int) -> Frames:
    """A clip that stands still at first and then moves on."""
    return clip[np.maximum(np.arange(len(clip)) - 4 - number % 8, 0)]


def faded(clip: Frames, _number: int) -> Frames:
    """A clip that begins in black and lights up."""
    return np.asarray(np.rint(clip * np.linspace(0, 1, len(clip))[:, None, None, None]), np.uint8)


def cheap(clip: Frames, number: int) -> Frames:
    """A copy with noise, blur and a watermark: poor, and a clip all the same."""
    return world.degrade(clip, np.random.default_rng(number))


def as_it_is(clip: Frames, _number: int) -> Frames:
    return clip


def darkly_slow(clip: Frames, number: int) -> Frames:
    return dark(slow(clip, number), number)


KINDS: Final = (as_it_is, dark, slow, darkly_slow, late, faded, cheap)


# --- writing -------------------------------------------------------------------------------------


def write_webm(path: Path, clip: Frames) -> None:
    path.write_bytes(encode_webm(clip, 8))


def write_mp4(path: Path, clip: Frames) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
        stream.thread_count = 1
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_gif(path: Path, clip: Frames) -> None:
    first, *rest = (Image.fromarray(frame) for frame in clip)
    first.save(path, save_all=True, append_images=rest, duration=120)


def write_png(path: Path, clip: Frames) -> None:
    path.mkdir()
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(path / f"{number:02}.png", compress_level=1)


WRITERS: Final[Mapping[str, Callable[[Path, Frames], None]]] = {
    ".webm": write_webm,
    ".mp4": write_mp4,
    ".gif": write_gif,
    "": write_png,
}


# --- planted faults ------------------------------------------------------------------------------


def _grain(clip: Frames, low: int, high: int) -> Frames:
    return np.random.default_rng(0).integers(low, high + 1, clip.shape, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Bad:
    """How a clip is spoilt, and a part of the reason that must be told."""

    reason: str
    suffix: str = ""
    frames: Callable[[Frames], Frames] = np.asarray
    file: Callable[[Path], object] = Path.exists


def _cut(share: float) -> Callable[[Path], object]:
    def cut(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut


def _overwrite(path: Path) -> None:
    """Leave the beginning, so that the name and the first bytes look right."""
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes(len(data) - 40))


BAD: Final[Mapping[str, Bad]] = {
    "black": Bad("no frame has visible light", frames=np.zeros_like),
    "black-webm": Bad("no frame has visible light", ".webm", frames=np.zeros_like),
    "black-noise": Bad("no frame has visible light", frames=lambda c: _grain(c, 0, 16)),
    "much-too-dark": Bad("no frame has visible light", frames=lambda c: c // 16),
    "white": Bad("blown out", frames=lambda c: np.full_like(c, 255)),
    "white-mp4": Bad("blown out", ".mp4", frames=lambda c: np.full_like(c, 255)),
    "white-noise": Bad("blown out", frames=lambda c: _grain(c, 240, 255)),
    "frozen": Bad("are the same", frames=lambda c: np.repeat(c[:1], 16, 0)),
    "frozen-gif": Bad("a clip needs 2 frames", ".gif", frames=lambda c: np.repeat(c[:1], 16, 0)),
    "frozen-webm": Bad("are the same", ".webm", frames=lambda c: np.repeat(c[:1], 16, 0)),
    "frozen-noise": Bad(
        "are the same", frames=lambda c: np.repeat(c[:1] // 2, 16, 0) + _grain(c, 0, 2)
    ),
    "one-frame": Bad("a clip needs 2 frames, got 1", frames=lambda c: c[:1]),
    "one-frame-mp4": Bad("a clip needs 2 frames, got 1", ".mp4", frames=lambda c: c[:1]),
    "half-size": Bad("expected 16 frames of 64x64", frames=lambda c: c[:, ::2, ::2]),
    "wide": Bad("expected 16 frames of 64x64", ".mp4", frames=lambda c: c.repeat(2, 2)),
    "truncated-webm": Bad("truncated", ".webm", file=_cut(0.6)),
    "truncated-mp4": Bad("cannot be decoded", ".mp4", file=_cut(0.6)),
    "truncated-gif": Bad("truncated", ".gif", file=_cut(0.6)),
    "overwritten-webm": Bad("cannot be decoded", ".webm", file=_overwrite),
    "overwritten-mp4": Bad("cannot be decoded", ".mp4", file=_overwrite),
    "empty": Bad("is empty", ".webm", file=lambda p: p.write_bytes(b"")),
    "text": Bad("is no mp4, webm or gif", ".mp4", file=lambda p: p.write_text("a film")),
    "torn-png": Bad("cannot be decoded as png", file=lambda p: _cut(0.5)(p / "07.png")),
    "missing-png": Bad("frames are missing", file=lambda p: (p / "07.png").unlink()),
}


def write_good(folder: Path, count: int) -> list[str]:
    suffixes, names = list(WRITERS), []
    for number in range(count):
        kind, suffix = KINDS[number % len(KINDS)], suffixes[number % 4]
        names.append(f"good-{number:03}-{kind.__name__}{suffix}")
        WRITERS[suffix](folder / names[-1], kind(rendered(number), number))
    return names


def write_bad(folder: Path) -> dict[str, str]:
    reasons = {}
    for number, (name, bad) in enumerate(BAD.items()):
        path = folder / f"bad-{name}{bad.suffix}"
        WRITERS[bad.suffix](path, bad.frames(rendered(7 * number)))
        bad.file(path)
        reasons[path.name] = bad.reason
    return reasons


@pytest.mark.slow
def test_all_bad_clips_are_caught_among_good_ones_without_a_false_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_told_apart(tmp_path, capsys, count=GOOD, alarms_at_most=0)


def assert_told_apart(
    folder: Path, capsys: pytest.CaptureFixture[str], *, count: int, alarms_at_most: int
) -> None:
    """Measure so many good clips and all bad ones in a folder: only the bad ones are caught."""
    good, reasons = write_good(folder, count), write_bad(folder)

    code = cli.main(["measure", str(folder), "--json"])
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    clips = {clip["file"]: clip for clip in printed["clips"]}

    assert code == 3
    assert len(reasons) >= 20
    assert sorted(clips) == sorted([*good, *reasons])
    _assert_caught(clips, reasons)
    alarms = [(name, clips[name]["reason"]) for name in good if clips[name]["status"] != "ok"]
    assert len(alarms) <= alarms_at_most, alarms
    counts = printed["counts"]
    assert counts["ok"] == count - len(alarms)
    assert counts["failed"] + counts["invalid"] == len(reasons) + len(alarms)


def _assert_caught(clips: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    for name, reason in reasons.items():
        assert clips[name]["status"] in {"failed", "invalid"}, (name, "was not caught")
        assert reason in clips[name]["reason"], (name, clips[name]["reason"])
        assert set(clips[name]["values"].values()) == {None}, name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_decoded_picture_with_one_bad_value_is_caught_and_without_it_is_not(bad: float) -> None:
    # No file of pixels can hold NaN: it is looked for before floats become pixels.
    decoded = rendered(0) / 255
    assert judge_finite(decoded, name="frames").ok
    decoded[9, 30, 30, 1] = bad

    assert judge_finite(decoded, name="frames").fault is Fault.NOT_FINITE
