"""Prompt sets by name, and what is known of the tiny world's prompts and reference clips.

A spec names a dataset of the repository's `datasets.yaml`, or of a `datasets.yaml` beside itself.
Prompts keep their order, and a spec takes them from the front, so a larger run contains the
smaller one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from poc.errors import InputError, did_you_mean
from poc.records import ClipShape, Prompt, Record, short_id
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse
from poc.tiny import world

DATASETS: Final = Path(__file__).resolve().parent.parent / "datasets.yaml"


AttributeText = Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""A word or some, on one line: it stands in tables."""


class PromptEntry(Record):
    """One prompt as written in datasets.yaml."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    language: Annotated[str, Field(min_length=2, max_length=35)]
    """BCP 47 tag of `text`."""
    text_ja: Annotated[str, Field(min_length=1, max_length=4000)]
    attributes: dict[AttributeText, AttributeText]


class DatasetEntry(Record):
    """One dataset of datasets.yaml."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    kind: Literal["tiny-world", "list", "csv"]
    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]
    """SPDX expression of the prompts."""
    prompts: Annotated[tuple[PromptEntry, ...], Field(min_length=1)] | None
    """Of kind list; null where the prompts are composed, or in a file."""
    file: Annotated[str, Field(min_length=1)] | None = None
    """Of kind csv: the file, relative to datasets.yaml."""


class DatasetsFile(Record):
    """datasets.yaml as a whole."""

    version: Literal[1]
    datasets: Annotated[tuple[DatasetEntry, ...], Field(min_length=1)]


class _Found(NamedTuple):
    entry: DatasetEntry
    path: Path
    line: int


def read_prompts(
    dataset: str, count: int, *, beside: Path | None = None, path: Path = DATASETS
) -> tuple[Prompt, ...]:
    """Return the first `count` prompts of a dataset.

    Args:
        dataset: id of an entry in `path`, or in the `datasets.yaml` beside the file `beside`.
        count: number of prompts, at least 1.
        beside: the spec that asks; None looks in `path` only.
        path: the repository's own datasets.yaml.

    Raises:
        InputError: no such dataset, given twice, too few prompts, or a faulty file.
    """
    return _first(_named(dataset, beside, path), count)


def count_prompts(dataset: str, *, beside: Path | None = None, path: Path = DATASETS) -> int:
    """Return how many prompts a dataset has; arguments and errors as `read_prompts`."""
    return _available(_named(dataset, beside, path))


def _named(dataset: str, beside: Path | None, path: Path) -> _Found:
    places = _places(beside, path)
    found = [item for place in places for item in _read(place)]
    matches = [item for item in found if item.entry.id == dataset]
    if not matches:
        hint = did_you_mean(dataset, [item.entry.id for item in found])
        raise InputError(f"{places[-1]}: unknown dataset '{dataset}'. {hint}")
    if len(matches) > 1:
        where = " and ".join(f"{item.path}:{item.line}" for item in matches)
        raise InputError(f"{where}: two datasets are called '{dataset}'. Rename one of them.")
    return matches[0]


def composed_prompts() -> tuple[Prompt, ...]:
    """Return every prompt that the tiny world can compose and no training has seen."""
    return tuple(_composed(text) for text in world.unseen_prompts(len(world.unseen_scenes())))


def dataset_licences(*, beside: Path | None = None, path: Path = DATASETS) -> dict[str, str]:
    """Return the licence of every prompt set by its id; arguments and errors as `read_prompts`."""
    entries = (item.entry for place in _places(beside, path) for item in _read(place))
    return {entry.id: entry.licence for entry in entries}


def _places(beside: Path | None, path: Path) -> list[Path]:
    own = beside.parent / "datasets.yaml" if beside is not None else None
    return [path, *([own] if own and own.exists() and not own.samefile(path) else [])]


def check_vocabulary(prompts: Iterable[Prompt], *, model: str, dataset: str) -> None:
    """Refuse prompts that a model of the tiny world has no words for; raises `InputError`."""
    for prompt in prompts:
        try:
            world.parse(prompt.text)
        except ValueError as error:
            raise InputError(
                f"dataset '{dataset}', which model '{model}' cannot read: {error}"
            ) from error


def rendered_shape() -> ClipShape:
    """Return the one size that rendered reference clips have."""
    return ClipShape(num_frames=world.FRAMES, height=world.SIZE, width=world.SIZE, fps=world.FPS)


def rendered_styles() -> tuple[str, ...]:
    """Return the styles that reference clips can be rendered in, besides the plain look."""
    return tuple(style.value for style in world.Style)


# --- the file ------------------------------------------------------------------------------------


def _read(path: Path) -> list[_Found]:
    node = load(read_text(path), path)
    file = decode(DatasetsFile, node, path)
    refuse(path, _problems(file.datasets, node))
    return [
        _Found(entry, path, node.get("datasets", place).line)
        for place, entry in enumerate(file.datasets)
    ]


def _problems(entries: Sequence[DatasetEntry], node: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, entry in enumerate(entries):
        at = node.get("datasets", place)
        if entry.id in seen:
            yield Problem(at.get("id").line, f"duplicate dataset id '{entry.id}'. Rename one.")
        seen.add(entry.id)
        if (entry.kind == "list") != (entry.prompts is not None):
            yield Problem(
                at.get("prompts").line,
                "'prompts': expected a list for kind 'list' and null for any other kind.",
            )
        if (entry.kind == "csv") != (entry.file is not None):
            yield Problem(at.line, "'file': expected for kind 'csv' and for no other kind.")
        yield from _duplicates(entry, at)


def _duplicates(entry: DatasetEntry, at: Node) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for place, prompt in enumerate(entry.prompts or ()):
        line = at.get("prompts", place, "text").line
        text = " ".join(prompt.text.split())
        if text in first:
            yield Problem(
                line,
                f"duplicate prompt {prompt.text!r}, first given on line {first[text]}. "
                "Intervals treat prompts as independent: remove one, or raise 'replicates'.",
            )
        first.setdefault(text, line)


def _entries(found: _Found) -> tuple[PromptEntry, ...]:
    if found.entry.file is not None:
        return read_csv(found.path.parent / found.entry.file)
    return found.entry.prompts or ()


def _available(found: _Found) -> int:
    composed = found.entry.kind == "tiny-world"
    return len(world.unseen_scenes()) if composed else len(_entries(found))


def _first(found: _Found, count: int) -> tuple[Prompt, ...]:
    available = _available(found)
    if count > available:
        raise InputError(
            f"{found.path}:{found.line}: dataset '{found.entry.id}' has {available} prompts, "
            f"the spec asks for {count}. Lower 'prompts', or raise 'replicates' instead."
        )
    if found.entry.kind == "tiny-world":
        return tuple(_composed(text) for text in world.unseen_prompts(count))
    return tuple(_prompt(entry) for entry in _entries(found)[:count])


# --- prompts as a table --------------------------------------------------------------------------

_COLUMNS: Final = ("text", "language", "text_ja")


def read_csv(path: Path) -> tuple[PromptEntry, ...]:
    """Return the prompts of a table as spreadsheets write it, comma-separated and in UTF-8.

    It has the columns text, language and text_ja; any other is an attribute, and an empty cell of
    it says nothing.

    Raises:
        InputError: the first fault, with its line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected a table in UTF-8: {error}. Save it as 'CSV UTF-8 (comma delimited)'."
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}:1: missing column {', '.join(missing)}. Add it.")
        rows = [_row(path, reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: damaged table: {error}.") from error
    _refuse_repeated(path, rows)
    return tuple(entry for _, entry in rows)


def _row(path: Path, line: int, row: Mapping[Any, Any]) -> tuple[int, PromptEntry]:
    if None in row or None in row.values():
        raise InputError(f"{path}:{line}: expected as many cells as columns. Mend the line.")
    cells = {name: value.strip() for name, value in row.items()}
    given = {name: cells.pop(name) for name in _COLUMNS}
    attributes = {name: cell for name, cell in cells.items() if name and cell}
    try:
        return line, PromptEntry.model_validate({**given, "attributes": attributes})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"{path}:{line}: '{where}': {fault['msg']}. Mend the cell.") from error


def _refuse_repeated(path: Path, rows: Iterable[tuple[int, PromptEntry]]) -> None:
    first: dict[str, int] = {}
    for line, entry in rows:
        text = " ".join(entry.text.split())
        if text in first:
            raise InputError(
                f"{path}:{line}: duplicate prompt {entry.text!r}, first given on line "
                f"{first[text]}. Intervals treat prompts as independent: remove one."
            )
        first[text] = line


def _prompt(entry: PromptEntry) -> Prompt:
    return Prompt(
        id=short_id(["prompt", entry.text]),
        text=entry.text,
        language=entry.language,
        text_ja=entry.text_ja,
        attributes=entry.attributes,
    )


# --- the tiny world ------------------------------------------------------------------------------

_JA: Final[Mapping[str, str]] = {
    "circle": "円", "square": "四角形", "triangle": "三角形", "ring": "輪",
    "red": "赤い", "green": "緑の", "blue": "青い", "yellow": "黄色い", "cyan": "水色の",
    "magenta": "赤紫の",
    "black": "黒い", "navy": "紺色の", "grey": "灰色の", "brown": "茶色の",
    "moving left": "左へ動く", "moving right": "右へ動く", "moving up": "上へ動く",
    "moving down": "下へ動く", "growing": "大きくなる", "shrinking": "小さくなる",
    "close up": "近景", "from afar": "遠景",
    "lit from the left": "左からの光", "lit from the right": "右からの光",
}  # fmt: skip


def _composed(text: str) -> Prompt:
    scene = world.parse(text)
    attributes = {
        "shape": scene.shape,
        "colour": scene.colour,
        "background": scene.background,
        "motion": scene.motion,
        "camera": scene.camera,
        "light": scene.light,
    }
    known = {name: str(value) for name, value in attributes.items() if value is not None}
    entry = PromptEntry(text=text, language="en", text_ja=wording_ja(known), attributes=known)
    return _prompt(entry)


def wording_ja(attributes: Mapping[str, str]) -> str:
    """Return the Japanese wording of a scene of the tiny world.

    >>> wording_ja({"shape": "ring", "colour": "blue", "background": "grey", "motion": "growing"})
    '灰色の背景で大きくなる青い輪'
    """
    words = {name: _JA[value] for name, value in attributes.items()}
    views = [words[name] for name in ("camera", "light") if name in words]
    aside = f"（{'、'.join(views)}）" if views else ""
    motion = words.get("motion", "")
    return f"{words['background']}背景で{motion}{words['colour']}{words['shape']}{aside}"
