"""A LoRA of one's own style on the tiny base: resumed to the bit, taken whole, seen in clips."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from own_style_fixture import NAME, own_models, request, write_look, write_rights
from planning_fixture import plan_of
from safetensors.torch import load_file

from metrics.extractors.clip import load_clip
from metrics.style import frame_similarities
from poc.errors import InputError
from poc.models import MODELS, ModelTable, heldout_stills
from poc.own_stills import read_stills
from poc.own_style import StyleTask, check_style
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm
from poc.run import judges_of
from poc.tiny.stills import read_heldout
from poc.training.own_style import train_own_style

TODAY = date(2026, 11, 29)
SHORT = {"steps": 4, "batch": 2, "learning_rate": 1e-3, "rank": 4}


def task_of(folder: Path, training: dict[str, Any], stills: int = 10, **changes: Any) -> StyleTask:
    """Check a training in a folder of its own; equal arguments give equal tasks."""
    look = folder / "company" / NAME
    if not look.exists():
        write_look(folder / "company", stills)
    found = read_stills(look, smallest=64, captions=None, trigger=None)
    rights = folder / "rights" / "start" / "rights.yaml"
    if not rights.exists():
        write_rights(folder / "rights", {one.name(NAME): one.sha256 for one in found})
    asked = request(look, rights, training=training, **changes)
    return check_style(asked, own_models(folder), on=TODAY)


def quiet(_line: str) -> None:
    """Hear a line and forget it."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A short training that nobody stopped, and what it said."""
    folder = tmp_path_factory.mktemp("whole")
    said: list[str] = []
    train_own_style(task_of(folder, SHORT), hours=None, estimate_only=False, log=said.append)
    return folder, said


def lora_of(folder: Path) -> dict[str, torch.Tensor]:
    model = own_models(folder).resolve(NAME)
    return load_file(model.folder / "pytorch_lora_weights.safetensors")


class StoppedError(Exception):
    """Stands for a kill."""


def test_a_training_that_was_stopped_goes_on_and_ends_with_the_same_bits(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(tmp_path, SHORT)

    def stop(_studio: object, step: int) -> None:
        if step == 3:  # after the checkpoint of step 2
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr("poc.training.own_style._Studio.preview_after", stop)
        with pytest.raises(StoppedError):
            train_own_style(task, hours=None, estimate_only=False, log=quiet)
    assert not task.home.exists()
    said: list[str] = []
    train_own_style(task_of(tmp_path, SHORT), hours=None, estimate_only=False, log=said.append)

    assert f"{NAME}: goes on at step 2 of 4" in said
    whole, resumed = lora_of(trained[0]), lora_of(tmp_path)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert any(bool(value.any()) for key, value in whole.items() if "lora_B" in key)
    assert not task.work.exists()


def test_the_estimate_comes_before_the_first_step_and_counts_what_learns(
    trained: tuple[Path, list[str]],
) -> None:
    folder, said = trained
    assert said[0].startswith("estimate: ")
    home = own_models(folder).resolve(NAME).folder.parent
    record = json.loads((home / "training.json").read_text())

    found = record["estimate"]
    assert found["lora_parameters"] == sum(value.numel() for value in lora_of(folder).values())
    base = MODELS.parents[1] / "tiny" / "weights" / "base"
    networks = [load_file(path) for path in base.rglob("*.safetensors")]
    assert found["base_parameters"] == sum(v.numel() for one in networks for v in one.values())
    assert found["duration_s"] == pytest.approx(4 * found["step_s"] + 2 * found["preview_s"])


def test_a_training_that_would_take_too_long_is_refused_before_its_first_step(
    tmp_path: Path,
) -> None:
    task = task_of(tmp_path, SHORT)
    with pytest.raises(InputError, match=r"--hours 1e-06: the estimate is"):
        train_own_style(task, hours=1e-6, estimate_only=False, log=quiet)
    assert not list(task.work.glob("*.pt"))


def test_the_record_tells_which_still_was_held_out_and_under_which_consent(
    trained: tuple[Path, list[str]],
) -> None:
    table = own_models(trained[0])
    record = json.loads((table.resolve(NAME).folder.parent / "training.json").read_text())

    held = {one["name"] for one in record["stills"] if one["heldout"]}
    folder = table.resolve(f"{NAME}-stills").folder
    assert {folder / name for name in held} == set(heldout_stills(table, NAME))
    assert record["rights"]["consents"][0]["agreement"] == "contract 1"
    previews = sorted(path.name for path in (folder.parent / "previews").iterdir())
    assert previews == ["000002.png", "000004.png", "before.png"]


def test_diffusers_own_loader_takes_every_tensor(trained: tuple[Path, list[str]]) -> None:
    base = MODELS.parents[1] / "tiny" / "weights" / "base"
    pipe = StableDiffusionPipeline.from_pretrained(base, safety_checker=None, local_files_only=True)
    pipe.load_lora_weights(own_models(trained[0]).resolve(NAME).folder, adapter_name="own")
    taken = {k: v for k, v in pipe.unet.state_dict().items() if ".own." in k}

    file = lora_of(trained[0])
    assert len(taken) == len(file) > 100
    for key, value in taken.items():
        saved = file["unet." + key.replace(".own.", ".")]
        torch.testing.assert_close(value.float(), saved.float(), rtol=0, atol=1e-3)


# --- in clips ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> ModelTable:
    """A style that was trained long enough to be seen."""
    folder = tmp_path_factory.mktemp("look")
    training = {"steps": 60, "batch": 8, "learning_rate": 1e-3, "rank": 16}
    task = task_of(folder, training, stills=40)
    train_own_style(task, hours=None, estimate_only=False, log=quiet)
    return own_models(folder)


def arms(table: ModelTable) -> Iterator[Arm]:
    """Yield an arm of the demo and the same with the own style on top."""
    spec = Path(__file__).parents[1] / "poc" / "specs" / "quick.yaml"
    plain = next(arm for arm in plan_of(spec, table).arms if arm.name == "animatelcm-2")
    yield plain
    use = plain.loras[0].model_copy(update={"model": NAME})
    yield plain.model_copy(update={"loras": (*plain.loras, use), "style": NAME})


def test_clips_with_the_style_are_closer_to_stills_that_it_never_saw(look: ModelTable) -> None:
    plain, own = arms(look)
    folders = {key: look.verify(key) for key in [*plain.model_digests, NAME]}
    family = AnimateDiffFamily(base=plain.base, dtype="float32", folders=folders)
    judges = judges_of(look, {NAME})
    judge = load_clip(judges.image_text, extractor_id="clip", batch_size=64, expected_sha256=None)
    kept, others = (
        np.asarray(judge.image_features(read_heldout(judges.stills_of(style))), np.float64)
        for style in (NAME, "neon")
    )
    texts = ["a red circle on a navy background", "a green square on a white background"]

    clips = []
    for arm in (plain, own):
        family.prepare(arm)
        clips.append(family.decode(family.denoise(family.encode(texts), [1, 2]))[0])
    features = [[judge.image_features(clip) for clip in both] for both in clips]

    def rises(stills: np.ndarray[Any, Any]) -> list[float]:
        """Return how much closer each clip of the own style is to stills than its plain twin."""
        before, after = ([frame_similarities(f, stills).mean() for f in both] for both in features)
        return [float(b - a) for a, b in zip(before, after, strict=True)]

    assert not np.array_equal(clips[0], clips[1])
    assert min(rises(kept)) > 0
    assert np.mean(rises(kept)) > np.mean(rises(others))  # it is this look, not any change
