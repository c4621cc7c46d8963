"""Viewing copies play anywhere, and the same frames give the same bytes."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from poc.video import encode_webm


def moving_square(height: int = 64, width: int = 96) -> np.ndarray:
    frames = np.full((6, height, width, 3), 40, np.uint8)
    for t in range(6):
        frames[t, 10:30, 10 + 5 * t : 30 + 5 * t] = (220, 60, 60)
    return frames


def test_a_viewing_copy_has_every_frame_at_its_size_and_rate() -> None:
    with av.open(io.BytesIO(encode_webm(moving_square(), fps=8)), mode="r") as container:
        stream = container.streams.video[0]
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]

    assert [frame.shape for frame in decoded] == [(64, 96, 3)] * 6
    assert stream.codec_context.name.startswith(("vp9", "libvpx"))
    assert stream.average_rate == 8


def test_a_viewing_copy_looks_like_its_frames() -> None:
    frames = moving_square()
    with av.open(io.BytesIO(encode_webm(frames, fps=8)), mode="r") as container:
        decoded = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])

    assert np.abs(decoded.astype(int) - frames).mean() < 6


def test_the_same_frames_give_the_same_bytes() -> None:
    assert encode_webm(moving_square(), fps=8) == encode_webm(moving_square(), fps=8)


def test_an_odd_size_is_refused_with_the_size() -> None:
    with pytest.raises(ValueError, match="95x64"):
        encode_webm(moving_square(width=95), fps=8)
