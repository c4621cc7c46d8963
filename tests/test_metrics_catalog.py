"""The table is complete, readable without heavy libraries, and its targets exist."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from metrics import CATALOG, Direction, Scope, describe, load

HEAVY = ("torch", "scipy", "cv2", "open_clip", "PIL", "av", "numpy")
SUPPLIED = {
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
    assert len(row.what) > 40
    assert row.source
    assert row.version >= 1
    assert "\n" not in row.what


def test_only_what_the_harness_supplies_has_no_target() -> None:
    assert {name for name, row in CATALOG.items() if row.target is None} == SUPPLIED


@pytest.mark.parametrize("name", sorted(set(CATALOG) - SUPPLIED))
def test_every_target_exists_and_takes_what_its_row_says(name: str) -> None:
    parameters = inspect.signature(load(name)).parameters
    needed = {
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
    }

    assert needed == set(describe(name).takes)


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
        "peak_memory_bytes",
    }


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOG["flicker"] = describe("fvd")  # type: ignore[index]
