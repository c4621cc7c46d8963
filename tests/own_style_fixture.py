"""Stills of an own style in a folder, and a rights file that permits them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any, Final

from poc.models import MODELS, ModelTable, read_models
from poc.own_style import StyleRequest, StyleTraining
from poc.records import digest
from poc.starting import start
from poc.tiny.stills import write_stills
from poc.tiny.world import Style

NAME: Final = "my-look"
STYLE: Final = Style.PASTEL
CONSENT: Final = """\
stills:
  - id: look
    model: {model}
    files: {name}/*
    digest: {digest}
    photographer: A. Maker
    agreement: contract 1
    model_release: {{status: not_needed, evidence: nobody is shown}}
    uses: [evaluation]
    territory: [JP]
    given: 2026-11-01
    valid_until: 2027-06-30
"""


def own_models(folder: Path) -> ModelTable:
    """Return our table of models in a place of its own, where styles can be left."""
    home = folder / "poc"
    if not home.exists():
        (home / "specs").mkdir(parents=True)
        shutil.copy(MODELS, home / "specs" / "models.yaml")
        (home / "tiny").symlink_to(MODELS.parents[1] / "tiny")
    return read_models(home / "specs" / "models.yaml")


def write_look(folder: Path, count: int = 10) -> Path:
    """Write stills in a look that only they have, with captions.csv; returns their folder."""
    write_stills(folder / "raw", STYLE, count, seed=77, heldout=1)
    home = folder / NAME
    home.mkdir(parents=True)
    captions = json.loads((folder / "raw" / "train" / "captions.json").read_text())
    for name in captions:
        shutil.copy(folder / "raw" / "train" / name, home / name)
    write_captions(home / "captions.csv", captions)
    return home


def write_captions(path: Path, captions: dict[str, str]) -> None:
    """Write a table of captions by file name."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "caption"), *captions.items()])


def write_rights(folder: Path, files: dict[str, str], **changes: str) -> Path:
    """Write a rights file with a consent for these files {path: SHA-256}; changes replace text."""
    start(folder / "start")
    path = folder / "start" / "rights.yaml"
    consent = CONSENT.format(model=f"{NAME}-stills", name=NAME, digest=digest(files))
    text = path.read_text("utf-8").replace("example: true", "example: false")
    text = text.replace("starts: 2027-01-01", "starts: 2026-11-01")
    lines = [consent if line.startswith("stills: []") else f"{line}\n" for line in text.split("\n")]
    text = "".join(lines)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return path


def request(stills: Path, rights: Path, **changes: Any) -> StyleRequest:
    """Return a short training of the tiny base."""
    training: dict[str, Any] = {"steps": 4, "batch": 2, "learning_rate": 1e-3, "rank": 4, "seed": 3}
    training |= changes.pop("training", {})
    fields: dict[str, Any] = {
        "stills": stills,
        "base": "tiny-base",
        "rights": rights,
        "name": NAME,
        "training": StyleTraining(**training),
        "device": "cpu",
    }
    return StyleRequest(**(fields | changes))
