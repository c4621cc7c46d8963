"""A pool of clips as one small file, so that any clone can draw from clips that were measured once.

`make audit-pool RUNS=FOLDER` writes the file of a finished run. It holds each clip's values, in
single precision, and what they were made with; the plan is made anew from the spec that ships, and
must be the one that the clips were made by.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from audit_gate import spec_plan
from audit_pool import Pool

from poc.disk import publish
from poc.records import Counts
from poc.store import RunStore

FOLDER: Final = Path(__file__).parent.parent / "reports" / "baselines" / "audit" / "pools"
ABOUT: Final = "about"
FORMAT: Final = 1


class PoolFileError(ValueError):
    """A pool file that cannot be drawn from; the message says why and what to do."""


def kept(folder: Path = FOLDER) -> tuple[Path, ...]:
    """Return the pool files that are there, in the order of their names."""
    return tuple(sorted(folder.glob("*.npz")))


def write(run: Path, folder: Path = FOLDER) -> Path:
    """Write the pool file of a finished run and return its path.

    Raises:
        PoolFileError: the spec that ships under the run's name makes another plan, or clips of an
            unstyled arm are missing.
    """
    store = RunStore.open_reader(run)
    name = store.plan.spec.name
    _require(name, store.plan.content_digest())
    pool = Pool.of(store, name)
    if unmade := [arm.name for arm in pool.plan.arms if not _whole(store.counts(arm.id))]:
        raise PoolFileError(f"{run}: clips of {', '.join(unmade)} are not all made; go on with it")
    about = {
        "format_version": FORMAT,
        "spec": name,
        "plan_digest": store.plan.content_digest(),
        "arms": [arm.id for arm in pool.plan.arms],
        "made_with": [one.model_dump(mode="json") for one in store.fingerprints()],
    }
    arrays: dict[str, Any] = {m: values.astype(np.float32) for m, values in pool.values.items()}
    arrays[ABOUT] = np.array(json.dumps(about, sort_keys=True))
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    publish(path, packed.getvalue())
    return path


def read(path: Path) -> Pool:
    """Read a pool file.

    Raises:
        PoolFileError: the file is of another format, or its clips are of another plan than its
            spec makes now.
    """
    with np.load(path, allow_pickle=False) as packed:
        arrays = {name: packed[name] for name in packed.files}
    about = _about(path, arrays.pop(ABOUT, None))
    name = about["spec"]
    _require(name, about["plan_digest"])
    values = {metric: array.astype(np.float64) for metric, array in arrays.items()}
    return Pool.laid(name, spec_plan(name), values)


def _whole(counts: Counts) -> bool:
    return counts.ok == counts.planned


def _about(path: Path, packed: Any) -> Mapping[str, Any]:
    about: Mapping[str, Any] = {} if packed is None else json.loads(str(packed))
    if about.get("format_version") != FORMAT:
        raise PoolFileError(
            f"{path}: format {about.get('format_version')}, expected {FORMAT}; "
            "write it anew: make audit-pool RUNS=FOLDER"
        )
    return about


def _require(name: str, digest: str) -> None:
    now = spec_plan(name).content_digest()
    if digest != now:
        raise PoolFileError(
            f"clips of {name}: made by plan {digest[:12]}, but poc/specs/{name}.yaml now makes "
            f"{now[:12]}; run the spec and write the file anew"
        )
