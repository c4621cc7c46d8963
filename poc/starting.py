"""Writes a folder to start from: spec, prompts as a table, a place for stills, rights record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from poc import disk
from poc.errors import InputError

SPECS: Final = Path(__file__).parent / "specs"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILES: Final[Mapping[str, str]] = {
    "spec.yaml": "start/spec.yaml",
    "datasets.yaml": "start/datasets.yaml",
    "prompts.csv": "start/prompts.csv",
    "rights.yaml": "start/rights.yaml",
    "stills/README.md": "start/stills/README.md",
    "criteria.yaml": "criteria/real-size.yaml",
    "checklist_jp.yaml": "rights/checklist_jp.yaml",
}
"""Name in the new folder -> file that comes along."""


def start(folder: Path) -> tuple[Path, ...]:
    """Fill a new or empty folder and return the files; the spec takes the folder's name if it can.

    Raises:
        InputError: the folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: expected a new or empty folder. Give another name.")
    name = folder.resolve().name
    for target, source in _FILES.items():
        content = (SPECS / source).read_bytes()
        if target == "spec.yaml" and _NAME.fullmatch(name):
            content = content.replace(b"\nname: my-poc\n", f"\nname: {name}\n".encode())
        disk.make_folder((folder / target).parent)
        disk.publish(folder / target, content)
    return tuple(folder / target for target in _FILES)
