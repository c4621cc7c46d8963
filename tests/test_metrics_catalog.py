"""The table is complete, readable without heavy libraries, and its targets exist."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from metrics import CATALOG, Direction, Scope, describe, load
from metrics.base import SetBasis
from metrics.catalog import ARGUMENTS
from metrics.kvd import FEWEST
from metrics.latency import PERCENTS, minimum_n
from poc.tiny import world

HEAVY = ("torch", "scipy", "cv2", "open_clip", "PIL", "av", "numpy")
SUPPLIED = {
    "corner_lift",
    "motion_extent_px",
    "oracle_all",
    "oracle_background",
    "oracle_colour",
    "oracle_motion",
    "oracle_shape",
    "oracle_style",
    "oracle_texture",
    "peak_memory_bytes",
}


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    code = f"import sys, metrics.catalog; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_names_are_the_keys_and_no_label_is_used_twice() -> None:
    assert [row.name for row in CATALOG.values()] == list(CATALOG)
    for labels in ([r.label_en for r in CATALOG.values()], [r.label_ja for r in CATALOG.values()]):
        assert len(set(labels)) == len(CATALOG)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_row_says_what_it_measures_in_which_unit_and_whose_idea_it_was(name: str) -> None:
    row = describe(name)

    assert row.unit
    assert len(row.what) > 30
    assert len(row.not_seen) > 10
    assert row.source
    assert row.version >= 1
    assert not {"\n", "|"} & set(row.what + row.not_seen + row.source + row.unit)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_what_a_metric_takes_is_in_the_table_of_arguments(name: str) -> None:
    assert set(describe(name).takes) <= set(ARGUMENTS)


@pytest.mark.parametrize("percent", PERCENTS)
def test_a_percentile_takes_as_many_clips_as_its_bounds_do(percent: int) -> None:
    row = describe(f"latency_p{percent}_s")

    assert row.minimum_n == minimum_n(percent, sides=1)
    assert row.interval_n == minimum_n(percent, sides=2)


@pytest.mark.parametrize("name", ["fvd", "kvd"])
def test_a_distance_takes_as_many_clips_as_its_row_says(name: str) -> None:
    rng, fewest = np.random.default_rng(0), describe(name).minimum_n

    def distance(n: int) -> float:
        basis = SetBasis(
            n=n,
            reference_n=9,
            dimension=2,
            reference="r",
            protocol="p",
            extractor="e",
            extractor_digest="d",
        )
        more: dict[str, Any] = {"draws": 2, "seed": 0}
        if name == "kvd":
            more = {"clusters": np.arange(n), "level": 0.95}
        features = rng.normal(size=(n, 2)), rng.normal(size=(9, 2))
        return float(load(name)(*features, basis=basis, **more).value)

    assert np.isfinite(distance(fewest))
    with pytest.raises(ValueError, match=f"n >= {fewest}"):
        distance(fewest - 1)


def test_the_interval_of_kvd_takes_as_many_prompts_as_its_row_says() -> None:
    assert describe("kvd").interval_n == FEWEST
    assert describe("fvd").interval_n is None


def test_the_oracle_takes_whole_clips_of_its_world() -> None:
    fewest = {CATALOG[name].minimum_n for name in SUPPLIED - {"peak_memory_bytes"}}

    assert fewest == {world.FRAMES}


def test_only_what_the_harness_supplies_has_no_target() -> None:
    assert {name for name, row in CATALOG.items() if row.target is None} == SUPPLIED


@pytest.mark.parametrize("name", sorted(set(CATALOG) - SUPPLIED))
def test_every_target_exists_and_takes_what_its_row_says(name: str) -> None:
    parameters = inspect.signature(load(name)).parameters
    given = [one for one in parameters.values() if one.kind is not one.KEYWORD_ONLY]
    needed = {one.name for one in given if one.default is one.empty}
    takes = describe(name).takes

    assert takes == tuple(one.name for one in given)[: len(takes)]
    assert needed <= set(takes)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(KeyError, match="Did you mean 'flicker'"):
        describe("flickr")


def test_a_number_that_the_harness_supplies_cannot_be_loaded() -> None:
    with pytest.raises(LookupError, match="harness supplies it"):
        load("oracle_all")


def test_motion_is_two_sided_and_set_metrics_belong_to_arms() -> None:
    assert describe("motion").direction is Direction.TARGET
    assert {name for name, row in CATALOG.items() if row.scope is Scope.ARM} == {
        "fvd",
        "kvd",
        "latency_p50_s",
        "latency_p90_s",
        "latency_p95_s",
        "latency_p99_s",
        "overlay_rate",
        "peak_memory_bytes",
        "seed_diversity",
    }


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOG["flicker"] = describe("fvd")  # type: ignore[index]
