"""A run as one archive for auditors: its records, what it was decided with, and what lists them.

    SHA256SUMS             digest of every other member, as `sha256sum -c` reads it
    README.txt             what lies where, and how to check it
    spec.yaml              the spec as the engineer wrote it
    criteria.json          the criteria hashed into the run
    licences.json          licence facts of every model in use, with source and day
    bill_of_materials.json packages and models with versions and digests (CycloneDX)
    run/                   records, features, votes, estimates and decision; clips by digest only
    given/                 the files that the decision was made with: criteria, rights, cost

`poc verify` takes the archive as it takes a run folder. Equal runs give equal archives.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from poc import disk, run_folder
from poc.datasets import dataset_licences
from poc.errors import InputError
from poc.licences import ids_of, read_licences
from poc.models import ModelTable
from poc.rights import rights_of
from poc.rights_check import read_rights
from poc.run_folder import CLIPS, FEATURES, JOURNALS, MANIFEST, PLAN, RARE_JOURNALS
from poc.spec import read_criteria
from poc.store import RunStore

FILE_NAME: Final = "audit.zip"
SUMS: Final = "SHA256SUMS"
DERIVED: Final = ("estimates.json", "decision.json", "money.json", "rights.json")
MOST_BYTES: Final = 2 * 1024**3
"""Of all members, unpacked."""

_RATING: Final = r"rating/(votes|[0-9a-f]{16}/key|answers/[0-9a-f]{16})\.json"
_NAMED: Final = "|".join(map(re.escape, (MANIFEST, PLAN, *JOURNALS, *RARE_JOURNALS, *DERIVED)))
_MEMBER: Final = re.compile(
    rf"run/({_NAMED}|{_RATING}|{FEATURES}/[0-9a-f]{{16}}\.npz)"
    r"|given/(criteria|cost)\.yaml|given/rights/\w[\w.-]{0,99}"
    r"|README\.txt|spec\.yaml|(criteria|licences|bill_of_materials)\.json"
)
NOT_CHECKED: Final = ("licences.json", "bill_of_materials.json")
"""What is held against the list of digests alone."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)

_README: Final = """\
An archive for auditors, written by `poc report RUN --format audit`.

To check it: poc verify THIS_FILE
It compares every member with SHA256SUMS, spec.yaml and criteria.json with the run, and derives
estimates, decision, money, rights and votes again from the records. It exits 0 when all agrees and
1 when not. What licences.json and bill_of_materials.json say is not checked further.

spec.yaml               the spec as the engineer wrote it
criteria.json           the criteria that were fixed before the run
licences.json           licence facts of every model in use: source, day, judgement by use
bill_of_materials.json  packages and models with versions and digests (CycloneDX 1.6)
run/                    records, features, votes, estimates, decision
given/                  files that the decision was made with, where there were any

Clips are not in here: run/generations.jsonl holds the digest of every clip's frames, and
`poc verify` of the run folder compares them.
"""


class Given(NamedTuple):
    """The files that a decision was made with; None where there was none."""

    criteria: Path | None = None
    rights: Path | None = None
    cost: Path | None = None


def write_audit(run: Path, out: Path | None, given: Given, models: ModelTable) -> Path:
    """Write the archive of a run and return its path.

    Raises:
        InputError: no run, one that was not decided, a file that it was decided with is missing, or
            criteria, prices or rights are not those that decided.
    """
    store = RunStore.open_reader(run)
    members = dict(_members(store, given, models))
    sums = "".join(f"{_digest(data)}  {name}\n" for name, data in sorted(members.items()))
    target = out or run / FILE_NAME
    disk.publish(target, _zipped({SUMS: sums.encode()} | dict(sorted(members.items()))))
    return target


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


# --- what goes in --------------------------------------------------------------------------------


def _members(store: RunStore, given: Given, models: ModelTable) -> Iterator[tuple[str, bytes]]:
    yield from _run_files(store)
    yield from _given_files(store, given, models)
    yield "README.txt", _README.encode()
    yield "spec.yaml", _spec(store)
    yield "criteria.json", _criteria(store)
    used = sorted({model for arm in store.plan.arms for model in arm.model_digests})
    yield "licences.json", _json(_licences(models, used))
    yield "bill_of_materials.json", _json(_materials(store, models, used))


def _run_files(store: RunStore) -> Iterator[tuple[str, bytes]]:
    if store.read_derived("decision.json") is None:
        raise InputError(f"{store.path}: has no decision yet. Type: poc decide {store.path}")
    names = [MANIFEST, PLAN, *JOURNALS, *RARE_JOURNALS, *DERIVED]
    for folder in (FEATURES, "rating"):
        paths = (store.path / folder).rglob("*")
        names += sorted(path.relative_to(store.path).as_posix() for path in paths)
    for name in names:
        path = store.path / name
        if _MEMBER.fullmatch(f"run/{name}") and path.is_file():
            yield f"run/{name}", run_folder.read_bytes(path)


def _given_files(store: RunStore, given: Given, models: ModelTable) -> Iterator[tuple[str, bytes]]:
    decision = json.loads(store.read_derived("decision.json") or "{}")
    asked = {
        "--criteria": (given.criteria, decision["criteria_edited"]),
        "--rights": (given.rights, decision.get("rights_basis")),
        "--cost": (given.cost, decision.get("price_basis")),
    }
    for option, (path, wanted) in asked.items():
        if wanted and path is None:
            raise InputError(
                f"{store.path}: the decision was made with a file of {option}, which the archive "
                f"has to hold. Give it again: {option} FILE"
            )
        if path is not None and not wanted:
            raise InputError(f"{path}: the decision was made without a file of {option}.")
    if given.criteria is not None:
        if read_criteria(given.criteria).content_digest() != decision["criteria_digest"]:
            raise InputError(f"{given.criteria}: is not the file of criteria that decided.")
        yield "given/criteria.yaml", run_folder.read_bytes(given.criteria)
    if given.cost is not None:
        data, basis = run_folder.read_bytes(given.cost), decision.get("price_basis") or {}
        if basis.get("digest") != _digest(data):
            raise InputError(f"{given.cost}: is not the file of prices that was decided with.")
        yield "given/cost.yaml", data
    if given.rights is not None:
        basis, on = decision["rights_basis"], date.fromisoformat(decision["rights_basis"]["on"])
        if rights_of(store.plan, models, given.rights, on=on).digest != basis["digest"]:
            raise InputError(f"{given.rights}: is not the rights file that was decided with.")
        datasets = {*dataset_licences(), store.plan.spec.dataset}
        checklist = read_rights(given.rights, models, datasets).file.checklist
        yield from _rights_files(given.rights, checklist)


def _rights_files(path: Path, checklist: str) -> Iterator[tuple[str, bytes]]:
    """Yield a rights file as `rights.yaml`, and the checklist that it names beside itself."""
    if not _MEMBER.fullmatch(f"given/rights/{checklist}") or checklist == "rights.yaml":
        raise InputError(
            f"{path}: names its checklist '{checklist[:100]}'; an archive holds one beside the "
            "rights file only. Put both into one folder."
        )
    yield "given/rights/rights.yaml", run_folder.read_bytes(path)
    yield f"given/rights/{checklist}", run_folder.read_bytes(path.parent / checklist)


def _json(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _licences(models: ModelTable, used: list[str]) -> Any:
    table = read_licences()
    found = []
    for model in used:
        entry = models.resolve(model).entry
        known = [(name, table.find(name)) for name in ids_of(entry.licence)]
        facts = {name: one.model_dump(mode="json") if one else None for name, one in known}
        found.append({"model": model, "licence": entry.licence, "facts": facts})
    return found


def _materials(store: RunStore, models: ModelTable, used: list[str]) -> Any:
    digests = {k: v for arm in store.plan.arms for k, v in arm.model_digests.items()}
    packages = store.manifest.fingerprint.packages
    libraries = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in sorted(packages.items())
    ]
    networks = [
        {
            "type": "machine-learning-model",
            "name": model,
            "licenses": [{"license": {"name": models.resolve(model).entry.licence}}],
            "properties": [{"name": "poc:digest_of_files", "value": digests[model]}],
        }
        for model in used
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [*libraries, *networks],
    }


# --- taking it out -------------------------------------------------------------------------------


def is_archive(path: Path) -> bool:
    """Tell whether `poc verify` was given an archive and not a run folder."""
    return path.is_file() and zipfile.is_zipfile(path)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, Given, tuple[str, ...]]]:
    """Give the run folder of an archive, the files given with it, and which members are amiss.

    Raises:
        InputError: no archive of ours, or one that is larger than any.
    """
    with TemporaryDirectory(prefix="poc-audit-") as folder:
        place = Path(folder)
        members = _read(path)
        for name, data in members.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        for name in (CLIPS, FEATURES):
            (place / "run" / name).mkdir(parents=True, exist_ok=True)
        given = Given(
            *(
                place / name if name in members else None
                for name in ("given/criteria.yaml", "given/rights/rights.yaml", "given/cost.yaml")
            )
        )
        yield place / "run", given, (*_amiss(path, members), *_forged(path, place, members))


def _read(path: Path) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename
                if (name != SUMS and not _MEMBER.fullmatch(name)) or ".." in name:
                    raise InputError(f"{path}: holds {name[:100]!a}, which no archive has.")
                with archive.open(member) as file:
                    members[name] = file.read(left + 1)
                left -= len(members[name])
                if left < 0:
                    raise InputError(f"{path}: is more than {MOST_BYTES} bytes unpacked.")
    except (
        zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
        OSError, ValueError, OverflowError,  # ValueError: names that are no text, places below 0
    ) as error:  # fmt: skip
        raise InputError(f"{path}: expected an archive, cannot read it ({error}).") from error
    return members


def _amiss(path: Path, members: Mapping[str, bytes]) -> Iterator[str]:
    lines = members.get(SUMS, b"").decode("utf-8", "replace").splitlines()
    parts = (line.partition("  ") for line in lines)
    listed = {name: one for one, _, name in parts if name}
    there = {name: _digest(data) for name, data in members.items() if name != SUMS}
    for name in sorted({*listed, *there}):
        if name not in there:
            yield f"{path}: lacks {name[:100]!a}, which {SUMS} lists."
        elif listed.get(name) != there[name]:
            yield f"{path}: {name} is not what {SUMS} says."


def _forged(path: Path, place: Path, members: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what lies beside the run and says something else than the run does."""
    try:
        store = RunStore.open_reader(place / "run")
    except InputError:
        return  # the run's own check says why
    for name, data in (("spec.yaml", _spec(store)), ("criteria.json", _criteria(store))):
        if members.get(name) != data:
            yield f"{path}: {name} is not that of the run."


def _spec(store: RunStore) -> bytes:
    return store.manifest.spec_text.encode()


def _criteria(store: RunStore) -> bytes:
    return store.plan.criteria.to_json().encode() + b"\n"
