"""Frames and feature arrays as bytes, and back: lossless, and the same bytes for the same content.

A clip is one PNG, a film strip: its frames from top to bottom, in order, with the shape in the text
chunk `shape`. Arrays are an uncompressed npz without times.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frames = npt.NDArray[np.uint8]
    Arrays = Mapping[str, npt.NDArray[Any]]

_COMPRESSION = 3
"""PNG level: half the time of 6 for a fifth more bytes on smooth frames."""

MAX_CLIP_PIXELS = 2**29
"""Largest clip, of all frames together: 258 of 1920 x 1080. A larger picture is no clip of ours."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_ARRAY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")


class DecodingError(ValueError):
    """Bytes that are no film strip or no arrays; says in what way."""


def frames_digest(frames: Frames) -> str:
    """Return the SHA-256 over shape and pixels of frames (t, h, w, 3): equal on every machine.

    The definition is that of `metrics.frames.digest`.
    """
    header = f"uint8 {tuple(frames.shape)}\n".encode()
    return hashlib.sha256(header + frames.tobytes()).hexdigest()


def check_frames(frames: Frames) -> None:
    """Refuse what is no clip: raises ValueError unless uint8, (t, h, w, 3), none of them 0."""
    if frames.dtype.name != "uint8" or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(
            f"frames must be uint8 of shape (t, h, w, 3), got {frames.dtype} {frames.shape}"
        )
    if not 0 < frames.size <= 3 * MAX_CLIP_PIXELS:
        raise ValueError(
            f"frames must hold 1 to {MAX_CLIP_PIXELS} pixels, got shape {frames.shape}"
        )


def encode_frames(frames: Frames) -> bytes:
    """Return the PNG film strip of frames (t, h, w, 3)."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    check_frames(frames)
    count, height, width, _ = frames.shape
    text = PngInfo()
    text.add_text("shape", f"{count}x{height}x{width}")
    buffer = io.BytesIO()
    strip = Image.fromarray(frames.reshape(count * height, width, 3))
    strip.save(buffer, "PNG", compress_level=_COMPRESSION, pnginfo=text)
    return buffer.getvalue()


def decode_frames(data: bytes) -> Frames:
    """Return the frames (t, h, w, 3) of a film strip.

    Raises:
        DecodingError: damaged, not one of ours, or larger than any clip.
    """
    import numpy as np
    from PIL.PngImagePlugin import PngImageFile

    try:
        # Not Image.open: its limit on pixels is about unknown pictures and lower than a clip.
        with PngImageFile(io.BytesIO(data)) as strip:
            count, height, width = (int(part) for part in strip.text["shape"].split("x"))
            _check_strip(strip.size, strip.mode, (width, count * height))
            return np.asarray(strip, np.uint8).reshape(count, height, width, 3)
    except (OSError, SyntaxError, KeyError, ValueError, zlib.error) as error:
        raise DecodingError(f"no readable film strip ({type(error).__name__}: {error})") from error


def _check_strip(size: tuple[int, int], mode: str, stated: tuple[int, int]) -> None:
    if mode != "RGB" or size != stated or not 0 < size[0] * size[1] <= MAX_CLIP_PIXELS:
        raise ValueError(f"{mode} picture of {size} pixels, its text says RGB of {stated}")


def encode_arrays(arrays: Arrays) -> bytes:
    """Return an npz of `arrays`; the same bytes for the same names, types, shapes and values.

    Raises:
        ValueError: a name that is no plain word, or an array of objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            if not _ARRAY_NAME.fullmatch(name):
                raise ValueError(f"array name {name!r}: expected letters, digits and _ . @ -")
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), _npy(arrays[name]))
    return buffer.getvalue()


def _npy(array: npt.NDArray[Any]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()


def decode_arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an npz by their names.

    Raises:
        DecodingError: damaged, or not one of ours.
    """
    import numpy as np

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in sorted(archive.files)}
    except (OSError, EOFError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise DecodingError(f"no readable arrays ({type(error).__name__}: {error})") from error
