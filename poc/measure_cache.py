"""What `poc measure --out` writes, and what of it a later run takes again.

`measurements.jsonl` and `summary.json` are the last run that came to its end, and belong together.
The cache beside them keeps the numbers of every run into the folder, found by content and never by
name; it alone is written while a run is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metrics import catalog
from metrics.validity import Fault
from poc import disk, encoding
from poc.clip_folder import listed
from poc.clip_records import FORMAT, FolderMeasurement, FolderSummary, Role, Status
from poc.errors import InputError
from poc.journal import DamagedLineError, decode, encode

Floats = npt.NDArray[np.float64]
Key = tuple[str | None, ...]

MEASUREMENTS, SUMMARY = "measurements.jsonl", "summary.json"
CACHE, FEATURES = "measure-cache.jsonl", "features.npz"


@dataclass
class Cache:
    """Numbers and features of earlier runs into the same folder."""

    rows: list[FolderMeasurement] = field(default_factory=list)
    features: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path | None) -> Cache:
        """Read what is there; damaged lines are as good as not there.

        Raises:
            InputError: the folder holds something else.
        """
        if out is None or not out.exists():
            return cls()
        _refuse_something_else(out)
        with disk.explained(out):
            disk.remove_temporaries(out)
            lines = (out / CACHE).read_bytes().split(b"\n") if _has(out, CACHE) else []
            data = (out / FEATURES).read_bytes() if _has(out, FEATURES) else b""
        return cls(list(_rows(lines)), _arrays(data))

    @cached_property
    def _places(self) -> dict[Key, FolderMeasurement]:
        return {_place(row): row for row in self.rows if row.shape is not None}

    @cached_property
    def _values(self) -> dict[Key, FolderMeasurement]:
        return {_key(row): row for row in self.rows}

    def place(self, file_digest: str, protocol: str, decoder: str) -> FolderMeasurement | None:
        """Return a row with frames digest and shape of the same bytes, decoded the same way."""
        return self._places.get((file_digest, protocol, decoder))

    def value(self, asked: FolderMeasurement) -> FolderMeasurement | None:
        """Return the measurement of the same frames by the same metric and network."""
        return self._values.get(_key(asked))

    @cached_property
    def _kept(self) -> dict[Key, FolderMeasurement]:
        return {_whole_key(row): row for row in self.rows if _can_serve(row)}

    def keep(
        self, out: Path, rows: Sequence[FolderMeasurement], features: Mapping[str, Floats]
    ) -> None:
        """Add what is measured so far to what was there; the last finished run stays as it is.

        Nothing is written where all of it was there.
        """
        measured = {_whole_key(row): row for row in rows if _can_serve(row)}
        same = all(self._kept.get(key) == row for key, row in measured.items())
        same &= all(self.features.get(key) is taken for key, taken in features.items())
        if same and _has(out, CACHE):
            return
        both, all_features = self._kept | measured, self.features | dict(features)
        disk.make_folder(out)
        disk.publish(out / CACHE, b"".join(encode(row) for row in both.values()))
        if all_features:
            disk.publish(out / FEATURES, encoding.encode_arrays(all_features))
        disk.sync_folder(out)


def finish(out: Path, rows: Sequence[FolderMeasurement], summary: FolderSummary) -> None:
    """Write a run that has come to its end; at no moment a summary beside other measurements.

    What may fail for want of room comes first, while the run before is still whole.
    """
    lines, text = b"".join(encode(row) for row in rows), summary.to_json().encode() + b"\n"
    staged = [
        disk.stage(out / name, data) for name, data in ((MEASUREMENTS, lines), (SUMMARY, text))
    ]
    with disk.explained(out):
        is_same = _has(out, MEASUREMENTS) and (out / MEASUREMENTS).read_bytes() == lines
        if not is_same:
            (out / SUMMARY).unlink(missing_ok=True)
            disk.sync_folder(out)
    for beside, name in zip(staged, (MEASUREMENTS, SUMMARY), strict=True):
        disk.put(beside, out / name)
    disk.sync_folder(out)


def looks_ours(folder: Path) -> bool:
    """Tell whether a subfolder is what `poc measure` wrote, and so is no clip."""
    return _has(folder, CACHE) or (_has(folder, SUMMARY) and _has(folder, MEASUREMENTS))


def _can_serve(row: FolderMeasurement) -> bool:
    """Tell whether a later run can take this number: why there is none may be over by then."""
    # A size is wrong only beside others: in other company it is judged anew.
    judged = row.role is not Role.SET and row.fault != Fault.WRONG_SHAPE
    there = judged and row.status in {Status.OK, Status.INVALID}
    return there and row.file_digest is not None and row.frames_digest is not None


def _whole_key(row: FolderMeasurement) -> Key:
    return *_place(row), *_key(row)


def _place(row: FolderMeasurement) -> Key:
    """Return what frames follow from."""
    return row.file_digest, row.protocol, row.decoder


def _key(row: FolderMeasurement) -> Key:
    """Return what a number follows from."""
    prompt = row.prompt if "text_features" in catalog.describe(row.metric).takes else None
    network = (row.extractor, row.extractor_digest)
    made = (row.frames_digest, f"{row.metric} {row.version}", *network, row.protocol, prompt)
    return *made, row.reference_digest


def _has(out: Path, name: str) -> bool:
    return (out / name).is_file()


def _refuse_something_else(out: Path) -> None:
    if not out.is_dir():
        raise InputError(f"{out}: expected a folder, found a file. Choose another --out.")
    with disk.explained(out):
        names = sorted(path.name for path in out.iterdir())
    ours = {MEASUREMENTS, SUMMARY, CACHE, FEATURES}
    foreign = [name for name in names if name.removesuffix(disk.TEMPORARY) not in ours]
    if not foreign and names and not _is_ours(out):
        foreign = names
    if foreign:
        raise InputError(
            f"{out}: holds something that `poc measure` did not write ({listed(foreign, 3)}). "
            "Choose another --out."
        )


def _is_ours(out: Path) -> bool:
    """Tell our files from others of the same names; one of ours may be damaged or missing."""
    with disk.explained(out):
        summary, *rows = (
            (out / name).read_bytes() if _has(out, name) else b""
            for name in (SUMMARY, MEASUREMENTS, CACHE)
        )
    return FORMAT.encode() in summary or any(any(_rows(one.split(b"\n"))) for one in rows)


def _rows(lines: Sequence[bytes]) -> Iterator[FolderMeasurement]:
    for line in lines:
        try:
            row = decode(line, FolderMeasurement)
        except DamagedLineError:
            continue
        if row.metric in catalog.CATALOG:
            yield row


def _arrays(data: bytes) -> dict[str, Floats]:
    try:
        return encoding.decode_arrays(data) if data else {}
    except encoding.DecodingError:
        return {}
