"""Clips as they lie on disk: what is in a folder, whether a file is whole, and its frames.

Files may be made to harm: nothing is decoded before it is known what it is and how large, and
whatever is wrong with one of them is a `DecodeError` with its reason.
"""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from metrics import frames as frames_
from metrics.extractors.base import WeightsError, file_digest, folder_digest
from metrics.frames import DecodedClip, DecodeError
from poc import disk
from poc.clip_folder import listed
from poc.encoding import MAX_CLIP_PIXELS
from poc.errors import InputError
from poc.measure_cache import looks_ours

Frames = npt.NDArray[np.uint8]

SUFFIXES: Final = frozenset({".mp4", ".webm", ".gif"})
NOT_READ: Final = frozenset({".mov", ".avi", ".mkv", ".m4v", ".wmv", ".flv", ".ts", ".webp"})
"""Clips all the same: they are counted, and fail."""

MAX_FRAME_PIXELS: Final = 2**25  # 7680 x 4320

_BEGINNINGS = (b"\x1aE\xdf\xa3", b"GIF8")
_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide"})
"""How webm and gif begin, and the first boxes of an mp4. Nothing else is opened: a playlist that
is called mp4 would make the decoder read other files."""
_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "gif"})
"""As FFmpeg names them. A torn mp4 can be taken for sound or a raw stream: that is no clip."""
_CLOCK = re.compile(r"([0-9]+):([0-9]+):([0-9]+(?:\.[0-9]+)?)")
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
"""How long a chunk of a png is, and its kind."""
_HEADER = struct.Struct(">IIB")
"""How an IHDR begins: width, height, bits a channel."""
_LAST_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")


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
        return not looks_ours(path) and (skip is None or path.resolve() != skip.resolve())
    return path.suffix.lower() in SUFFIXES | NOT_READ


def _text(name: str) -> str:
    """Return a file name as text that can be written anywhere: bytes that are no UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


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
        return Survey(None, None, reason_of(error, source))
    try:
        size = _png_size(_png_paths(source)) if source.is_folder else _video_size(source.path)
    except DecodeError as error:
        return Survey(found, None, reason_of(error, source))
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        # A header that says nonsense, such as a time in units of 0: whatever it breaks, it is bad.
        return Survey(found, None, f"cannot be read ({reason_of(error, source)})")
    return Survey(found, size)


def read_frames(
    source: Source, *, size: tuple[int, int] | None, png_fps: float | None
) -> DecodedClip:
    """Decode all frames of a source; png frames have to be of the `size` that was surveyed.

    Raises:
        DecodeError: it cannot be decoded, or not without guessing.
    """
    if not source.is_folder:
        return frames_.decode(source.path, max_pixels=MAX_CLIP_PIXELS)
    paths = _png_paths(source)
    expected = size or _png_size(paths)
    images = [_png_frame(path, expected) for path in paths]
    return DecodedClip(frames_.check(np.stack(images)), png_fps)


def reason_of(error: Exception, source: Source) -> str:
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
        with av.open(str(path), metadata_errors="replace") as container:
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
    """Return height and width of a png of 8 bits a channel, from its one header."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_PNG))
            headers = list(_headers(file)) if head == _PNG else []
    except OSError as error:
        raise DecodeError(f"{path}: cannot be read ({error.strerror})") from error
    if not headers or len(headers[0]) < _HEADER.size:
        raise DecodeError(f"{path}: is no png, or truncated")
    if len(headers) > 1:  # decoders take the last one, and what was checked would not be shown
        raise DecodeError(f"{path}: has {len(headers)} headers, a png has one")
    width, height, bits = _HEADER.unpack(headers[0])
    if bits > 8:
        raise DecodeError(f"{path}: expected 8 bits a channel, got {bits}; nothing is rounded here")
    return height, width


def _headers(file: BinaryIO) -> Iterator[bytes]:
    """Yield the first bytes of every IHDR before the pixels of a png."""
    while len(start := file.read(_CHUNK.size)) == _CHUNK.size:
        length, kind = _CHUNK.unpack(start)
        if kind == b"IDAT":
            return
        after = file.tell() + length + 4  # a checksum follows
        if kind == b"IHDR":
            yield file.read(_HEADER.size)
        file.seek(after)


def _png_frame(path: Path, size: tuple[int, int]) -> Frames:
    from PIL.PngImagePlugin import PngImageFile

    try:
        # Not Image.open: it has a limit of its own, which it raises as no error of decoding.
        with PngImageFile(path) as image:
            _check_size(image.size, size[::-1])
            opaque = image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
            pixels = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise DecodeError(f"{path}: cannot be decoded as png ({error})") from error
    if not opaque:
        raise DecodeError(f"{path}: has transparent pixels; what lies behind them is not known")
    return pixels


def _check_size(found: tuple[int, int], stated: tuple[int, int]) -> None:
    """Refuse a picture of another width and height than was checked, before it is decoded."""
    if found != stated:
        raise ValueError(f"{found[0]}x{found[1]}, where {stated[0]}x{stated[1]} was stated")


def decoder_id(source: Source) -> str:
    """Name what turns the file into pixels, and resizes them, with its version."""
    import PIL

    resizer = f"pillow-{PIL.__version__}"
    if source.is_folder:
        return resizer
    import av

    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"av-{av.__version__} libavcodec-{codec} {resizer}"
