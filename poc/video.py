"""Viewing copies: VP9 in WebM, by PyAV's libvpx (BSD licence). For eyes only, never measured."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

VIEW_SUFFIX = ".webm"
ENCODER = "libvpx-vp9"


def encode_webm(frames: npt.NDArray[np.uint8], fps: int, *, crf: int = 24) -> bytes:
    """Encode frames (t, h, w, 3) at `fps` for browsers and slides; sizes must be even.

    `crf` is the quality, 0 (best) to 63.

    Raises ValueError for odd sizes, which yuv420p cannot hold.
    """
    import av
    from av.video.stream import VideoStream

    _, height, width, _ = frames.shape
    if height % 2 or width % 2:
        raise ValueError(f"viewing copies need even sizes, got {width}x{height} pixels")
    buffer = io.BytesIO()
    # bitexact: no random ids and no dates, so that the same frames give the same bytes
    options = {"fflags": "+bitexact"}
    with av.open(buffer, mode="w", format="webm", container_options=options) as container:
        stream = container.add_stream(ENCODER, rate=fps)
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{ENCODER}: expected a video encoder, got {type(stream).__name__}")
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {"deadline": "realtime", "cpu-used": "8", "crf": str(crf), "b": "0"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()
