"""The player is handed each clip as it is: its film, or why there is none; worst first."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import reports_fixture as fixture

from metrics.catalog import Direction
from poc.records import ClipStatus
from poc.store import RunStore
from reports import text as words
from reports.load import RunView, load_run
from reports.player import (
    SHOWN_ARMS,
    clip_value,
    first_arms,
    order_metrics,
    ordered_prompts,
    player_data,
)
from reports.text import load_text

EN = load_text("en")
FILM = b"\x1a\x45\xdf\xa3 a film"


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    run = fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", fixture.plan(count=8))
    with RunStore.open_writer(run) as store:
        store.write_view(store.plan.batches[0].clips[0].id, FILM, ".webm")
    return load_run(run)


def tiles(view: RunView, index: int) -> dict[str, dict[str, object]]:
    found = player_data(view, EN, view.plan.prompts[index].id, view.plan.arms)["tiles"]
    return {arm.name: tile for arm, tile in zip(view.plan.arms, found, strict=True)}


def test_a_kept_film_is_handed_on_byte_for_byte_and_a_missing_one_is_none(view: RunView) -> None:
    found = tiles(view, 0)
    film = found["teacher-25"]["film"]

    assert isinstance(film, dict)
    assert film["type"] == "video/webm"
    assert base64.b64decode(film["base64"]) == FILM
    assert found["animatelcm-4"]["film"] is None


def test_a_film_that_is_gone_since_the_run_was_read_hurts_no_other(view: RunView) -> None:
    clip = view.clips[0]
    assert clip.film is not None
    moved = clip.film.rename(clip.film.with_suffix(".gone"))
    try:
        assert tiles(view, 0)["teacher-25"]["film"] is None
        assert len(tiles(view, 0)) == len(view.plan.arms)
    finally:
        moved.rename(clip.film)


def test_lost_clips_carry_their_word_and_reason_and_good_ones_neither(view: RunView) -> None:
    failed, good = tiles(view, 3)["naive-lcm-lora-4"], tiles(view, 3)["teacher-25"]
    invalid = tiles(view, 5)["animatelcm-4"]

    assert (failed["word"], failed["reason"]) == ("FAILED", "MemoryError: out of memory")
    assert (invalid["word"], invalid["reason"]) == ("INVALID", "black: mean luminance 0.4")
    assert (good["word"], good["reason"]) == ("", "")


def test_prompts_stand_from_the_lost_and_lowest_to_the_highest_value(view: RunView) -> None:
    arm = next(one for one in view.plan.arms if one.name == "animatelcm-4")
    order = ordered_prompts(view, arm.id, "clip_score")
    clips = {c.prompt_id: c for c in view.clips if c.arm_id == arm.id}
    raw = {m.clip_id: m.value for m in view.measurements if m.metric == "clip_score"}
    values = [raw[clips[prompt].clip_id] for prompt in order]

    assert clips[order[0]].status is ClipStatus.INVALID
    assert values[0] is None
    kept = [value for value in values[1:] if value is not None]
    assert kept == sorted(kept)
    assert len(kept) == 7


def test_only_metrics_with_a_better_side_order_clips(view: RunView) -> None:
    found = order_metrics(view)

    assert set(found) == {"clip_score", "oracle_all"}
    assert all(words.direction(metric) is not Direction.NONE for metric in found)
    assert list(ordered_prompts(view, view.baseline.id, None)) == [p.id for p in view.plan.prompts]


def test_what_is_met_or_not_is_yes_or_no_and_a_score_stays_a_number(view: RunView) -> None:
    raw = {(m.clip_id, m.metric): m.value for m in view.measurements if m.value is not None}
    clip = next(c for c in view.clips if raw.get((c.clip_id, "oracle_all")) == 1.0)

    assert clip_value(view, EN, clip, "oracle_all") == "yes"
    shown = float(clip_value(view, EN, clip, "clip_score"))
    assert shown == pytest.approx(raw[clip.clip_id, "clip_score"], abs=0.05)


def test_baseline_and_the_arm_in_focus_are_shown_first_and_the_plan_orders_them(
    view: RunView,
) -> None:
    names = [arm.name for arm in first_arms(view)]

    assert len(names) == SHOWN_ARMS
    assert {"teacher-25", "animatelcm-4"} <= set(names)
    assert names == [arm.name for arm in view.plan.arms if arm.name in names]


def test_hostile_text_reaches_the_player_as_text_without_direction_marks(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "demo", fixture.plan(count=4, hostile=True))
    seen = load_run(run)
    data = json.dumps(player_data(seen, EN, seen.plan.prompts[2].id, seen.plan.arms))

    assert "\\u202e" not in data
