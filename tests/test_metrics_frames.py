"""Frames are what they claim to be, and pixels change in one place only."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from metrics import frames
from metrics.base import Frames

RNG = np.random.default_rng(0)
CLIP: Frames = RNG.integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)


def _smooth_clip(count: int = 8, size: int = 64) -> Frames:
    """A soft bright blob that moves: survives lossy codecs."""
    y, x = np.mgrid[:size, :size]
    shots = [200 * np.exp(-((x - 16 - 3 * i) ** 2 + (y - 32) ** 2) / 150) for i in range(count)]
    return np.repeat(np.stack(shots)[..., None], 3, axis=3).astype(np.uint8) + np.uint8(30)


def _encode(path: Path, clip: Frames, codec: str, pixel_format: str) -> None:
    with av.open(str(path), "w") as container:
        stream = cast("av.VideoStream", container.add_stream(codec, rate=Fraction(8)))
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], pixel_format
        if codec == "libx264rgb":
            stream.options = {"qp": "0"}  # lossless
        for image in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def test_good_frames_come_back_as_they_are() -> None:
    assert frames.check(CLIP) is CLIP


def test_float_frames_in_unit_range_are_refused_with_the_cure() -> None:
    with pytest.raises(TypeError, match=r"uint8.*float32.*\[0, 1\].*from_unit"):
        frames.check(frames.to_unit(CLIP))


def test_float_frames_in_another_range_are_refused_with_their_range() -> None:
    with pytest.raises(TypeError, match=r"\[0, 255\]: scale"):
        frames.check(CLIP.astype(np.float64))


def test_nan_is_named() -> None:
    with pytest.raises(TypeError, match="NaN"):
        frames.check(np.full((2, 4, 4, 3), np.nan))


def test_integers_of_another_width_are_refused() -> None:
    with pytest.raises(TypeError, match="got int64"):
        frames.check(CLIP.astype(np.int64))


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 4), (2, 4, 4, 4), (2, 3, 4, 4), (2, 0, 4, 3)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(t, h, w, 3\)"):
        frames.check(np.zeros(shape, np.uint8))


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 frames, got 5"):
        frames.check(CLIP, minimum=10)


def test_a_stack_is_of_five_axes() -> None:
    assert frames.check_stack(CLIP[None]).shape == (1, 5, 48, 64, 3)
    with pytest.raises(ValueError, match="n >= 1"):
        frames.check_stack(CLIP)


@pytest.mark.parametrize(("total", "count"), [(16, 1), (16, 5), (25, 16), (7, 7)])
def test_samples_are_symmetric_increasing_and_never_repeat(total: int, count: int) -> None:
    picked = frames.sample_indices(total, count)

    assert len(set(picked)) == count
    assert list(picked) == sorted(picked)
    # Centres of segments, rounded down: at most one frame more is left out at the end.
    assert 0 <= (total - 1 - picked[-1]) - picked[0] + 1 <= 2


def test_more_samples_than_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot pick 17 of 16"):
        frames.sample_indices(16, 17)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    assert frames.resize(CLIP, 48, 64, fit="squash") is CLIP
    assert frames.resize(CLIP, 48, 64, fit="crop") is CLIP


def test_squash_is_pillow_bicubic() -> None:
    expected = np.asarray(Image.fromarray(CLIP[3]).resize((20, 30), Image.Resampling.BICUBIC))

    assert np.array_equal(frames.resize(CLIP, 30, 20, fit="squash")[3], expected)


def test_crop_keeps_the_aspect_and_cuts_the_sides_evenly() -> None:
    cut = frames.resize(CLIP[:, :, 8:56], 24, 24, fit="squash")

    # Two columns a side also see pixels just outside the window.
    cropped = frames.resize(CLIP, 24, 24, fit="crop")
    assert np.array_equal(cropped[:, :, 2:-2], cut[:, :, 2:-2])


def test_resizing_is_antialiased() -> None:
    stripes: NDArray[np.uint8] = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255

    small = frames.resize(stripes, 16, 16, fit="squash")

    # Without antialiasing every value would be 0 or 255. The outermost see half a stripe more.
    assert np.abs(small[:, :, 1:-1].astype(float) - 127.5).max() < 2


def test_scalings_have_their_ends_where_they_should() -> None:
    ends = np.array([0, 255], np.uint8)

    assert frames.to_unit(ends).tolist() == [0.0, 1.0]
    assert frames.to_signed(ends).tolist() == [-1.0, 1.0]


def test_unit_range_and_back_is_exact() -> None:
    assert np.array_equal(frames.from_unit(frames.to_unit(CLIP)), CLIP)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_values_outside_unit_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\] without NaN"):
        frames.from_unit(np.array([0.5, value]))


def test_luma_of_white_is_255_and_green_weighs_most() -> None:
    colours = np.array([[[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]]], np.uint8)

    white, red, green, blue = frames.luma(colours)[0, 0]

    assert white == pytest.approx(255.0)
    assert green > red > blue


def test_the_digest_tells_pixels_and_shapes_apart() -> None:
    other = CLIP.copy()
    other[0, 0, 0, 0] ^= 1

    assert frames.digest(CLIP) == frames.digest(np.asfortranarray(CLIP))
    digests = {frames.digest(c) for c in (CLIP, other, CLIP.reshape(5, 64, 48, 3), CLIP[:4])}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("a.mp4", "libx264rgb", "rgb24", 0.0),
        ("a.mp4", "libx264", "yuv420p", 3.0),
        ("a.webm", "libvpx-vp9", "yuv420p", 3.0),
        ("a.gif", "gif", "rgb8", 25.0),
    ],
)
def test_what_was_encoded_is_decoded(
    tmp_path: Path, name: str, codec: str, pixel_format: str, tolerance: float
) -> None:
    clip = _smooth_clip()
    _encode(tmp_path / name, clip, codec, pixel_format)

    decoded = frames.decode(tmp_path / name)

    assert decoded.frames.shape == clip.shape
    assert decoded.fps == pytest.approx(8.0, rel=0.05)
    assert np.abs(decoded.frames.astype(float) - clip).mean() <= tolerance


def _switching_webm(path: Path, sizes: Sequence[int]) -> None:
    """Write a webm that states the first size and whose frames have all of them, one after one."""
    parts = []
    for size in sizes:
        part = path.with_name(f"{size}.webm")
        _encode(part, _smooth_clip(3, size), "libvpx-vp9", "yuv420p")
        with av.open(str(part)) as container:
            packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        parts.append((part, packets))
    with av.open(str(parts[0][0])) as first, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(first.streams.video[0])
        for number, data in enumerate(data for _, packets in parts for data in packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = 125 * number
            out.mux(packet)


def test_a_clip_that_changes_its_size_is_refused_at_the_first_other_frame(tmp_path: Path) -> None:
    _switching_webm(tmp_path / "a.webm", [64, 128])

    with pytest.raises(frames.DecodeError, match="one size, got 64x64 and 128x128"):
        frames.decode(tmp_path / "a.webm")


def test_frames_are_read_up_to_the_pixels_allowed_and_no_further(tmp_path: Path) -> None:
    clip = _smooth_clip()
    _encode(tmp_path / "a.webm", clip, "libvpx-vp9", "yuv420p")

    assert len(frames.decode(tmp_path / "a.webm", max_pixels=8 * 64 * 64).frames) == 8
    with pytest.raises(frames.DecodeError, match=r"a\.webm: has more than 32767 pixels"):
        frames.decode(tmp_path / "a.webm", max_pixels=8 * 64 * 64 - 1)


def test_it_is_known_when_each_frame_is_shown(tmp_path: Path) -> None:
    _encode(tmp_path / "a.webm", _smooth_clip(), "libvpx-vp9", "yuv420p")

    starts = frames.decode(tmp_path / "a.webm").starts_s

    assert starts == pytest.approx([number / 8 for number in range(8)])


def test_a_missing_file_is_named() -> None:
    with pytest.raises(frames.DecodeError, match=r"nowhere\.mp4: cannot be decoded"):
        frames.decode(Path("nowhere.mp4"))


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)

    with pytest.raises(frames.DecodeError, match=r"bad\.mp4"):
        frames.decode(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    _encode(tmp_path / "a.mp4", _smooth_clip(), "libx264", "yuv420p")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((tmp_path / "a.mp4").read_bytes()[:-400])

    with pytest.raises(frames.DecodeError, match=r"cut\.mp4"):
        frames.decode(cut)
