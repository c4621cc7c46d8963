"""The benchmark's run is a whole one: its writers are the store's, its decision `poc decide`'s."""

from __future__ import annotations

from pathlib import Path

from large_run import METRICS, write_large_run

from metrics.catalog import CATALOG, Scope
from poc.records import ClipStatus
from reports.load import load_run


def test_its_metrics_are_twenty_of_clips() -> None:
    assert len(set(METRICS)) == 20
    assert all(CATALOG[name].scope is Scope.CLIP for name in METRICS)


def test_every_clip_of_it_is_made_and_has_every_metric(tmp_path: Path) -> None:
    view = load_run(write_large_run(tmp_path / "large", clips=240))

    assert len(view.clips) == 240
    assert {clip.status for clip in view.clips} == {ClipStatus.OK}
    assert len(view.measurements) == 240 * len(METRICS)
    assert len(view.latency) == 15 * 31  # the cold call and 30 timed ones of every arm
    assert view.findings == ()
    assert view.estimates.complete
