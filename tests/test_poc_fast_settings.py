"""Fast settings: each makes another arm, keeps its frames or is marked; idle ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, UNetMotionModel
from diffusers.models.cache_utils import CacheMixin
from numpy.typing import NDArray
from planning_fixture import SPEC, changed, plan_of, write_spec
from test_poc_preflight import ANIMATELCM, codes, found
from tiny_components import lora, make_arm, write_models

from poc.errors import InputError
from poc.fast_settings import IDLE, TOLERANCE, changes
from poc.models import read_models
from poc.pipelines import resident
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm, FastSettings
from poc.run import read_plan, run

PROMPTS = ["a red circle on a grey background", "a blue ring growing on a black background"]
LORA = {"loras": (lora("lora_a", 0.8),)}
SHOWN = [
    pytest.param(FastSettings(channels_last=True), {"layout": "channels_last"}, id="channels_last"),
    pytest.param(FastSettings(decode_frames=1), {"decode_frames": "1"}, id="decode_frames"),
    pytest.param(
        FastSettings(channels_last=True, decode_frames=3),
        {"layout": "channels_last", "decode_frames": "3"},
        id="both",
    ),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    found = write_models(home)
    torch.manual_seed(2)
    tiny = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )
    tiny.save_pretrained(home / "tiny_vae", safe_serialization=True)
    return found | {"tiny_vae": home / "tiny_vae"}


@pytest.fixture(scope="module")
def family(folders: dict[str, Path]) -> AnimateDiffFamily:
    return AnimateDiffFamily(base="base", dtype="float32", folders=folders)


def _frames(family: AnimateDiffFamily, arm: Arm) -> NDArray[np.int64]:
    family.prepare(arm)
    frames, finite = family.decode(family.denoise(family.encode_reused(PROMPTS), [11, 12]))
    assert all(finite)
    return frames.astype(np.int64)


# --- what a setting changes ----------------------------------------------------------------------


@pytest.mark.parametrize(("fast", "resolved"), SHOWN)
def test_a_setting_with_a_tolerance_keeps_it_and_leaves_no_trace(
    family: AnimateDiffFamily, fast: FastSettings, resolved: dict[str, str]
) -> None:
    plain = _frames(family, make_arm(**LORA))
    faster = _frames(family, make_arm(fast=fast, **LORA))
    again = _frames(family, make_arm(**LORA))

    assert np.abs(faster - plain).max() <= max(TOLERANCE.values())
    np.testing.assert_array_equal(again, plain)
    assert family.prepare(make_arm(fast=fast, **LORA)).fast == resolved
    assert family.prepare(make_arm(**LORA)).fast == {}


def test_a_tiny_vae_changes_more_than_any_tolerance(
    folders: dict[str, Path], family: AnimateDiffFamily
) -> None:
    tiny = AnimateDiffFamily(base="base", dtype="float32", folders=folders, vae="tiny_vae")
    own, other = _frames(family, make_arm()), _frames(tiny, make_arm(vae="tiny_vae"))

    assert other.shape == own.shape
    assert np.abs(other - own).max() > max(TOLERANCE.values())


def test_a_vae_of_an_unknown_class_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKLWan"}')
    family = AnimateDiffFamily(
        base="base", dtype="float32", folders=folders | {"other": tmp_path}, vae="other"
    )

    with pytest.raises(InputError, match="expected AutoencoderKL or AutoencoderTiny"):
        family.prepare(make_arm(vae="other"))


def test_compiled_code_is_made_once_and_follows_the_weights(
    family: AnimateDiffFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torch's own tracing, without its code generator: that takes minutes on a CPU."""
    made: list[str] = []

    def spy(network: torch.nn.Module, mode: str) -> object:
        made.append(f"{type(network).__name__} {mode}")
        return compiled(network, mode)

    compiled = resident.compiled
    monkeypatch.setattr(resident, "BACKEND", "eager")
    monkeypatch.setattr(resident, "compiled", spy)
    fast = FastSettings(compile="default")
    plain, styled = _frames(family, make_arm()), _frames(family, make_arm(**LORA))

    for _ in range(2):
        assert np.abs(_frames(family, make_arm(fast=fast)) - plain).max() <= 1
        assert np.abs(_frames(family, make_arm(fast=fast, **LORA)) - styled).max() <= 1
        np.testing.assert_array_equal(_frames(family, make_arm()), plain)
    assert made == ["UNetMotionModel default", "Decoder default"]
    assert family.prepare(make_arm(fast=fast)).fast == {
        "compiled": "default: UNetMotionModel, Decoder"
    }


# --- what is marked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fast", [{"channels_last": True}, {"decode_frames": 4}, {"compile": "default"}, None]
)
def test_every_setting_makes_another_arm(fast: dict[str, object] | None) -> None:
    others = [make_arm(), make_arm(fast=FastSettings(compile="cuda_graphs"))]
    asked = make_arm(fast=FastSettings.model_validate(fast)) if fast else make_arm(vae="taesd")

    assert asked.id not in [other.id for other in others]


@pytest.mark.parametrize(
    ("change", "marked"),
    [
        ({"fast": FastSettings(channels_last=True)}, ""),
        ({"fast": FastSettings(decode_frames=4)}, ""),
        ({"fast": FastSettings(compile="default")}, "compile: not shown"),
        ({"dtype": "bfloat16"}, "bfloat16 in place of float32"),
        ({"dtype": "float16", "fast": FastSettings(channels_last=True)}, "not in float16"),
    ],
)
def test_what_is_not_shown_to_keep_frames_is_marked(change: dict[str, object], marked: str) -> None:
    said = "; ".join(changes(make_arm(**change), dtype="float32", approximate_vae=False))

    assert (marked in said) if marked else (said == "")


@pytest.mark.parametrize("setting", [{"vae": "taesd"}, {"dtype": "bfloat16"}])
def test_a_plan_warns_of_an_arm_whose_quality_changes(
    tmp_path: Path, setting: dict[str, str]
) -> None:
    assert codes(found(tmp_path)) == []
    assert codes(found(tmp_path, ANIMATELCM | setting)) == [("warning", "quality-changes")]


def test_the_shipped_spec_marks_every_arm_but_the_plain_one() -> None:
    from poc.licences import read_licences
    from poc.models import MODELS
    from poc.preflight import Surroundings, preflight

    plan, models = read_plan(MODELS.parent / "fast-settings.yaml")
    marked = {
        one.where.removeprefix("arm ")
        for one in preflight(plan, models, read_licences(), Surroundings())
        if one.code == "quality-changes"
    }

    assert marked == {arm.name for arm in plan.arms if arm.id != plan.baseline_id}


# --- what does nothing ---------------------------------------------------------------------------

FAST_ARM = changed(SPEC, "  - name: fast\n", "  - name: fast\n    fast: {FAST}\n")


def _refused(folder: Path, fast: str) -> str:
    with pytest.raises(InputError) as caught:
        plan_of(write_spec(folder, changed(FAST_ARM, "{FAST}", fast)))
    return str(caught.value)


@pytest.mark.parametrize("name", IDLE)
def test_a_setting_that_does_nothing_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    said = _refused(tmp_path, f"{{{name}: true}}")

    assert f"'{name}' does nothing here: {IDLE[name]}" in said
    line = FAST_ARM[: FAST_ARM.index("{FAST}")].count("\n") + 1
    assert f":{line}:" in said


@pytest.mark.parametrize(
    ("fast", "reason"),
    [
        ("{}", "no setting is on"),
        ("{channels_last: false}", "no setting is on"),
        ("{decode_frames: 16}", "of 32 frames diffusers decodes 16 at once"),
    ],
)
def test_a_setting_that_is_what_happens_anyway_is_refused(
    tmp_path: Path, fast: str, reason: str
) -> None:
    assert reason in _refused(tmp_path, fast)


def test_more_frames_at_once_than_diffusers_takes_are_let_pass(tmp_path: Path) -> None:
    plan = plan_of(write_spec(tmp_path, changed(FAST_ARM, "{FAST}", "{decode_frames: 32}")))

    assert [arm.fast for arm in plan.arms if arm.fast] == [FastSettings(decode_frames=32)]


def test_the_reasons_hold_for_the_diffusers_that_is_installed(family: AnimateDiffFamily) -> None:
    family.prepare(make_arm())
    network = family.network()

    assert isinstance(network, UNetMotionModel)
    assert not isinstance(network, CacheMixin)
    assert not network._repeated_blocks
    assert network.attn_processors
    assert not any(hasattr(one, "_attention_backend") for one in network.attn_processors.values())


def test_cuda_graphs_are_refused_on_a_cpu(tmp_path: Path) -> None:
    path = write_spec(tmp_path, changed(FAST_ARM, "{FAST}", "{compile: cuda_graphs}"))

    with pytest.raises(InputError, match=r"'compile: cuda_graphs' does nothing there \(fast\)"):
        run(
            path,
            tmp_path / "run",
            workers=1,
            device="cpu",
            until=None,
            progress=lambda *_: None,
            warn=lambda _: None,
        )


def test_the_tiny_vae_of_the_table_says_that_it_is_one() -> None:
    table = read_models().models

    assert table["taesd"].entry.approximate
    assert not table["sd-vae-ft-mse"].entry.approximate
