"""The limits of the gate: every number has a reason, every fault its line, nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.catalog import CATALOG, Direction, Scope
from poc.errors import InputError
from poc.gate_limits import DEFAULT_LIMITS, accepted_changes, limit_of, read_limits
from poc.gate_records import MetricLimit
from poc.models import read_models
from poc.spec import read_spec

TEXT = DEFAULT_LIMITS.read_text(encoding="utf-8")
DEFAULT = read_limits(DEFAULT_LIMITS)


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """Write the shipped limits with one change; returns the path."""
    assert old in TEXT
    path = folder / "limits.yaml"
    path.write_text(TEXT.replace(old, new, 1) if old else TEXT, encoding="utf-8")
    return path


def line_of(part: str) -> int:
    return TEXT[: TEXT.index(part)].count("\n") + 1


def test_a_copy_of_the_shipped_limits_has_their_digest(tmp_path: Path) -> None:
    assert read_limits(written(tmp_path)).content_digest() == DEFAULT.content_digest()


def test_another_number_is_another_digest(tmp_path: Path) -> None:
    limits = read_limits(written(tmp_path, "margin: 0.03", "margin: 0.04"))

    assert limits.content_digest() != DEFAULT.content_digest()


def test_every_metric_with_a_worse_side_is_limited_or_named_as_not_judged() -> None:
    left_out = {one.metric for one in DEFAULT.not_judged}
    judged = {
        name
        for name, row in CATALOG.items()
        if row.direction is not Direction.NONE and not name.startswith(("latency_", "peak_"))
    } - {"validity"}

    assert {name for name in judged - left_out if limit_of(DEFAULT, name) is None} == set()


def test_a_metric_of_a_style_has_the_limit_of_its_kind() -> None:
    assert limit_of(DEFAULT, "style_similarity[pastel]") == limit_of(DEFAULT, "style_similarity")
    assert limit_of(DEFAULT, "style_similarities") is None


@pytest.mark.parametrize(
    ("metric", "scale", "bound", "lowest", "highest"),
    [
        ("clip_score", "ratio", {"margin": 0.03}, 0.97, None),
        ("flicker", "difference", {"margin": 0.005}, -0.005, None),
        ("luminance_jump", "difference", {"margin": 5.0}, None, 5.0),
        ("kvd", "ratio", {"margin": 0.5}, None, 1.5),
        ("motion", "ratio", {"window": 1.25}, 0.8, 1.25),
        ("dynamic_degree", "difference", {"window": 0.15}, -0.15, 0.15),
    ],
)
def test_a_limit_lies_on_the_worse_side_of_the_catalogue(
    metric: str, scale: str, bound: dict[str, float], lowest: float | None, highest: float | None
) -> None:
    limit = MetricLimit.model_validate(
        {"metric": metric, "scale": scale, "reason": "a reason long enough", **bound}
    )

    assert accepted_changes(limit) == (
        None if lowest is None else pytest.approx(lowest),
        None if highest is None else pytest.approx(highest),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("metric: clip_score", "metric: clip_scores", "unknown metric 'clip_scores'"),
        ("metric: clip_score", "metric: valid_share", "unknown metric 'valid_share'"),
        ("metric: clip_frame_consistency", "metric: clip_score", "is given twice"),
        ("window: 1.25", "margin: 0.25", "metric 'motion': expected 'window'"),
        ("margin: 0.03", "window: 1.03", "metric 'clip_score': expected 'margin'"),
        ("margin: 0.03", "margins: 0.03", "unknown key 'margins'"),
        ("margin: 0.03", "margin: -0.03", "'quality[0].margin'"),
        ("margin: 0.03", "margin: .nan", "expected a finite number"),
        ("margin: 0.03", "margin: 0.03\n    window: 1.1", "one of both"),
        ("relative: 0.10", "relative: 0", "'speed[0].relative'"),
        ("metric: latency_p50_s", "metric: latency_p50", "unknown stage 'latency_p50'"),
    ],
)
def test_a_fault_is_one_error_with_the_file_and_what_is_wrong(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(InputError, match=r"limits\.yaml:\d+: ") as error:
        read_limits(written(tmp_path, old, new))

    assert said in str(error.value)


def test_a_share_of_clips_cannot_be_limited_as_a_ratio(tmp_path: Path) -> None:
    part = "metric: oracle_shape\n    scale: difference"
    path = written(tmp_path, part, part.replace("difference", "ratio"))

    with pytest.raises(InputError, match=rf"limits\.yaml:{line_of(part) + 1}: .*share of clips"):
        read_limits(path)


def test_a_number_without_its_reason_is_refused(tmp_path: Path) -> None:
    part = "    reason: >-\n      As for motion: a quarter more or less is hard to tell by eye.\n"

    with pytest.raises(InputError, match="reason"):
        read_limits(written(tmp_path, part, ""))


def test_every_metric_that_is_limited_is_one_of_the_catalogue() -> None:
    assert {one.metric for one in DEFAULT.quality} <= set(CATALOG)
    sets = {one.metric for one in DEFAULT.quality if CATALOG[one.metric].scope is Scope.ARM}
    assert sets == {"kvd"}


def test_the_timed_sweep_of_the_gate_asks_what_the_untimed_one_asks() -> None:
    folder = DEFAULT_LIMITS.parent.parent
    own = {"name", "question", "question_ja", "latency"}
    timed, untimed = (
        read_spec(folder / f"{name}.yaml", read_models()) for name in ("gate-timed", "gate")
    )

    assert timed.model_dump(exclude=own) == untimed.model_dump(exclude=own)
    assert (untimed.latency, timed.latency and timed.latency.repeats) == (None, 36)
