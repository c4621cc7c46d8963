"""A run folder is read once and whole; what cannot be shown says why and hurts nobody else."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import reports_fixture as fixture

from poc.records import ClipStatus, Comparison
from poc.store import RunStore
from reports.load import Problem, RunNotShownError, RunView, list_runs, load_run, worst_first
from reports.text import load_text
from reports.tidy import clips_table, estimates_table, measured_metrics, points_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", fixture.plan(count=8))


@pytest.fixture(scope="module")
def view(run: Path) -> RunView:
    return load_run(run)


def test_every_planned_clip_is_there_with_its_end(view: RunView) -> None:
    ended = [clip.status for clip in view.clips]

    assert len(ended) == 12 * 8
    assert ended.count(ClipStatus.FAILED) == 2
    assert ended.count(ClipStatus.INVALID) == 2


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_reading_leaves_the_collector_as_it_was(
    run: Path, tmp_path: Path, whole: bool, collects: bool
) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with nullcontext() if whole else pytest.raises(RunNotShownError):
            load_run(run if whole else tmp_path / "none")
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_metrics_that_were_taken_are_named_once_each(view: RunView) -> None:
    """As the fixture writes them, clip after clip."""
    assert view.clip_metrics == ("clip_score", "oracle_all")
    assert [name for name, *_ in view.taken] == ["clip_score", "oracle_all"]


def test_a_clip_without_frames_has_no_strip_and_the_others_have_one(view: RunView) -> None:
    for clip in view.clips:
        assert (clip.strip is None) == (clip.status is ClipStatus.FAILED)


def test_estimates_are_passed_on_as_they_are_stored(view: RunView, run: Path) -> None:
    stored = json.loads((run / "estimates.json").read_text("utf-8"))
    table = estimates_table(view)

    assert len(table) == sum(len(arm["estimates"]) for arm in stored["arms"])
    first = stored["arms"][0]["estimates"][0]
    found = view.estimate(first["arm_id"], first["metric"], Comparison(first["comparison"]))
    assert found is not None
    assert (found.value, found.low, found.high) == (first["value"], first["low"], first["high"])


def test_a_missing_estimate_stays_missing_in_the_tables(view: RunView) -> None:
    neon = next(arm for arm in view.plan.arms if arm.style == "neon")

    assert "animatelcm-neon-4" not in set(_names(view, "kvd"))
    assert view.estimate(neon.id, "kvd", Comparison.VALUE) is not None
    table = estimates_table(view)
    gaps = table[(table["metric"] == "kvd") & table["value"].isna()]
    assert list(gaps["reason"]) == ["fewer than 2 clips, or no reference set, have features"]


def _names(view: RunView, metric: str) -> list[str]:
    shown = points_table(view, load_text("en"), metric)["arm"]
    return [str(name) for name in shown]


def test_points_hold_every_arm_that_has_a_value(view: RunView) -> None:
    assert len(_names(view, "oracle_all")) == 12
    assert len(_names(view, "kvd")) == 11
    assert _names(view, "no such metric") == []


def test_measured_metrics_have_a_value_in_some_arm(view: RunView) -> None:
    assert "oracle_all" in measured_metrics(view)
    assert "oracle_style" in measured_metrics(view)


def test_the_clips_table_has_a_row_for_each_planned_clip(view: RunView) -> None:
    table = clips_table(view)

    assert len(table) == len(view.clips)
    assert set(table.loc[table["status"] == "failed", "reason"]) == {"MemoryError: out of memory"}


def test_lost_clips_come_before_the_worst_and_the_best_comes_last(view: RunView) -> None:
    arm = next(arm for arm in view.plan.arms if arm.name == "animatelcm-4")
    order = worst_first(view, arm.id, "clip_score", lower_is_better=False)
    values = {m.clip_id: m.value for m in view.measurements if m.metric == "clip_score"}
    clips = {c.prompt_id: values[c.clip_id] for c in view.clips if c.arm_id == arm.id}

    assert clips[order[0]] is None
    scores = [score for prompt in order[1:] if (score := clips[prompt]) is not None]
    assert scores == sorted(scores)
    assert sorted(order) == sorted(clips)


def test_lower_is_better_turns_the_order_but_not_the_lost_clips(view: RunView) -> None:
    arm = next(arm for arm in view.plan.arms if arm.name == "animatelcm-4")
    up = worst_first(view, arm.id, "clip_score", lower_is_better=False)
    down = worst_first(view, arm.id, "clip_score", lower_is_better=True)

    assert down[0] == up[0]
    assert down[1:] == up[:0:-1]


def test_a_demonstration_is_known_by_spec_or_decision(view: RunView, tmp_path: Path) -> None:
    real = fixture.write_run(tmp_path / "real", fixture.plan("procurement", count=1))

    assert view.demonstration
    assert not load_run(real).demonstration


def test_a_run_without_a_decision_says_what_to_type(tmp_path: Path) -> None:
    half = fixture.write_run(tmp_path / "half", fixture.plan(count=1), decided=False)

    with pytest.raises(RunNotShownError, match="poc decide") as caught:
        load_run(half)
    assert caught.value.problem is Problem.NOT_DECIDED


@pytest.mark.parametrize("name", ["manifest.json", "plan.json", "estimates.json", "decision.json"])
def test_a_damaged_file_names_itself(tmp_path: Path, name: str) -> None:
    run = fixture.write_run(tmp_path / "run", fixture.plan(count=1))
    (run / name).write_text('{"format_version": 1, "arms":', "utf-8")

    with pytest.raises(RunNotShownError, match=name) as caught:
        load_run(run)
    assert caught.value.problem is Problem.DAMAGED


def test_estimates_of_another_plan_are_refused(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run", fixture.plan(count=1))
    other = fixture.estimates(fixture.plan(count=2))
    with RunStore.open_writer(run) as store:
        store.write_derived("estimates.json", other.to_json())

    with pytest.raises(RunNotShownError, match="another plan"):
        load_run(run)


def unknown_choice(_: dict[str, Any], decision: dict[str, Any]) -> None:
    decision["recommended_arm_id"] = "0" * 16


def unknown_decided(_: dict[str, Any], decision: dict[str, Any]) -> None:
    decision["arms"][0]["arm_id"] = "0" * 16


def no_day(_: dict[str, Any], decision: dict[str, Any]) -> None:
    decision["valid_until"] = "soon"


def unknown_contrast(estimates: dict[str, Any], _: dict[str, Any]) -> None:
    estimates["contrasts"] = [
        {"arm_id": "0" * 16, "against_id": estimates["baseline_id"], "question": "Which is it?",
         "question_ja": "どちらか。", "results": []}
    ]  # fmt: skip


def other_baseline(estimates: dict[str, Any], _: dict[str, Any]) -> None:
    estimates["baseline_id"] = estimates["arms"][-1]["arm"]["id"]


def no_baseline(estimates: dict[str, Any], _: dict[str, Any]) -> None:
    baseline = estimates["baseline_id"]
    estimates["arms"] = [one for one in estimates["arms"] if one["arm"]["id"] != baseline]


@pytest.mark.parametrize(
    ("forge", "name"),
    [
        (unknown_choice, "decision.json"),
        (unknown_decided, "decision.json"),
        (no_day, "decision.json"),
        (unknown_contrast, "estimates.json"),
        (other_baseline, "estimates.json"),
        (no_baseline, "estimates.json"),
    ],
)
def test_derived_files_that_speak_of_what_is_not_there_are_damaged(
    tmp_path: Path, forge: Callable[[dict[str, Any], dict[str, Any]], None], name: str
) -> None:
    run = fixture.write_run(tmp_path / "run", fixture.plan(count=1))
    files = [run / "estimates.json", run / "decision.json"]
    found = [json.loads(file.read_text("utf-8")) for file in files]
    forge(found[0], found[1])
    for file, content in zip(files, found, strict=True):
        file.write_text(json.dumps(content), "utf-8")

    with pytest.raises(RunNotShownError, match=f"{name}: ") as caught:
        load_run(run)
    assert caught.value.problem is Problem.DAMAGED


def test_a_decision_on_other_estimates_is_noticed(tmp_path: Path) -> None:
    made = fixture.plan(count=1)
    run = fixture.write_run(tmp_path / "run", made)
    changed = fixture.estimates(made).model_copy(update={"resamples": 1})
    with RunStore.open_writer(run) as store:
        store.write_derived("estimates.json", changed.to_json())

    assert load_run(run).stale


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run", fixture.plan(count=1))
    manifest = json.loads((run / "manifest.json").read_text("utf-8")) | {"format_version": 99}
    (run / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    with pytest.raises(RunNotShownError, match="newer"):
        load_run(run)


def test_runs_are_listed_by_name_and_a_run_lists_itself(run: Path, tmp_path: Path) -> None:
    assert list_runs(run.parent) == (run,)
    assert list_runs(run) == (run,)
    assert list_runs(tmp_path) == ()
    assert list_runs(tmp_path / "nowhere") == ()
