"""Takes the numbers of the golden clip: `make golden`. The clip itself stays unless it is missing.

Tolerances are one share of each number, by what it stands on: sums of pixels move by rounding
alone, optical flow and networks by the processor's arithmetic too. None is drawn from a failure.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

from metrics import catalog
from metrics.base import Frames
from poc.golden import (
    FOLDER,
    LOSSLESS,
    NETWORK,
    NUMBERS,
    PROMPT,
    Expected,
    Golden,
    libraries,
    measured,
)
from poc.tiny import world
from poc.video import encode_webm

FPS = 8
PIXEL_SHARE, FLOW_SHARE, NETWORK_SHARE = 1e-6, 0.02, 1e-3
DECODED_LEVELS = 0.25
"""Of 255, in a mean of a whole clip: full for limited range or another matrix moves it by more."""


def main() -> None:
    """Write the clip where it is missing, and the numbers."""
    if not (FOLDER / LOSSLESS).is_dir():
        _write_clip(FOLDER)
    numbers = {
        name: Expected(value=value, tolerance=_tolerance(name, value))
        for name, value in measured(FOLDER, PROMPT, networks=True)
    }
    golden = Golden(libraries=libraries(), prompt=PROMPT, numbers=numbers)
    (FOLDER / NUMBERS).write_text(golden.model_dump_json(indent=1) + "\n", "utf-8")
    print(f"{len(numbers)} numbers in {FOLDER / NUMBERS}")


def _tolerance(name: str, value: float) -> float:
    if " decoded, " in name:
        return DECODED_LEVELS
    if name in NETWORK:
        return NETWORK_SHARE * abs(value)
    target = catalog.describe(name).target or ""
    share = FLOW_SHARE if target.startswith("metrics.motion:") else PIXEL_SHARE
    if name == "motion_smoothness":  # near 1: what it lacks is what moves
        return share * (1 - value)
    return share * abs(value) + 1e-9


def _write_clip(folder: Path) -> None:
    clip = world.render_clip(world.parse(PROMPT), np.random.default_rng(1))
    (folder / LOSSLESS).mkdir(parents=True)
    pictures = [Image.fromarray(frame) for frame in clip]
    for number, picture in enumerate(pictures):
        picture.save(folder / LOSSLESS / f"{number:02}.png", optimize=True)
    (folder / "clip.webm").write_bytes(encode_webm(clip, FPS))
    (folder / "clip.mp4").write_bytes(_mp4(clip))
    pictures[0].save(
        folder / "clip.gif", save_all=True, append_images=pictures[1:], duration=120, optimize=True
    )


def _mp4(clip: Frames) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
        stream.thread_count = 1
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()


if __name__ == "__main__":
    main()
