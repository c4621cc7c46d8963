"""Wan and LTX through the whole program: generate, time, measure, decide; stopped and gone on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from flow_components import write_ltx, write_wan
from planning_fixture import CRITERIA, changed

from poc import cli, run
from poc.commands.exit_codes import INCOMPLETE
from poc.models import MODELS, read_models
from poc.pipelines.flow import FlowFamily
from poc.store import RunStore

ENTRY: Final = """\
  - id: {name}
    kind: {kind}
    family: {family}
    path: ../weights/{name}
    index: ../weights/index.json
    licence: Apache-2.0
    commercial_use: permitted
    training_data: None, the weights are random.
    languages: [{language}]
    vocabulary: null
    combines_with: [{fits}]
"""
SPEC: Final = """\
name: flow
question: Does it run?
question_ja: 動くか。
kind: demonstration
dataset: everyday-scenes
prompts: 2
replicates: 1
seed: 7
shape: {{num_frames: 17, height: 32, width: 32, fps: 8}}
dtype: float32
batch_size: 1
baseline: plain
metrics: [motion]
references: []
latency: {{warmup: 1, repeats: 2}}
criteria: criteria.yaml
arms:
  - name: plain
    role: control
    family: {family}
    base: flow-base
    scheduler: flow_euler
    steps: 2
    guidance: 3.0
    negative_prompt: dull
    loras: []
    style: null
{extra}
  - name: with-lora
    family: {family}
    base: flow-base
    scheduler: flow_euler
    steps: 2
    guidance: 1.0
    negative_prompt: ""
    loras: [{{model: lora-a, scale: 0.5}}]
    style: null
{extra}
"""
EXTRA: Final = {"wan": "    flow_shift: 3.0", "ltx": "    timesteps: [1000.0, 500.0]"}
WRITERS: Final[dict[str, Callable[[Path], dict[str, Path]]]] = {"wan": write_wan, "ltx": write_ltx}


def write_home(home: Path, family: str) -> Path:
    """Write weights with their index, a table of models, a spec and criteria."""
    weights = home / "weights"
    WRITERS[family](weights)
    (weights / "lora_a").rename(weights / "lora-a")
    (weights / "base").rename(weights / "flow-base")
    files = sorted(path for path in weights.rglob("*") if path.is_file())
    digests = {
        path.relative_to(weights).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (weights / "index.json").write_text(json.dumps({"files": digests}), "utf-8")
    base = ENTRY.format(name="flow-base", kind="base", family=family, language="en", fits="")
    lora = ENTRY.format(name="lora-a", kind="lora", family=family, language="und", fits="flow-base")
    (home / "specs").mkdir()
    (home / "tiny").symlink_to(MODELS.parent.parent / "tiny")
    (home / "specs" / "models.yaml").write_text(MODELS.read_text("utf-8") + base + lora, "utf-8")
    text = SPEC.format(family=family, extra=EXTRA[family])
    (home / "spec.yaml").write_text(text, "utf-8")
    criteria = changed(CRITERIA, "metric: clip_score", "metric: motion")
    (home / "criteria.yaml").write_text(criteria, "utf-8")
    return home


def started(home: Path, out: Path, *options: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))
        command = ["run", str(home / "spec.yaml"), "--out", str(out), "--workers", "1"]
        return cli.main([*command, "--no-report", *options])


@pytest.fixture(scope="module", params=["wan", "ltx"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_home(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def whole(home: Path) -> Path:
    assert started(home, home / "whole") == 0
    return home / "whole"


def test_a_run_makes_and_times_every_clip(whole: Path) -> None:
    store = RunStore.open_reader(whole)
    clips = [clip for generation in store.generations() for clip in generation.clips]
    timed = [sample for sample in store.latency() if sample.round >= 0]

    assert [clip.status for clip in clips] == ["ok"] * 4
    assert len({clip.frames_digest for clip in clips}) == 4
    assert len(timed) == 2 * 2
    stages = ("text_s", "denoise_s", "decode_s", "encode_s", "peak_memory_bytes")
    assert all(getattr(sample, stage) > 0 for sample in timed for stage in stages)


def test_a_run_that_was_stopped_goes_on_to_the_same_clips(
    home: Path, whole: Path, tmp_path: Path
) -> None:
    """The first batch alone is there, as after a crash; nothing else of the run is."""
    out = tmp_path / "stopped"
    shutil.copytree(whole, out)
    journal = out / "generations.jsonl"
    journal.write_text(journal.read_text("utf-8").splitlines(keepends=True)[0], "utf-8")
    (out / "measurements.jsonl").write_text("", "utf-8")
    for name in ("estimates.json", "decision.json"):
        (out / name).unlink()
    kept = {path.name for path in (out / "clips").iterdir()}
    for path in (out / "clips").iterdir():
        path.unlink() if path.stem != _first(journal) else None

    assert started(home, out) == 0
    assert {path.name for path in (out / "clips").iterdir()} == kept
    for path in (whole / "clips").iterdir():
        assert (out / "clips" / path.name).read_bytes() == path.read_bytes()


def test_an_arm_that_cannot_be_timed_leaves_the_run_incomplete_and_the_other_arm_timed(
    home: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clips of both arms are there; memory ends while the one with a LoRA is timed."""
    out = tmp_path / "untimed"
    shutil.copytree(whole, out)
    (out / "latency.jsonl").write_text("", "utf-8")
    own = FlowFamily.denoise

    def greedy(self: FlowFamily, *given: Any) -> Any:
        latents = own(self, *given)
        return torch.empty(2**50) if self._ready().loras else latents

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlowFamily, "denoise", greedy)
        capsys.readouterr()
        assert started(home, out, "--json") == INCOMPLETE
        said = json.loads(capsys.readouterr().out)
        assert said["complete"]
        assert said["decision"] != "GO"
        assert "allocate memory" in said["not_timed"]["with-lora"]
        patch.setattr(run, "read_models", lambda: read_models(home / "specs" / "models.yaml"))
        assert run.verify(out, criteria=None) == ()

    plain, failed = json.loads((out / "estimates.json").read_text("utf-8"))["arms"]
    seconds = {
        summary["arm"]["name"]: [
            one["value"] for one in summary["estimates"] if one["metric"] == "latency_p50_s"
        ]
        for summary in (plain, failed)
    }
    assert seconds["with-lora"] == [None, None]  # the value, and the ratio to the baseline
    assert seconds["plain"][0] > 0
    assert "allocate memory" in failed["not_timed"]["reason"]
    assert failed["not_timed"]["peak_memory_bytes"] > 0
    assert "not_timed" not in plain
    assert failed["counts"]["ok"] == failed["counts"]["planned"] == 2


def _first(journal: Path) -> str:
    line = journal.read_text("utf-8").splitlines()[0]
    return line[line.index('"clip_id":"') + 11 :][:16]
