"""The model bill of materials: which files of whom, under which licence, in CycloneDX 1.6.

The form is that of the CycloneDX specification (ECMA-424), component type
`machine-learning-model`, so that the tools which companies have for software read it. It holds no
serial number and no date but that of the lock: equal models and locks give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from poc.licence_text import told
from poc.models import Model

_PROPERTY: Final = "animatelcm-poc:"
_EXPRESSION: Final = re.compile(r"(LicenseRef-)?[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def bill_of_materials(models: Iterable[Model]) -> dict[str, Any]:
    """Return the bill of some models whose files are pinned, as one JSON object."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [_component(model) for model in models],
    }


def _component(model: Model) -> dict[str, Any]:
    entry, hub = model.entry, model.entry.hub
    revision = model.locked.revision if model.locked else hub.revision if hub else None
    place = f"https://huggingface.co/{hub.repository}" if hub else None
    sizes = {file.name: file.size_bytes for file in model.locked.files} if model.locked else {}
    return {
        "type": "machine-learning-model",
        "bom-ref": entry.id,
        "name": entry.id,
        **({"version": revision} if revision else {}),
        "licenses": [_licence(entry.licence)],
        **({"externalReferences": [{"type": "distribution", "url": place}]} if place else {}),
        "properties": [
            _property("kind", entry.kind),
            _property("commercial_use", entry.commercial_use),
            _property("training_data", entry.training_data),
            *_licence_text(model),
        ],
        "components": [
            _file(f"{entry.id}/{name}", sha256, sizes.get(name))
            for name, sha256 in model.files.items()
        ],
    }


def _licence_text(model: Model) -> list[dict[str, str]]:
    """Return what is kept of the text of a licence; nothing of a model that comes along."""
    if model.entry.hub is None:
        return []
    kept = model.locked.licence if model.locked else None
    digest = [_property("licence_sha256", kept.sha256)] if kept and kept.sha256 else []
    return [_property("licence_text", told(kept)), *digest]


def _licence(licence: str) -> dict[str, Any]:
    """Return a licence as CycloneDX has it: an SPDX expression, or the name of what is none.

    >>> _licence("MIT"), _licence("unknown")
    ({'expression': 'MIT'}, {'license': {'name': 'unknown'}})
    """
    if licence != "unknown" and _EXPRESSION.fullmatch(licence):
        return {"expression": licence}
    return {"license": {"name": licence}}


def _file(name: str, sha256: str, size_bytes: int | None) -> dict[str, Any]:
    size = [] if size_bytes is None else [_property("size_bytes", str(size_bytes))]
    return {
        "type": "file",
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        **({"properties": size} if size else {}),
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": _PROPERTY + name, "value": str(value)}
