"""A pool of clips as one small file, so that any clone can draw from clips that were measured once.

`make audit-pool RUNS=FOLDER` writes the file of a finished run. It holds each clip's values, in
single precision, and what they were made with; the plan is made anew from the spec that ships, and
must ask for the very clips that these are. Its criteria and rounds of timing may change.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from audit_gate import spec_plan
from audit_pool import Pool

from metrics.catalog import CATALOG, Scope
from poc.disk import publish
from poc.errors import InputError
from poc.records import Counts, Plan, digest
from poc.spec import split_metric
from poc.store import RunStore

FOLDER: Final = Path(__file__).parent.parent / "reports" / "baselines" / "audit" / "pools"
ABOUT: Final = "about"
FORMAT: Final = 1
REMEDY: Final = "write the file anew: make audit-pool RUNS=FOLDER"


class PoolFileError(ValueError):
    """A pool file that cannot be drawn from; the message says why and what to do."""


def kept(folder: Path = FOLDER) -> tuple[Path, ...]:
    """Return the pool files that are there, in the order of their names."""
    return tuple(sorted(folder.glob("*.npz")))


def write(run: Path, folder: Path = FOLDER) -> Path:
    """Write the pool file of a finished run and return its path.

    Raises:
        PoolFileError: the spec that ships under the run's name asks for other clips, or a clip or
            a value of an unstyled arm is missing.
    """
    store = RunStore.open_reader(run)
    name = store.plan.spec.name
    plan = _shipped(name, clips_digest(store.plan))
    pool, asked = Pool.of(store, name), _asked(plan)
    if unmade := [arm.name for arm in pool.plan.arms if not _is_whole(store.counts(arm.id))]:
        raise PoolFileError(f"{run}: clips of {', '.join(unmade)} are not all made; go on with it")
    if absent := sorted(asked - pool.values.keys()):
        raise PoolFileError(f"{run}: a clip has no {' and no '.join(absent)}; go on with the run")
    arrays: dict[str, Any] = {m: pool.values[m].astype(np.float32) for m in sorted(asked)}
    _require_whole(run, Pool(name, pool.plan, arrays), asked)
    about = {
        "format_version": FORMAT,
        "spec": name,
        "clips_digest": clips_digest(plan),
        "made_with": [one.model_dump(mode="json") for one in store.fingerprints()],
    }
    arrays[ABOUT] = np.array(json.dumps(about, sort_keys=True))
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    publish(path, packed.getvalue())
    return path


def _is_whole(counts: Counts) -> bool:
    return counts.ok == counts.planned


def _asked(plan: Plan) -> set[str]:
    """Return the metrics that every clip has a value of."""
    return {m for m in plan.spec.metrics if CATALOG[split_metric(m).name].scope is Scope.CLIP}


def read(path: Path) -> Pool:
    """Read a pool file.

    Raises:
        PoolFileError: the file is damaged or of another format, or its clips are others than its
            spec asks for now.
    """
    try:
        with np.load(path, allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
        about = json.loads(str(arrays.pop(ABOUT)))
        found = about["format_version"], about["spec"], about["clips_digest"]
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        BadZipFile,
    ) as error:
        raise PoolFileError(f"{path}: no pool file; {REMEDY}") from error
    if found[:2] != (FORMAT, path.stem):
        raise PoolFileError(
            f"{path}: format {found[0]} of {found[1]}, expected {FORMAT} of {path.stem}; {REMEDY}"
        )
    plan = _shipped(path.stem, found[2])
    pool = Pool.laid(path.stem, plan, arrays)
    _require_whole(path, pool, _asked(plan))
    values = {metric: array.astype(np.float64) for metric, array in pool.values.items()}
    return Pool(pool.name, pool.plan, values)


def _require_whole(path: Path, pool: Pool, asked: set[str]) -> None:
    """Refuse a pool that lacks a value of any metric, or holds one that is none."""
    shape = (len(pool.plan.arms), len(pool.plan.prompts), pool.plan.spec.replicates)
    fit = all(
        array.dtype == np.float32 and array.shape == shape and np.isfinite(array).all()
        for array in pool.values.values()
    )
    if not fit or pool.values.keys() != asked:
        raise PoolFileError(
            f"{path}: expected {shape} finite numbers of each of "
            f"{', '.join(sorted(asked))}; {REMEDY}"
        )


def _shipped(name: str, clips: str) -> Plan:
    """Return the plan that a spec makes now, if it asks for the clips of this digest."""
    try:
        plan = spec_plan(name)
    except InputError as error:
        raise PoolFileError(
            f"{name}: kept clips of poc/specs/{name}.yaml, which makes no plan now: {error} Remove "
            f"the file of the clips, or {REMEDY}"
        ) from error
    if clips != clips_digest(plan):
        raise PoolFileError(
            f"{name}: clips {clips[:12]}, but poc/specs/{name}.yaml now asks for "
            f"{clips_digest(plan)[:12]}; run the spec anew, then {REMEDY}"
        )
    return plan


def clips_digest(plan: Plan) -> str:
    """Return the digest of what a plan says of its clips and of the judge that its spec names.

    That code which makes or measures clips has changed, it does not tell.
    """
    decides = {"arms", "baseline_id", "prompts", "batches", "image_text_digest"}
    return digest(plan.model_dump(mode="json", include=decides))
