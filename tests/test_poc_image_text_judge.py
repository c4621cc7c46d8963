"""Laws of the judge that a spec names: chosen, shown, verified, and never mixed with another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import open_clip
import pytest
import torch
from planning_fixture import CRITERIA, changed, line_of, pinned_models, plan_of, write_spec
from planning_fixture import SPEC as SMALL_SPEC
from safetensors.torch import save_file

from metrics.clip_score import clip_score
from metrics.extractors.base import file_digest
from metrics.extractors.clip import load_clip
from metrics.temporal import clip_frame_consistency
from poc import cli, run
from poc.check import judge as gate
from poc.errors import InputError
from poc.fetch import wanted
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.gate_records import GateStatus
from poc.generate import Machine
from poc.governance_records import PartKind
from poc.licences import read_licences
from poc.measure import Bench, MeasureSetup
from poc.models import MODELS, ModelTable, read_models
from poc.own_style import stills_entry
from poc.preflight import Surroundings, licence_rows, preflight
from poc.records import digest
from poc.rights_file import Words
from poc.rights_parts import subject_of
from poc.store import RunStore

QUICK: Final = MODELS.parent / "quick.yaml"
JUDGE: Final = "other-clip"
CONFIG: Final[dict[str, Any]] = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
}


def write_judge(folder: Path, seed: int = 0, **text: int) -> dict[str, str]:
    """Write an untrained network in open_clip's layout; returns the digests of its files."""
    folder.mkdir(parents=True)
    model = CONFIG["model_cfg"]
    config = CONFIG | {"model_cfg": model | {"text_cfg": model["text_cfg"] | text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    network = open_clip.create_model(f"local-dir:{folder}")
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def entry(name: str, files: dict[str, str | None], languages: str = "[en]") -> str:
    rows = "".join(
        f"        - {{name: {file}, sha256: {sha256 or 'null'}}}\n"
        for file, sha256 in files.items()
    )
    return f"""\
  - id: {name}
    kind: image_text
    family: open_clip
    path: ../weights/{name}
    licence: CC-BY-NC-4.0
    commercial_use: forbidden
    training_data: Nothing at all, drawn by the tests.
    languages: {languages}
    vocabulary: null
    combines_with: []
    hub:
      repository: maker/{name}
      revision: null
      files:
{rows}"""


def write_table(home: Path, *entries: str) -> Path:
    """Write our own table with further entries into a home whose weights are ours."""
    home.mkdir(exist_ok=True)
    if not (home / "tiny").exists():
        (home / "tiny").symlink_to(MODELS.parent.parent / "tiny")
    specs = home / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "models.yaml").write_text(MODELS.read_text("utf-8") + "\n" + "".join(entries), "utf-8")
    return specs / "models.yaml"


def write_quick(folder: Path, named: str | None) -> Path:
    """Write the smallest sweep, two arms of one step count, judged by the network named."""
    text = QUICK.read_text("utf-8").replace("steps: [1, 2]", "steps: 2")
    text = text[: text.index("\ncontrasts:")] + text[text.index("\ncriteria:") :]
    if "\nlatency:" not in text:
        text = text.replace("\ncriteria:", "\nlatency: null\ncriteria:")
    if named is not None:
        text = text.replace("\nmetrics:\n", f"\njudges: {{image_text: {named}}}\nmetrics:\n")
    shutil.copytree(QUICK.parent / "criteria", folder / "criteria", dirs_exist_ok=True)
    path = folder / f"{named}.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two other judges beside the tiny world's."""
    home = tmp_path_factory.mktemp("judged")
    files = write_judge(home / "weights" / JUDGE)
    short = write_judge(home / "weights" / "short", seed=1, context_length=8)
    write_table(home, entry(JUDGE, {**files}), entry("short", {**short}))
    return home


@pytest.fixture
def _table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))


def made(spec: Path, out: Path) -> Path:
    command = ["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]
    assert cli.main(command) == 0
    return out


@pytest.fixture(scope="module")
def runs(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The same sweep, judged by two networks."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))
        yield {
            str(named): made(write_quick(folder, named), folder / "out" / str(named))
            for named in (None, JUDGE)
        }


# --- a run that is judged by it ------------------------------------------------------------------


def test_numbers_are_those_of_the_network_named(home: Path, runs: dict[str, Path]) -> None:
    store = RunStore.open_reader(runs[JUDGE])
    network = load_clip(
        home / "weights" / JUDGE, extractor_id="direct", batch_size=4, expected_sha256=None
    )
    prompts = {prompt.id: prompt.text for prompt in store.plan.prompts}
    found = {(one.metric, one.clip_id): one.value for one in store.measurements()}
    clips = [clip for batch in store.plan.batches for clip in batch.clips]

    assert len(clips) == 4
    for clip in clips:
        images = network.image_features(store.read_clip(clip.id)).astype(np.float64)
        text = network.text_features([prompts[clip.prompt_id]])[0].astype(np.float64)
        assert found["clip_score", clip.id] == pytest.approx(clip_score(images, text).value)
        assert found["clip_frame_consistency", clip.id] == pytest.approx(
            clip_frame_consistency(images).value
        )


def test_numbers_name_the_judge_by_its_entry_and_pinned_files(
    home: Path, runs: dict[str, Path]
) -> None:
    store = RunStore.open_reader(runs[JUDGE])
    folder = home / "weights" / JUDGE
    pinned = digest({path.name: file_digest(path) for path in folder.iterdir()})
    seen = {one.extractor for one in store.measurements() if one.metric == "clip_score"}

    assert store.plan.image_text_digest == pinned
    assert seen == {f"{JUDGE}@{pinned[:16]}"}


def test_what_no_image_text_network_sees_is_the_same_whoever_judges(runs: dict[str, Path]) -> None:
    by_clip = {"clip_score", "clip_frame_consistency"}
    numbers = []
    for path in (runs["None"], runs[JUDGE]):
        store = RunStore.open_reader(path)
        numbers.append(
            {
                (one.metric, one.clip_id): one.value
                for one in store.measurements()
                if one.metric not in by_clip
            }
        )

    assert numbers[0] == numbers[1] != {}


@pytest.mark.usefixtures("_table")
def test_decided_again_without_the_judges_files_it_says_the_same(
    home: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "weights" / JUDGE
    away = folder.rename(folder.with_name("away"))
    try:
        assert cli.main(["verify", str(runs[JUDGE])]) == 0
    finally:
        away.rename(folder)
    assert capsys.readouterr().out == "complete: yes\nverified: yes\n"


def test_runs_judged_by_two_networks_do_not_compare(runs: dict[str, Path]) -> None:
    head, base = (RunStore.open_reader(runs[one]) for one in (JUDGE, "None"))
    cells = gate(head, base, "base", read_limits(DEFAULT_LIMITS)).cells
    by_metric = {cell.subject: cell for cell in cells}

    assert by_metric["clip_score"].status is GateStatus.NOT_COMPARABLE
    assert "extractor: tiny-clip@" in by_metric["clip_score"].reason
    assert by_metric["flicker"].status is not GateStatus.NOT_COMPARABLE


def test_a_prompt_longer_than_the_judge_reads_has_no_score_and_says_so(
    home: Path, runs: dict[str, Path]
) -> None:
    store = RunStore.open_reader(runs[JUDGE])
    models = read_models(home / "specs" / "models.yaml")
    setup = MeasureSetup(
        run=store.path,
        judges=run.judges_of(models, image_text="short"),
        metrics=("clip_score", "clip_frame_consistency"),
        arms={arm.id: arm for arm in store.plan.arms},
        prompts={prompt.id: prompt for prompt in store.plan.prompts},
    )
    clips = Bench(setup).batch(store.plan.batches[0])

    assert len(clips) == 2
    for clip in clips:
        score, frames = clip.measurements
        assert score.value is None
        assert "tokens, short reads 8: its end is not seen" in score.reason
        assert frames.value is not None


def test_a_run_does_not_go_on_with_other_files_of_its_judge(
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, out = write_quick(tmp_path, JUDGE), shutil.copytree(runs[JUDGE], tmp_path / "run")
    there = tmp_path / "home"
    table = write_table(there, entry(JUDGE, {**write_judge(there / "weights" / JUDGE, seed=9)}))
    monkeypatch.setattr(run, "read_models", lambda: read_models(table))

    assert cli.main(["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]) == 2
    assert "image_text_digest" in capsys.readouterr().err


# --- absent, unpinned, damaged -------------------------------------------------------------------


def refused(
    table: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return what a run says that must not begin."""
    monkeypatch.setattr(run, "read_models", lambda: read_models(table))
    out = folder / "out"
    assert cli.main(["run", str(write_quick(folder, JUDGE)), "--out", str(out)]) == 2
    assert not out.exists()
    return capsys.readouterr().err


def test_a_judge_that_is_not_there_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_judge(tmp_path / "elsewhere")
    said = refused(write_table(tmp_path, entry(JUDGE, {**files})), tmp_path, capsys, monkeypatch)

    assert f"error model-not-fetched ({JUDGE})" in said


def test_a_judge_that_nobody_pinned_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_judge(tmp_path / "weights" / JUDGE)
    loose = entry(JUDGE, {**files, "open_clip_config.json": None})
    said = refused(write_table(tmp_path, loose), tmp_path, capsys, monkeypatch)

    assert f"error model-unpinned ({JUDGE})" in said


def test_a_damaged_judge_stops_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_judge(tmp_path / "weights" / JUDGE)
    weights = tmp_path / "weights" / JUDGE / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    said = refused(write_table(tmp_path, entry(JUDGE, {**files})), tmp_path, capsys, monkeypatch)

    assert "the file is damaged or another" in said


def test_files_that_are_no_open_clip_network_are_told_before_the_first_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights" / JUDGE
    write_judge(folder)
    (folder / "open_clip_config.json").write_text("{}")
    files = {path.name: file_digest(path) for path in folder.iterdir()}
    said = refused(write_table(tmp_path, entry(JUDGE, {**files})), tmp_path, capsys, monkeypatch)

    assert "no readable open_clip config" in said


# --- the spec and the plan -----------------------------------------------------------------------


NAMED: Final = changed(SMALL_SPEC, "latency:", "judges: {image_text: clip-vit-b-32}\nlatency:")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("clip-vit-b-33", "unknown model 'clip-vit-b-33'"),
        ("tiny-video-features", "to be of kind image_text, it is of kind video_features"),
    ],
)
def test_a_judge_that_is_none_is_an_error_at_its_line(
    tmp_path: Path, named: str, said: str
) -> None:
    text = changed(NAMED, "clip-vit-b-32", named)
    with pytest.raises(InputError, match=said) as caught:
        plan_of(write_spec(tmp_path, text))

    assert f"spec.yaml:{line_of(text, 'judges:')}: 'image_text'" in str(caught.value)


def test_a_judge_that_nothing_asks_is_an_error(tmp_path: Path) -> None:
    text = changed(
        NAMED, 'metrics: [clip_score, fvd, "style_similarity[pastel]"]', "metrics: [fvd]"
    )
    with pytest.raises(InputError, match="no metric looks through an image-text network"):
        plan_of(write_spec(tmp_path, text))


def test_a_judge_changes_no_arm_and_no_clip_but_the_plan(tmp_path: Path) -> None:
    plain, named = plan_of(write_spec(tmp_path)), plan_of(write_spec(tmp_path, NAMED))

    assert named.arms == plain.arms
    assert named.batches == plain.batches
    assert named.content_digest() != plain.content_digest()
    assert "judges" not in plain.to_json()
    assert "image_text_digest" not in plain.to_json()


def test_the_judge_of_a_spec_is_fetched_and_its_licence_and_rights_are_asked(
    tmp_path: Path,
) -> None:
    plan, models = plan_of(write_spec(tmp_path, NAMED)), pinned_models()
    rows = licence_rows(plan, models, read_licences())
    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None)
    judges = [part.id for part in subject.arms[0].parts if part.kind is PartKind.JUDGE]

    assert [model.entry.id for model in wanted(plan, models)] == ["clip-vit-b-32"]
    assert ("MIT", ("clip-vit-b-32",)) in [(row.licence, row.models) for row in rows]
    assert judges == ["clip-vit-b-32", "tiny-video-features"]


def test_without_a_named_judge_nothing_more_is_fetched_or_asked(tmp_path: Path) -> None:
    plan, models = plan_of(write_spec(tmp_path)), pinned_models()
    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None)
    judges = [part.id for part in subject.arms[0].parts if part.kind is PartKind.JUDGE]

    assert wanted(plan, models) == ()
    assert judges == ["tiny-clip", "tiny-video-features"]


def test_a_plan_shows_its_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(write_spec(tmp_path, NAMED))
    assert cli.main(["plan", spec]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["plan", spec, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["judge"]

    assert (
        "judge of pictures and words: clip-vit-b-32 (MIT, 0.6 GiB of weights), reads en" in printed
    )
    assert (found["model"], found["digest"]) == ("clip-vit-b-32", "unpinned")
    assert found["disk_bytes"] == 4 * 151_277_313


# --- the pre-flight ------------------------------------------------------------------------------


REAL: Final = """\
name: real
question: Does it work?
question_ja: 動くか。
kind: demonstration
dataset: everyday-scenes
prompts: 3
replicates: 1
seed: 7
shape: {num_frames: 16, height: 512, width: 512, fps: 8}
dtype: float16
batch_size: 1
baseline: under-test
metrics: [motion]
references: []
latency: null
criteria: criteria.yaml
arms:
  - name: under-test
    family: animatediff
    base: sd15
    motion_adapter: animatelcm
    scheduler: lcm
    steps: 4
    guidance: 1.0
    negative_prompt: ""
    loras: [{model: animatelcm-lora, scale: 0.8}]
    style: null
    beta_schedule: linear
"""


def codes(
    folder: Path,
    metrics: str,
    named: str | None,
    text: str = REAL,
    table: ModelTable | None = None,
) -> list[str]:
    """Return what the pre-flight finds at real size, with these metrics and this judge."""
    judged = "" if named is None else f"judges: {{image_text: {named}}}\n"
    text = judged + changed(text, "metrics: [motion]", f"metrics: [{metrics}]")
    criteria = changed(CRITERIA, "metric: clip_score", "metric: motion")
    models = table or pinned_models()
    plan = plan_of(write_spec(folder, text, criteria), models)
    found = preflight(plan, models, read_licences(), Surroundings())
    return [f"{one.code} ({one.where})" for one in found]


def test_a_judge_of_the_real_world_may_judge_real_clips(tmp_path: Path) -> None:
    metrics = "motion, clip_score, clip_frame_consistency"

    assert codes(tmp_path, metrics, "clip-vit-b-32") == []
    assert codes(tmp_path, metrics, None) == [
        "judge-unfit (metrics clip_score, clip_frame_consistency)"
    ]
    assert codes(tmp_path, metrics, "tiny-clip") == [
        "judge-unfit (metrics clip_score, clip_frame_consistency)"
    ]


@pytest.mark.parametrize("metric", ["oracle_all", "motion_extent_px", '"style_similarity[pastel]"'])
def test_what_knows_the_tiny_world_only_stays_refused(tmp_path: Path, metric: str) -> None:
    text = changed(REAL, "style: null", "style: pastel")
    found = codes(tmp_path, f"motion, clip_score, {metric}", "clip-vit-b-32", text)
    unfit = metric.strip('"')

    assert found == [f"judge-unfit (metrics {unfit})"]


def test_own_stills_are_looked_at_through_the_judge_named(tmp_path: Path) -> None:
    table = pinned_models()
    stills = replace(
        table.models["tiny-stills"],
        entry=stills_entry("look", "sd15", 5),
        files={"look/heldout/000.png": "0" * 64},
    )
    models = ModelTable(table.path, {**table.models, "look-stills": stills})
    text = changed(REAL, "style: null", "style: look")
    metrics = 'motion, "style_similarity[look]"'

    assert codes(tmp_path, metrics, "clip-vit-b-32", text, models) == []
    assert codes(tmp_path, metrics, None, text, models) == [
        "judge-unfit (metrics style_similarity[look])"
    ]


PROMPTS: Final = """\
version: 1
datasets:
  - id: own
    kind: list
    title: Own
    source: tests
    licence: Apache-2.0
    prompts:
      - {text: a cat, language: en, text_ja: 猫, attributes: {}}
      - {text: a dog, language: en, text_ja: 犬, attributes: {}}
      - {text: 赤い車, language: ja-JP, text_ja: 赤い車, attributes: {}}
"""


@pytest.mark.parametrize(
    ("metrics", "named", "found"),
    [
        ("motion, clip_score", "clip-vit-h-14", ["judge-language (judge clip-vit-h-14)"]),
        ("motion, clip_score", "siglip-b-16-i18n", []),
        ("motion, clip_frame_consistency", "clip-vit-h-14", []),
    ],
)
def test_a_judge_that_lacks_the_language_of_a_prompt_is_refused_by_name(
    tmp_path: Path, metrics: str, named: str, found: list[str]
) -> None:
    (tmp_path / "datasets.yaml").write_text(PROMPTS, "utf-8")
    text = changed(REAL, "dataset: everyday-scenes", "dataset: own")
    of_judges = [one for one in codes(tmp_path, metrics, named, text) if one.startswith("judge")]

    assert of_judges == found


# --- processes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory_gib", "workers"),
    # Half the memory over 3.67 GiB of weights and 2 GiB beside: 12 / 5.67, 70 / 5.67, 2 / 5.67.
    [(24, 2), (140, 8), (4, 1), (None, 1)],
)
def test_as_many_processes_measure_as_the_device_holds_judges(
    home: Path, monkeypatch: pytest.MonkeyPatch, memory_gib: int | None, workers: int
) -> None:
    memory = None if memory_gib is None else memory_gib * 2**30
    monkeypatch.setattr(run, "device_memory_bytes", lambda _device: memory)
    table = read_models(home / "specs" / "models.yaml")
    there = table.models[JUDGE]
    large = replace(there, entry=there.entry.model_copy(update={"parameters": 986_109_441}))
    models = ModelTable(table.path, {**table.models, JUDGE: large})
    machine = Machine(8, threads=1, devices=("cuda:0",))
    named, tiny = run.judges_of(models, image_text=JUDGE, device="cuda:0"), run.judges_of(models)

    assert named.named.extractor.endswith(" on cuda")
    assert run.measurers(named, models, machine) == workers
    assert run.measurers(tiny, models, machine) == 8
