"""The one definition of what frames are and how they are read, picked, resized and scaled.

Frames are RGB, uint8, (t, h, w, 3), full range. Everything that changes a pixel before a
network sees it happens here, under the name `PROTOCOL`; change the pixels, change the name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metrics.base import FloatArray, Frames

PROTOCOL = "frames-1"
"""RGB uint8; even sampling by segment centres; Pillow bicubic, antialiased, rounded to uint8."""

# ITU-R BT.709, on gamma-coded values as most video tools do.
_LUMA = np.array([0.2126, 0.7152, 0.0722])


class DecodeError(ValueError):
    """A file that is not a readable video."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The frames of a file, uint8 (t, h, w, 3), and its frame rate if it states one.

    `fps` is the mean rate. `starts_s` says when each frame is shown, in seconds after the first;
    None where that is not known.
    """

    frames: Frames
    fps: float | None
    starts_s: tuple[float, ...] | None = None


def check(frames: NDArray[np.generic], *, minimum: int = 1, name: str = "frames") -> Frames:
    """Return `frames` when they are uint8 (t >= minimum, h, w, 3), explain otherwise.

    Raises:
        TypeError: another dtype, above all floats, whose range cannot be told.
        ValueError: another shape, or fewer frames than `minimum`.
    """
    array = np.asarray(frames)
    if array.dtype != np.uint8:
        raise TypeError(f"`{name}` must be uint8 in 0..255, got {array.dtype}. {_cure(array)}")
    if array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape[1:]:
        raise ValueError(f"`{name}` must have shape (t, h, w, 3) in RGB, got {array.shape}")
    if len(array) < minimum:
        raise ValueError(f"`{name}` needs at least {minimum} frames, got {len(array)}")
    return array


def _cure(array: NDArray[np.generic]) -> str:
    if not np.issubdtype(array.dtype, np.floating) or array.size == 0:
        return "Convert to uint8 first."
    low, high = float(np.min(array)), float(np.max(array))
    seen = f"Values lie in [{low:.3g}, {high:.3g}]"
    if np.isnan(low):
        return "It holds NaN: see metrics.validity.judge_finite."
    if low >= 0.0 and high <= 1.0:
        return f"{seen}: if that is [0, 1], use metrics.frames.from_unit."
    return f"{seen}: scale to [0, 1] and use metrics.frames.from_unit."


def check_stack(stack: NDArray[np.generic], *, minimum: int = 1, name: str = "frames") -> Frames:
    """Return clips of one size, uint8 (n, t >= minimum, h, w, 3), explain otherwise."""
    array = np.asarray(stack)
    if array.ndim != 5 or len(array) == 0:
        raise ValueError(f"`{name}` must have shape (n >= 1, t, h, w, 3), got {array.shape}")
    check(array[0], minimum=minimum, name=f"{name}[0]")
    return array


def sample_indices(total: int, count: int) -> tuple[int, ...]:
    """Indices of `count` frames spread evenly: the centres of equal segments.

    Raises:
        ValueError: more frames are wanted than there are; frames are never repeated.

    >>> sample_indices(16, 4)
    (2, 6, 10, 14)
    >>> sample_indices(3, 3)
    (0, 1, 2)
    """
    if not 1 <= count <= total:
        raise ValueError(f"cannot pick {count} of {total} frames; frames are never repeated")
    return tuple((2 * i + 1) * total // (2 * count) for i in range(count))


def sample(frames: Frames, count: int) -> Frames:
    """Pick `count` frames (count, h, w, 3) spread evenly over the clip."""
    checked = check(frames)
    return checked[list(sample_indices(len(checked), count))]


def resize(frames: Frames, height: int, width: int, *, fit: Literal["squash", "crop"]) -> Frames:
    """Resize to uint8 (t, height, width, 3), bicubic and antialiased.

    "squash" ignores the aspect ratio, "crop" takes the largest centred window of the wanted
    aspect. Frames that already have the size come back untouched.
    """
    checked = check(frames)
    window = _crop_window(checked.shape[1:3], (height, width)) if fit == "crop" else None
    if checked.shape[1:3] == (height, width):
        return checked
    from PIL import Image

    resized = [
        Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC, box=window)
        for frame in checked
    ]
    return np.stack([np.asarray(image) for image in resized])


def _crop_window(
    size: tuple[int, int], wanted: tuple[int, int]
) -> tuple[float, float, float, float]:
    (height, width), (wanted_height, wanted_width) = size, wanted
    scale = min(height / wanted_height, width / wanted_width)
    inner_height, inner_width = wanted_height * scale, wanted_width * scale
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return left, top, left + inner_width, top + inner_height


def to_unit(frames: Frames) -> NDArray[np.float32]:
    """Scale uint8 to float32 in [0, 1]; the shape stays."""
    return np.asarray(frames, dtype=np.float32) / np.float32(255)


def to_signed(frames: Frames) -> NDArray[np.float32]:
    """Scale uint8 to float32 in [-1, 1]; the shape stays."""
    return np.asarray(frames, dtype=np.float32) / np.float32(127.5) - np.float32(1)


def from_unit(images: NDArray[np.floating]) -> Frames:
    """Round floats in [0, 1] to uint8; the shape stays.

    Raises:
        ValueError: values outside [0, 1], or NaN.

    >>> from_unit(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    low, high = float(np.min(images)), float(np.max(images))
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"images must lie in [0, 1] without NaN, got [{low:.3g}, {high:.3g}]")
    return np.floor(np.asarray(images, dtype=np.float64) * 255 + 0.5).astype(np.uint8)


def luma(frames: Frames) -> FloatArray:
    """BT.709 luma of gamma-coded pixels, float64 (t, h, w) in 0..255."""
    return np.stack(list(lumas(frames)))


def lumas(frames: Frames) -> Iterator[FloatArray]:
    """Yield the luma (h, w) of one frame after the other.

    A whole clip's takes eight bytes a pixel, and thirty-two on the way there.
    """
    for frame in frames:
        yield np.asarray(frame @ _LUMA, dtype=np.float64)


def digest(frames: Frames) -> str:
    """SHA-256 of shape and pixels: the same clip has the same digest on every machine."""
    checked = np.ascontiguousarray(check(frames))
    state = hashlib.sha256(f"uint8 {checked.shape}\n".encode())
    state.update(checked.data)
    return state.hexdigest()


def decode(path: Path, *, max_pixels: int | None = None) -> DecodedClip:
    """Read all frames of an mp4, webm or gif with PyAV, `max_pixels` of all frames at most.

    A file may state one size and show another, so sizes are looked at while frames come in.

    Raises:
        DecodeError: missing, empty, truncated, no video at all, frames of several sizes or too
            many pixels; the path is named.
    """
    import av

    images: list[NDArray[np.uint8]] = []
    times: list[float | None] = []
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            # One for all frames: each would set up the conversion anew, which takes as long.
            reformatter = av.video.reformatter.VideoReformatter()
            for frame in _of_one_size(container.decode(stream), max_pixels):
                rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
                images.append(np.asarray(rgb, np.uint8))
                times.append(frame.time)
            rate = stream.average_rate
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}") from None
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise DecodeError(f"{path}: cannot be decoded as video ({error})") from error
    if not images:
        raise DecodeError(f"{path}: expected frames of one size, got no frame at all")
    fps = None if rate is None else float(rate)
    return DecodedClip(check(np.stack(images)), fps, _starts(times))


def _of_one_size(frames: Iterable[Any], max_pixels: int | None) -> Iterator[Any]:
    """Yield decoded frames until one has another size, or the pixels are too many."""
    first: tuple[int, int] | None = None
    pixels = 0
    for frame in frames:
        size = (frame.width, frame.height)
        first = first or size
        if size != first:
            raise DecodeError(
                f"expected frames of one size, got {first[0]}x{first[1]} and {size[0]}x{size[1]}"
            )
        pixels += frame.width * frame.height
        if max_pixels is not None and pixels > max_pixels:
            raise DecodeError(f"has more than {max_pixels} pixels; cut it or make it smaller")
        yield frame


def _starts(times: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return when each frame is shown, from the first on; None where the file does not say."""
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    return tuple(time - known[0] for time in known)
