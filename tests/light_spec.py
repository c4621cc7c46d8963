"""The quick spec with less to measure: for tests of the path, where no number matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

QUICK: Final = Path("poc/specs/quick.yaml").resolve()


def light(folder: Path, **changes: Any) -> Path:
    """Write it with two arms of two steps, two metrics and no reference; returns its path.

    `changes` replace keys of the spec, those of its arms under `teacher` and `animatelcm`.
    """
    content = yaml.safe_load(QUICK.read_text("utf-8"))
    content |= {
        "metrics": ["flicker", "oracle_all"],
        "references": [],
        "criteria": f"{QUICK.parent}/{content['criteria']}",
    }
    del content["contrasts"]
    teacher, student = content["arms"]
    student["steps"] = 2
    teacher.update(changes.pop("teacher", {}))
    student.update(changes.pop("animatelcm", {}))
    path = folder / "light.yaml"
    path.write_text(yaml.safe_dump(content | changes), "utf-8")
    return path
