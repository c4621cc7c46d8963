"""Stills of a company's own style: read, checked, split by content, each with its caption.

Loads no network. What is wrong with a folder is said before any training time is spent.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poc.errors import InputError
from poc.strict_yaml import read_text

if TYPE_CHECKING:
    from PIL.Image import Image

FEWEST: Final = 10
"""Stills of one style: a fifth of them are two, and one held-out still alone is no reference."""
HELD_OUT_EVERY: Final = 5
CAPTIONS: Final = "captions.csv"
_FORMATS: Final[Mapping[str, str]] = {"PNG": ".png", "JPEG": ".jpg"}
_MODES: Final = ("RGB", "L")
_ORIENTATION: Final = 0x0112  # of EXIF
_BESIDE: Final = frozenset({CAPTIONS, "README.md"})
_COLUMNS: Final = ("file", "caption")


@dataclass(frozen=True, slots=True)
class Still:
    """One picture as it was given."""

    path: Path
    sha256: str
    suffix: str
    """Of its format: `.png` or `.jpg`, whatever the file is called."""
    heldout: bool
    caption: str

    def name(self, style: str) -> str:
        """Return its relative path in the entry of a style: by content, whatever its file name."""
        part = "heldout" if self.heldout else "train"
        return f"{style}/{part}/{self.sha256[:16]}{self.suffix}"


def read_stills(
    folder: Path, *, smallest: int, captions: Path | None, trigger: str | None
) -> tuple[Still, ...]:
    """Return the stills of a folder in the order of their digests; the first fifth is held out.

    Args:
        folder: PNG and JPEG files; besides them only `captions.csv` and `README.md` may be there.
        smallest: fewest pixels of the shorter side, the size that the base model draws.
        captions: CSV with columns `file` and `caption`, one row a still; `captions.csv` in the
            folder where neither this nor a trigger word is given.
        trigger: the one caption of all stills, instead of a CSV.

    Raises:
        InputError: every still that is damaged, too small, of another kind or there twice; too few
            of them; captions that are missing, empty, doubled or of no still.
    """
    paths = _files(folder)
    problems = [text for path in paths if (text := _problem(path, smallest))]
    _refuse(folder, problems)
    _refuse(folder, _mixture(paths))
    found = sorted((hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in paths)
    _refuse(folder, _copies(found))
    if len(found) < FEWEST:
        raise InputError(
            f"{folder}: expected {FEWEST} stills or more, got {len(found)}. A fifth is held out to "
            "measure the style by; add stills of the same style."
        )
    said = _captions(folder, paths, captions, trigger)
    heldout = len(found) // HELD_OUT_EVERY
    return tuple(
        Still(path, sha, _suffix(path), place < heldout, said[path.name])
        for place, (sha, path) in enumerate(found)
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of stills, found none. Mend the path.")
    return sorted(path for path in folder.iterdir() if path.name not in _BESIDE)


def _refuse(folder: Path, problems: Sequence[str]) -> None:
    if problems:
        head = f"{folder}: {len(problems)} of the stills cannot be trained on"
        raise InputError("\n".join([head, *(f"  {text}" for text in problems)]))


# --- pictures ------------------------------------------------------------------------------------


def _problem(path: Path, smallest: int) -> str | None:
    """Return what is wrong with one picture, decoding all of it."""
    from PIL import Image as Images
    from PIL import UnidentifiedImageError

    if not path.is_file():
        return f"{path.name}: expected PNG and JPEG files only, found a folder. Move it away."
    try:
        with Images.open(path, formats=tuple(_FORMATS)) as picture:
            picture.load()
            return _shape_problem(path.name, picture, smallest)
    except UnidentifiedImageError:
        return f"{path.name}: expected a PNG or JPEG picture, got another file. Move it away."
    except (OSError, ValueError, SyntaxError, Images.DecompressionBombError) as error:
        return f"{path.name}: cannot be decoded ({error}). Restore it from a copy."


def _shape_problem(name: str, picture: Image, smallest: int) -> str | None:
    frames, (width, height) = getattr(picture, "n_frames", 1), picture.size
    if picture.format not in _FORMATS:
        return f"{name}: expected PNG or JPEG, got {picture.format}. Convert it."
    if picture.mode not in _MODES:
        return (
            f"{name}: expected 8-bit colour or grey without alpha, got mode {picture.mode}. "
            "Convert it: what becomes of the rest is not for us to choose."
        )
    if picture.getexif().get(_ORIENTATION, 1) != 1:
        return f"{name}: is stored turned, with a note of it. Turn the pixels and save it."
    if frames > 1:
        return f"{name}: expected one picture, got {frames} frames. Export a still of it."
    if min(width, height) < smallest:
        return (
            f"{name}: expected {smallest} pixels or more on the shorter side, which the base "
            f"draws, got {width} x {height}. Enlarging would teach blur: give a larger one."
        )
    return None


def _mixture(paths: Sequence[Path]) -> list[str]:
    """Return what pictures of several kinds are mixed: one style cannot be learnt from both."""
    kinds = {path.name: _kind(path) for path in paths}
    counts = Counter(kinds.values())
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [
        f"{name}: is {kind}, {counts[usual]} others are {usual}. Give stills of one kind."
        for name, kind in kinds.items()
        if kind != usual
    ]


def _kind(path: Path) -> str:
    from PIL import Image as Images

    with Images.open(path) as picture:
        if "A" in picture.getbands() or "transparency" in picture.info:
            return "transparent"
        return "grey" if picture.mode in {"1", "L", "I", "I;16", "F"} else "in colour"


def _suffix(path: Path) -> str:
    from PIL import Image as Images

    with Images.open(path) as picture:
        return _FORMATS[str(picture.format)]


def _copies(found: Sequence[tuple[str, Path]]) -> list[str]:
    """Return files of equal content: one could be trained on and held out at once."""
    first: dict[str, str] = {}
    problems = []
    for sha, path in found:
        if sha in first:
            problems.append(f"{path.name}: is a copy of {first[sha]}. Remove one.")
        first.setdefault(sha, path.name)
    return problems


# --- captions ------------------------------------------------------------------------------------


def _captions(
    folder: Path, paths: Sequence[Path], table: Path | None, trigger: str | None
) -> dict[str, str]:
    """Return each still's caption by file name."""
    if table is not None and trigger is not None:
        raise InputError("--captions and --trigger: expected one of them. Leave one away.")
    if trigger is not None:
        if not trigger.strip():
            raise InputError("--trigger: expected a word, got none.")
        return {path.name: trigger.strip() for path in paths}
    own = folder / CAPTIONS
    if table is None and not own.is_file():
        raise InputError(
            f"{folder}: no captions. Expected {CAPTIONS} there with columns {','.join(_COLUMNS)}, "
            "--captions CSV, or --trigger WORD for all stills."
        )
    return _caption_table(table or own, [path.name for path in paths])


def _caption_table(table: Path, names: Sequence[str]) -> dict[str, str]:
    reader = csv.DictReader(io.StringIO(read_text(table).removeprefix("\ufeff"), newline=""))
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        got = ",".join(map(str, reader.fieldnames or ())) or "nothing"
        raise InputError(f"{table}:1: expected the columns {','.join(_COLUMNS)}, got {got}.")
    found: dict[str, str] = {}
    problems = list(_rows(reader, table, frozenset(names), found))
    problems += [
        f"{table}: no caption of '{name}'. Add a row, or move the still away."
        for name in names
        if name not in found
    ]
    if problems:
        raise InputError("\n".join(problems))
    return found


def _rows(
    reader: csv.DictReader[str], table: Path, names: frozenset[str], found: dict[str, str]
) -> Iterator[str]:
    """Fill `found` row by row; yields what is wrong with each."""
    for row in reader:
        at = f"{table}:{reader.line_num}"
        name, caption = row["file"] or "", (row["caption"] or "").strip()
        if None in row:
            yield f"{at}: expected 2 values, got more. Put a caption with a comma in quotes."
        elif name not in names:
            yield f"{at}: no still is called '{name}'. Mend the name."
        elif name in found:
            yield f"{at}: '{name}' has a caption already. Keep one row."
        elif not caption:
            yield f"{at}: expected a caption of '{name}', got none. Describe what it shows."
        else:
            found[name] = caption
