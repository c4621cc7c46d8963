"""Laws of FVD and KVD of real clips in a run: by the judge and against the folder that it names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from PIL import Image
from planning_fixture import CRITERIA, changed, line_of, pinned_models, plan_of, write_spec
from planning_fixture import SPEC as SMALL_SPEC
from safetensors.torch import save_file
from test_poc_image_text_judge import REAL, write_table
from video_judge_fixture import (
    REFERENCE,
    real_clip,
    video_entry,
    write_judged,
    write_real,
    write_videomae,
)

from metrics import frames
from metrics.extractors.base import Preparation, file_digest
from metrics.extractors.i3d import I3d, load_i3d
from metrics.extractors.videomae import load_videomae
from metrics.frechet import frechet_distance, polynomial_mmd
from metrics.kvd import kvd_interval
from poc import cli, run
from poc.check import judge as gate
from poc.clip_video import GivenVideo
from poc.errors import InputError
from poc.fetch import wanted
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.gate_records import GateStatus
from poc.generate import Machine
from poc.governance_records import PartKind
from poc.licences import read_licences
from poc.measure import load_video, reference_tasks, video_key
from poc.measure_folder import FolderJob, measure_folder
from poc.models import ModelTable, read_models
from poc.preflight import Surroundings, licence_rows, preflight
from poc.records import (
    Comparison,
    ComparisonProtocol,
    Decision,
    DeliveredTake,
    Delivery,
    Estimate,
    Estimates,
    Plan,
    VideoJudge,
    digest,
)
from poc.reference_clips import check_references, read_references, reference_frames
from poc.rights_file import Words
from poc.rights_parts import subject_of
from poc.spec import read_spec
from poc.store import RunStore
from poc.video import encode_webm
from poc.video_judge import video_judge_of

MAE: Final = "mae"
THIN: Final = "thin"
"""A judge of two features, so that four clips span them."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two video judges beside the tiny world's."""
    home = tmp_path_factory.mktemp("judged")
    files = write_videomae(home / "weights" / MAE)
    thin = write_videomae(home / "weights" / THIN, seed=1, width=2)
    write_table(home, video_entry(MAE, {**files}), video_entry(THIN, {**thin}))
    return home


@pytest.fixture
def _table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))


def make(spec: Path, out: Path) -> int:
    command = ["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]
    return cli.main(command)


@pytest.fixture(scope="module")
def runs(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The same sweep against the same real clips, judged by two networks."""
    folder = tmp_path_factory.mktemp("runs")
    write_real(folder / "real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))
        out = {}
        for named in (MAE, THIN):
            place = folder / named
            place.mkdir()
            (place / "real").symlink_to(folder / "real")
            assert make(write_judged(place, f"video: {named}"), place / "run") == 0
            out[named] = place / "run"
        yield out


def estimates(path: Path) -> dict[tuple[str, str, Comparison], Estimate]:
    found = Estimates.from_json((path / "estimates.json").read_text("utf-8"))
    return {
        (arm.arm.name, one.metric, one.comparison): one
        for arm in found.arms
        for one in arm.estimates
    }


def features_by_hand(home: Path, name: str, path: Path) -> tuple[dict[str, Any], Any]:
    """Return the features of every arm and of the reference, by the extractor alone."""
    network = load_videomae(
        home / "weights" / name, preparation=Preparation.CLEAN, expected_sha256=None
    )
    store = RunStore.open_reader(path)
    arms = {arm.id: arm.name for arm in store.plan.arms}
    clips: dict[str, list[Any]] = {}
    for batch in store.plan.batches:
        for clip in batch.clips:
            clips.setdefault(arms[batch.arm_id], []).append(store.read_clip(clip.id))
    files = sorted((path.parent / "real").glob("*.webm"))
    reference = np.stack([frames.decode(file).frames for file in files])
    by_arm = {arm: network.features(np.stack(them)) for arm, them in clips.items()}
    return by_arm, network.features(reference)


# --- a run that is judged by it ------------------------------------------------------------------


@pytest.mark.parametrize("name", [MAE, THIN])
def test_fvd_and_kvd_are_those_of_the_network_named_against_the_clips_of_the_folder(
    home: Path, runs: dict[str, Path], name: str
) -> None:
    by_arm, reference = features_by_hand(home, name, runs[name])
    found = estimates(runs[name])

    assert len(by_arm) == 2
    for arm, x in by_arm.items():
        assert (len(x), len(reference)) == (4, 10)
        fvd, kvd = (found[arm, metric, Comparison.VALUE] for metric in ("fvd", "kvd"))
        assert fvd.value == pytest.approx(frechet_distance(x, reference), rel=1e-6)
        assert kvd.value == pytest.approx(polynomial_mmd(x, reference), rel=1e-6)


def test_the_interval_takes_prompts_and_reference_clips_for_the_draws(
    home: Path, runs: dict[str, Path]
) -> None:
    by_arm, reference = features_by_hand(home, MAE, runs[MAE])
    found = estimates(runs[MAE])

    for arm, x in by_arm.items():
        one = found[arm, "kvd", Comparison.VALUE]
        expected = kvd_interval(x, reference, clusters=np.arange(4), level=0.95).interval
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high), rel=1e-5)
        assert "reference clips, which are taken for independent" in one.method


def test_poc_measure_says_the_same_of_the_same_clips(
    home: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    """It wants as many clips of both: the eight of both arms, and the first eight real ones."""
    store = RunStore.open_reader(runs[MAE])
    asked = [clip.id for batch in store.plan.batches for clip in batch.clips]
    for clip in asked:
        (tmp_path / "clips" / clip).mkdir(parents=True)
        for number, frame in enumerate(store.read_clip(clip)):
            Image.fromarray(frame).save(tmp_path / "clips" / clip / f"{number:03d}.png")
    shutil.copytree(runs[MAE].parent / "real", tmp_path / "real")
    for name in ("08.webm", "09.webm"):
        (tmp_path / "real" / name).unlink()
    video = GivenVideo.read(home / "weights" / MAE, "clean", tmp_path / "lock.json")
    folder = tmp_path / "clips"
    job = FolderJob(folder=folder, reference=tmp_path / "real", video=video, png_fps=8)
    summary = measure_folder(job, progress=lambda *_: None).summary
    said = {one.metric: one.value for one in summary.metrics}

    judges = run.judges_on_record(store, read_models())
    kept = np.stack([store.read_features(clip)[video_key(judges)] for clip in asked])
    (task,) = reference_tasks(store.plan).values()
    reference = store.read_features(task.id)[video_key(judges)][:8]
    assert said["fvd"] == pytest.approx(frechet_distance(kept, reference), rel=1e-6)
    assert said["kvd"] == pytest.approx(polynomial_mmd(kept, reference), rel=1e-6)


def test_numbers_name_network_files_and_reference(home: Path, runs: dict[str, Path]) -> None:
    folder = home / "weights" / MAE
    pinned = digest({path.name: file_digest(path) for path in folder.iterdir()})
    plan = RunStore.open_reader(runs[MAE]).plan

    assert plan.video_judge is not None
    assert (plan.video_judge.digest, plan.video_judge.network) == (pinned, "videomae/mean/clean-1")
    assert plan.files_of(plan.spec.references[0]) == {
        path.name: file_digest(path) for path in (runs[MAE].parent / "real").iterdir()
    }
    for (_, metric, how), one in estimates(runs[MAE]).items():
        if metric in {"fvd", "kvd"} and how is Comparison.VALUE:
            assert "against 10 clips of real" in one.notes
            assert f"extractor mae videomae/mean/clean-1 @{pinned[:16]}" in one.notes


@pytest.mark.parametrize(("name", "deficient"), [(MAE, True), (THIN, False)])
def test_too_few_clips_for_the_features_mark_fvd(
    runs: dict[str, Path], name: str, deficient: bool
) -> None:
    """Four clips cannot span eight features, and can span two."""
    fvds = [one for (_, metric, _), one in estimates(runs[name]).items() if metric == "fvd"]

    assert len(fvds) == 2
    assert all(("rank-deficient" in one.notes) is deficient for one in fvds)


def test_a_criterion_on_kvd_of_real_clips_is_part_of_the_decision(runs: dict[str, Path]) -> None:
    found = Decision.from_json((runs[MAE] / "decision.json").read_text("utf-8"))
    judged = [one for arm in found.arms for one in arm.results]
    (asked,) = (one for one in judged if one.criterion == "like real clips")
    difference = estimates(runs[MAE])["animatelcm-2", "kvd", Comparison.DIFFERENCE]

    assert (asked.value, asked.low, asked.high) == (
        difference.value, difference.low, difference.high,
    )  # fmt: skip
    assert asked.value is not None


@pytest.mark.usefixtures("_table")
def test_decided_again_without_judge_and_reference_it_says_the_same(
    home: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, real = home / "weights" / MAE, runs[MAE].parent / "real"
    away, clips = folder.rename(folder.with_name("away")), real.readlink()
    real.unlink()
    try:
        assert cli.main(["verify", str(runs[MAE])]) == 0
    finally:
        away.rename(folder)
        real.symlink_to(clips)
    assert capsys.readouterr().out == "complete: yes\nverified: yes\n"


@pytest.mark.usefixtures("_table")
def test_a_run_that_lost_features_takes_them_anew_and_says_the_same(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    shutil.copytree(runs[MAE].parent, place, symlinks=True)
    before = (place / "run" / "estimates.json").read_bytes()
    lost = sorted((place / "run" / "features").iterdir())
    for path in lost:
        path.unlink()

    assert make(place / "spec.yaml", place / "run") == 0
    assert sorted((place / "run" / "features").iterdir()) == lost
    assert (place / "run" / "estimates.json").read_bytes() == before


# --- two judges, two references ------------------------------------------------------------------


def kvd_cell(head: Path, base: Path) -> Any:
    stores = RunStore.open_reader(head), RunStore.open_reader(base)
    cells = gate(stores[0], stores[1], "base", read_limits(DEFAULT_LIMITS)).cells
    return next(cell for cell in cells if cell.subject == "kvd")


@pytest.mark.parametrize("pair", [(MAE, THIN), (THIN, MAE)])
def test_runs_judged_by_two_networks_do_not_compare(
    runs: dict[str, Path], pair: tuple[str, str]
) -> None:
    head, base = (runs[one] for one in pair)
    cell = kvd_cell(head, base)

    assert cell.status is GateStatus.NOT_COMPARABLE
    assert "features of video_" in cell.reason
    assert kvd_cell(head, head).status is not GateStatus.NOT_COMPARABLE


def test_other_clips_another_rate_or_protocol_are_another_reference(
    runs: dict[str, Path],
) -> None:
    """By its id the KVDs of two runs are compared, or not (`SetBasis.reference`)."""
    plan = RunStore.open_reader(runs[MAE]).plan
    (clips,), (reference,) = plan.reference_clips, plan.spec.references

    def name(one: Plan) -> str:
        return next(iter(reference_tasks(one).values())).id

    def with_spec(**changes: Any) -> Plan:
        return plan.model_copy(update={"spec": plan.spec.model_copy(update=changes)})

    def with_reference(**changes: Any) -> Plan:
        return with_spec(references=(reference.model_copy(update=changes),))

    fewer = clips.model_copy(update={"files": dict(list(clips.files.items())[1:])})
    protocol = ComparisonProtocol(seconds=1, fps=8, short_side=64)
    others = [
        plan.model_copy(update={"reference_clips": (fewer,)}),
        with_reference(png_fps=8.0),
        with_spec(protocol=protocol),
    ]
    assert len({name(one) for one in (plan, *others)}) == 4
    assert name(with_reference(path="../elsewhere/real")) == name(plan)


# --- a reference that is changed, absent or unfit ------------------------------------------------


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("change", ["edited", "added", "removed"])
def test_a_run_does_not_go_on_with_another_reference(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    place, real = tmp_path / "place", runs[MAE].parent / "real"
    shutil.copytree(runs[MAE].parent, place)
    assert make(place / "spec.yaml", place / "run") == 0
    (place / "other").mkdir()
    write_real(place / "other" / "real", count=11)
    new = (place / "other" / "real" / "10.webm").read_bytes()
    if change == "removed":
        (place / "real" / "09.webm").unlink()
    else:
        (place / "real" / ("09.webm" if change == "edited" else "10.webm")).write_bytes(new)
    capsys.readouterr()

    assert make(place / "spec.yaml", place / "run") == 2
    assert "reference_clips" in capsys.readouterr().err
    assert len(list(real.iterdir())) == 10


def test_a_clip_that_changes_after_the_plan_is_found_when_it_is_read(tmp_path: Path) -> None:
    write_real(tmp_path / "real", count=9)
    spec_path = write_judged(tmp_path, None)
    plan = plan_with_reference(spec_path)
    check_references(plan, spec_path)
    (tmp_path / "real" / "03.webm").write_bytes((tmp_path / "real" / "04.webm").read_bytes())

    with pytest.raises(InputError, match=r"03\.webm: expected the file of digest"):
        check_references(plan, spec_path)
    (tmp_path / "real" / "03.webm").unlink()
    with pytest.raises(InputError, match=r"03\.webm: added or taken away"):
        check_references(plan, spec_path)


def test_fewer_than_eight_clips_are_no_reference(tmp_path: Path) -> None:
    write_real(tmp_path / "real", count=8)
    spec_path = write_judged(tmp_path, None)
    spec = plan_with_reference(spec_path).spec
    (tmp_path / "real" / "03.webm").unlink()

    with pytest.raises(InputError, match="at least 8 clips for reference 'real', found 7"):
        read_references(spec, spec_path)


def plan_with_reference(spec_path: Path) -> Plan:
    return run.read_plan(spec_path)[0]


def test_a_folder_that_is_not_there_is_planned_with_a_finding_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_judged(tmp_path, None)
    assert cli.main(["plan", str(spec)]) == 0
    assert "error reference-not-there (real)" in capsys.readouterr().out
    assert make(spec, tmp_path / "run") == 2
    assert "error reference-not-there (real)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

    write_real(tmp_path / "real", count=8)
    assert cli.main(["plan", str(spec)]) == 0
    assert "reference-not-there" not in capsys.readouterr().out


def _torn(folder: Path) -> None:
    whole = (folder / "03.webm").read_bytes()
    (folder / "03.webm").write_bytes(whole[: len(whole) // 2])


def _headed(folder: Path) -> None:
    """Leave the header of a clip alone."""
    (folder / "03.webm").write_bytes((folder / "03.webm").read_bytes()[:400])


def _copied(folder: Path) -> None:
    shutil.copy(folder / "02.webm", folder / "zz.webm")


def _wide(folder: Path) -> None:
    (folder / "03.webm").write_bytes(encode_webm(np.repeat(real_clip(3), 2, axis=2), 8))


def _large(folder: Path) -> None:
    twice = np.repeat(np.repeat(real_clip(3), 2, axis=1), 2, axis=2)
    (folder / "03.webm").write_bytes(encode_webm(twice, 8))


def _unrated(folder: Path) -> None:
    (folder / "pngs").mkdir()
    for number, frame in enumerate(real_clip(77)):
        Image.fromarray(frame).save(folder / "pngs" / f"{number:03d}.png")


def _short(folder: Path) -> None:
    (folder / "03.webm").write_bytes(encode_webm(real_clip(3)[:12], 8))


def _fast(folder: Path) -> None:
    (folder / "03.webm").write_bytes(encode_webm(real_clip(3), 12))


def _black(folder: Path) -> None:
    (folder / "03.webm").write_bytes(encode_webm(np.zeros_like(real_clip(3)), 8))


@pytest.mark.parametrize(
    ("spoil", "said", "when"),
    [
        (_torn, r"03\.webm: is truncated", "plan"),
        (_headed, r"03\.webm: expected frames of one size, got no frame", "run"),
        (_copied, r"zz\.webm: is the same clip as 02\.webm", "plan"),
        (_wide, r"03\.webm: has 128x64 pixels, .* give the spec a 'protocol'", "plan"),
        (_large, r"03\.webm: has 128x128 pixels, the clips of the run are 64x64", "plan"),
        (_unrated, r"pngs: .*'png_fps'", "plan"),
        (_short, r"03\.webm: 12 frames of 64x64 at 8 fps, the clips of the run have 16", "run"),
        (_fast, r"03\.webm: 16 frames of 64x64 at 12 fps, .* at 8 fps", "run"),
        (_black, r"03\.webm: cannot be judged", "run"),
    ],
)
def test_a_clip_that_cannot_be_a_reference_is_named_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, said: str, when: str
) -> None:
    """The folder without it is the twin: `runs` is judged by such a one."""
    write_real(tmp_path / "real", count=9)
    spoil(tmp_path / "real")
    spec = write_judged(tmp_path, None)
    if when == "plan":
        assert cli.main(["plan", str(spec)]) == 2
        message = capsys.readouterr().err
    else:
        with pytest.raises(InputError) as caught:
            check_references(plan_with_reference(spec), spec)
        message = str(caught.value)

    assert "1 of " in message
    assert re.search(said, message)


@pytest.mark.usefixtures("_table")
def test_a_bad_clip_stops_a_run_before_its_first_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_real(tmp_path / "real", count=9)
    _black(tmp_path / "real")

    assert make(write_judged(tmp_path, f"video: {MAE}"), tmp_path / "run") == 2
    assert "03.webm: cannot be judged" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_under_a_protocol_larger_faster_clips_are_brought_to_the_form_of_the_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "real").mkdir()
    large = []
    for seed in range(8):
        clip = np.repeat(np.repeat(real_clip(seed), 2, axis=1), 2, axis=2)
        clip = np.repeat(clip, 3, axis=0)
        (tmp_path / "real" / f"{seed}.webm").write_bytes(encode_webm(clip, 24, crf=8))
        large.append(frames.decode(tmp_path / "real" / f"{seed}.webm").frames)
    spec = write_judged(tmp_path, None)
    asked = "protocol: {seconds: 2, fps: 8, short_side: 64}\n"
    spec.write_text(spec.read_text("utf-8").replace("\nmetrics:\n", f"\n{asked}metrics:\n"))
    plan = plan_with_reference(spec)
    (reference,) = plan.spec.references
    got = list(reference_frames(plan.spec, reference, plan.files_of(reference), tmp_path / "real"))

    # The frame shown at the middle of each eighth of a second is the middle one of three.
    for frames_got, clip in zip(got, large, strict=True):
        expected = frames.resize(clip[1::3], 64, 64, fit="squash")
        np.testing.assert_array_equal(frames_got, expected)


def test_a_clip_that_is_judged_is_not_its_own_reference(tmp_path: Path) -> None:
    write_real(tmp_path / "real", count=9)
    spec_path = write_judged(tmp_path, None)
    plan = plan_with_reference(spec_path)

    def delivery(file: Path) -> Delivery:
        take = DeliveredTake(
            prompt_id="p", attempt=1, listed=True, file="x.webm", file_digest=file_digest(file),
            price=None, currency=None, latency_s=None, picked=False,
        )  # fmt: skip
        return Delivery(arm="vendor", png_fps=None, takes=(take,))

    with pytest.raises(InputError, match=r"05\.webm: is a clip of arm 'vendor'"):
        read_references(plan.spec, spec_path, [delivery(tmp_path / "real" / "05.webm")])
    assert read_references(plan.spec, spec_path, [delivery(spec_path)]) == plan.reference_clips


# --- a judge that is absent, changed or unfit ----------------------------------------------------


def refused(
    table: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return what a run says that must not begin."""
    monkeypatch.setattr(run, "read_models", lambda: read_models(table))
    write_real(folder / "real", count=8)
    assert make(write_judged(folder, f"video: {MAE}"), folder / "out") == 2
    assert not (folder / "out").exists()
    return capsys.readouterr().err


def test_a_judge_that_is_not_there_or_not_pinned_or_damaged_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_videomae(tmp_path / "weights" / MAE)
    loose = video_entry(MAE, {**files, "config.json": None})
    said = refused(write_table(tmp_path, loose), tmp_path, capsys, monkeypatch)
    assert f"error model-unpinned ({MAE})" in said

    table = write_table(tmp_path, video_entry(MAE, {**files}))
    weights = tmp_path / "weights" / MAE / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\x7f")
    shutil.rmtree(tmp_path / "real")
    assert "the file is damaged or another" in refused(table, tmp_path, capsys, monkeypatch)

    shutil.rmtree(tmp_path / "weights")
    shutil.rmtree(tmp_path / "real")
    said = refused(table, tmp_path, capsys, monkeypatch)
    assert f"error model-not-fetched ({MAE})" in said


def test_a_judge_that_wants_longer_clips_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_videomae(tmp_path / "weights" / MAE, frames=32)
    table = write_table(tmp_path, video_entry(MAE, {**files}))

    said = refused(table, tmp_path, capsys, monkeypatch)
    assert "judge 'mae' needs clips of 32 frames, these have 16" in said


def test_a_run_does_not_go_on_with_other_files_of_its_judge(
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "place"
    shutil.copytree(runs[MAE].parent, place, symlinks=True)
    there = tmp_path / "home"
    files = write_videomae(there / "weights" / MAE, seed=9)
    table = write_table(there, video_entry(MAE, {**files}))
    monkeypatch.setattr(run, "read_models", lambda: read_models(table))

    assert make(place / "spec.yaml", place / "run") == 2
    assert "video_judge" in capsys.readouterr().err


# --- the spec and the plan -----------------------------------------------------------------------

NAMED: Final = changed(SMALL_SPEC, "latency:", "judges: {video: videomae-base}\nlatency:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{video: videomae-base}", "{video: videomae-bas}", "unknown model 'videomae-bas'"),
        ("{video: videomae-base}", "{video: tiny-clip}", "to be of kind video_features"),
        ("{video: videomae-base}", "{}", "'judges': names none"),
        ("{video: videomae-base}", "{fvd: paper}", "'fvd': says how a video judge sees frames"),
        ("{video: videomae-base}", "{video: tiny-video-features, fvd: paper}", "as they are"),
        ('[clip_score, fvd, "style', '[clip_score, "style', "looks through a video network"),
    ],
)
def test_a_judge_that_is_none_or_that_nothing_asks_is_an_error(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = changed(NAMED, old, new)
    with pytest.raises(InputError, match=said) as caught:
        plan_of(write_spec(tmp_path, text))

    assert f"spec.yaml:{line_of(text, 'judges:')}: " in str(caught.value)
    plan_of(write_spec(tmp_path, NAMED))


FOLDER: Final = changed(
    SMALL_SPEC,
    "{name: clean, kind: rendered, style: null, count: 16, seed: 1}",
    "{name: clean, kind: folder, style: null, path: real}",
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", path: real", "", "missing key 'path' of reference 'clean', which is a folder"),
        ("path: real", "path: real, count: 16", "'count': reference 'clean' is a folder"),
        ("path: real", "path: real, seed: 16", "'seed': reference 'clean' is a folder"),
        (", count: 16, seed: 2", "", "missing key 'count' of reference 'pastel'"),
        ("seed: 2", "seed: 2, path: real", "'path': reference 'pastel' is rendered"),
        ("kind: folder", "kind: folders", "expected one of 'rendered' or 'folder'"),
    ],
)
def test_a_reference_with_the_keys_of_the_other_kind_is_an_error(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        plan_of(write_spec(tmp_path, changed(FOLDER, old, new)))
    plan_of(write_spec(tmp_path, FOLDER))


def test_a_folder_may_have_any_shape_and_style_where_a_rendered_one_has_not(
    tmp_path: Path,
) -> None:
    text = changed(REAL, "metrics: [motion]", "metrics: [clip_score, kvd]")
    text = changed(text, "style: null", "style: ours")
    folder = "[{name: real, kind: folder, style: ours, path: real}]"
    rendered = "[{name: real, kind: rendered, style: null, count: 8, seed: 1}]"

    plan_of(write_spec(tmp_path, changed(text, "references: []", f"references: {folder}")))
    with pytest.raises(InputError, match="rendered references have 16 frames of 64 x 64"):
        plan_of(write_spec(tmp_path, changed(text, "references: []", f"references: {rendered}")))


def test_a_reference_that_nothing_asks_is_an_error(tmp_path: Path) -> None:
    text = changed(REAL, "metrics: [motion]", "metrics: [clip_score]")
    folder = "[{name: real, kind: folder, style: null, path: real}]"
    with pytest.raises(InputError, match="no metric looks at them"):
        plan_of(write_spec(tmp_path, changed(text, "references: []", f"references: {folder}")))


def test_a_judge_changes_no_arm_and_no_clip_but_the_plan(tmp_path: Path) -> None:
    plain, named = plan_of(write_spec(tmp_path)), plan_of(write_spec(tmp_path, NAMED))
    paper = changed(NAMED, "videomae-base}", "videomae-base, fvd: paper}")
    squashed = plan_of(write_spec(tmp_path, paper))

    assert named.arms == plain.arms
    assert named.batches == plain.batches
    assert len({one.content_digest() for one in (plain, named, squashed)}) == 3
    assert squashed.video_judge is not None
    assert squashed.video_judge.network == "videomae/mean/paper-1"
    assert not {"judges", "video_judge", "reference_clips"} & set(plain.model_dump(mode="json"))
    assert "judges" not in plain.to_json()


def test_the_judge_that_comes_along_is_the_same_named_or_not(tmp_path: Path) -> None:
    models = read_models()
    spec = read_spec(write_judged(tmp_path, "video: tiny-video-features"), models)
    named = run.judges_of(models, video=video_judge_of(spec, models), device="cuda:0")

    assert named == run.judges_of(models)


def test_the_judge_of_a_spec_is_fetched_and_its_licence_and_rights_are_asked(
    tmp_path: Path,
) -> None:
    plan, models = plan_of(write_spec(tmp_path, NAMED)), pinned_models()
    rows = licence_rows(plan, models, read_licences())
    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None)
    judges = [part.id for part in subject.arms[0].parts if part.kind is PartKind.JUDGE]

    assert [model.entry.id for model in wanted(plan, models)] == ["videomae-base"]
    assert ("CC-BY-NC-4.0", ("videomae-base",)) in [(row.licence, row.models) for row in rows]
    assert judges == ["tiny-clip", "videomae-base"]


def test_a_plan_shows_its_judge_and_its_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_real(tmp_path / "real", count=8)
    spec = write_judged(tmp_path, "video: videomae-base")

    assert cli.main(["plan", str(spec)]) == 0
    assert (
        "judge of clips: videomae-base (CC-BY-NC-4.0, 0.3 GiB of weights), videomae/mean/clean-1, "
        "against 8 clips of real; the other judges"
    ) in capsys.readouterr().out


def test_i3d_is_made_here_and_a_plan_says_by_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_judged(tmp_path, "video: i3d-400, fvd: paper")

    assert cli.main(["plan", str(spec)]) == 0
    said = capsys.readouterr().out
    assert "error model-not-made (i3d-400)" in said
    assert "Type `python -m metrics.extractors.i3d i3d_pretrained_400.pt poc/weights/i3d" in said
    assert "or take 'judges: {video: ...}', fvd and kvd out of the spec." in said
    assert "leave these arms out" not in said
    assert "0.0 GiB" not in said


def test_i3d_that_was_made_is_verified_and_loaded_as_its_judge_says(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "i3d-400"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_file(I3d(classes=5, eps=1e-5, thinner=16).state_dict(), folder / "model.safetensors")
    config = {"network": "i3d", "classes": 5, "minimum_frames": 10, "norm_eps": 1e-5, "thinner": 16}
    (folder / "config.json").write_text(json.dumps(config))
    digests = {f"i3d-400/{path.name}": file_digest(path) for path in folder.iterdir()}
    (tmp_path / "weights" / "i3d-400.index.json").write_text(json.dumps({"files": digests}))
    models = read_models(write_table(tmp_path))
    spec = read_spec(write_judged(tmp_path, "video: i3d-400, fvd: paper"), models)

    judges = run.judges_of(models, video=video_judge_of(spec, models))
    clips = np.stack([real_clip(seed)[:10, :, :40] for seed in range(2)])  # squashed or cropped
    paper = load_i3d(folder, preparation=Preparation.PAPER, expected_sha256=None)
    clean = load_i3d(folder, preparation=Preparation.CLEAN, expected_sha256=None)
    found = load_video(judges).features(clips)

    np.testing.assert_array_equal(found, paper.features(clips))
    assert np.abs(found - clean.features(clips)).max() > 0
    (folder / "config.json").write_text(json.dumps(config | {"norm_eps": 1e-3}))
    with pytest.raises(InputError, match="the file is damaged or another"):
        run.judges_of(models, video=video_judge_of(spec, models))


@pytest.mark.parametrize(
    ("memory_gib", "workers"),
    # Half the memory over 4 bytes each of both judges' 986,109,441 + 86,225,664 parameters, which
    # are 3.99 GiB, and 2 GiB beside: 12 / 5.99, 70 / 5.99, 2 / 5.99.
    [(24, 2), (140, 8), (4, 1), (None, 1)],
)
def test_as_many_processes_measure_as_the_device_holds_of_both_judges(
    home: Path, monkeypatch: pytest.MonkeyPatch, memory_gib: int | None, workers: int
) -> None:
    memory = None if memory_gib is None else memory_gib * 2**30
    monkeypatch.setattr(run, "device_memory_bytes", lambda _device: memory)
    table = read_models(home / "specs" / "models.yaml")
    sizes = {MAE: 86_225_664, "tiny-clip": 986_109_441}
    large = {
        key: replace(
            table.models[key],
            entry=table.models[key].entry.model_copy(update={"parameters": size}),
        )
        for key, size in sizes.items()
    }
    models = ModelTable(table.path, {**table.models, **large})
    judge = VideoJudge(id=MAE, digest=models.pinned_digest(MAE), network="videomae/mean/clean-1")
    judges = run.judges_of(models, image_text="tiny-clip", video=judge, device="cuda:0")

    assert judges.video_extractor.endswith(" on cuda")
    assert run.measurers(judges, models, Machine(8, threads=1, devices=("cuda:0",))) == workers


@pytest.mark.parametrize(
    ("judges", "found"),
    [
        ("judges: {video: videomae-base}\n", []),
        ("judges: {video: tiny-video-features}\n", ["judge-unfit"]),
        ("", ["judge-unfit"]),
    ],
)
def test_only_a_judge_of_the_real_world_may_judge_real_clips(
    tmp_path: Path, judges: str, found: list[str]
) -> None:
    text = judges + changed(REAL, "metrics: [motion]", "metrics: [motion, kvd]")
    text = changed(text, "references: []", f"references:\n{REFERENCE}")
    models = pinned_models()
    path = write_spec(tmp_path, text, changed(CRITERIA, "metric: clip_score", "metric: motion"))
    said = preflight(plan_of(path, models), models, read_licences(), Surroundings())

    assert [one.code for one in said] == ["reference-not-there", *found]
