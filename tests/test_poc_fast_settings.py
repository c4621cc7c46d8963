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
from safetensors.torch import load_file
from test_poc_preflight import ANIMATELCM, codes, found
from tiny_components import lora, make_arm, write_models

from poc.errors import InputError
from poc.fast_settings import IDLE, TOLERANCE, changes, idle
from poc.models import read_models
from poc.pipelines import resident
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm, FastSettings
from poc.run import read_plan, run

PROMPTS = ["a red circle on a grey background", "a blue ring growing on a black background"]
LORA = {"loras": (lora("lora_a", 0.8),)}
ALL_OFFLOADED = "motion_adapter, text_encoder, unet, vae"
SHOWN = [
    pytest.param(FastSettings(channels_last=True), {"layout": "channels_last"}, id="channels_last"),
    pytest.param(FastSettings(decode_frames=1), {"decode_frames": "1"}, id="decode_frames"),
    pytest.param(
        FastSettings(channels_last=True, decode_frames=3),
        {"layout": "channels_last", "decode_frames": "3"},
        id="both",
    ),
    pytest.param(
        FastSettings(fuse_loras=False), {"loras": "not fused: {layers} layers"}, id="fuse_loras"
    ),
    pytest.param(FastSettings(cpu_offload=True), {"cpu_offload": ALL_OFFLOADED}, id="cpu_offload"),
    pytest.param(
        FastSettings(fuse_loras=False, cpu_offload=True, channels_last=True),
        {
            "cpu_offload": ALL_OFFLOADED,
            "layout": "channels_last",
            "loras": "not fused: {layers} layers",
        },
        id="all",
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
    folders: dict[str, Path],
    family: AnimateDiffFamily,
    fast: FastSettings,
    resolved: dict[str, str],
) -> None:
    plain = _frames(family, make_arm(**LORA))
    faster = _frames(family, make_arm(fast=fast, **LORA))
    again = _frames(family, make_arm(**LORA))

    assert np.abs(faster - plain).max() <= max(TOLERANCE[name] for name in fast.model_dump())
    np.testing.assert_array_equal(again, plain)
    (path,) = folders["lora_a"].glob("*.safetensors")
    layers = sum(".lora_A." in name for name in load_file(path))
    expected = {name: value.format(layers=layers) for name, value in resolved.items()}
    assert family.prepare(make_arm(fast=fast, **LORA)).fast == expected
    assert family.prepare(make_arm(**LORA)).fast == {}


def test_the_order_of_settings_changes_no_frame(family: AnimateDiffFamily) -> None:
    """A, B and B, A: a LoRA that is fused, beside the weights, offloaded, and none."""
    arms = [
        make_arm(**LORA),
        make_arm(fast=FastSettings(fuse_loras=False), **LORA),
        make_arm(fast=FastSettings(cpu_offload=True), **LORA),
        make_arm(),
    ]
    forwards = [_frames(family, arm).tobytes() for arm in arms]
    backwards = [_frames(family, arm).tobytes() for arm in reversed(arms)]

    assert forwards == backwards[::-1]
    assert len(set(forwards)) >= 2


def test_weights_are_equal_after_loras_beside_them_and_offloading(
    family: AnimateDiffFamily,
) -> None:
    family.prepare(make_arm())
    before = {key: tensor.clone() for key, tensor in family.network().state_dict().items()}
    family.prepare(make_arm(fast=FastSettings(fuse_loras=False, cpu_offload=True), **LORA))
    held = family.network().state_dict()
    assert any("lora" in key for key in held)
    assert all(torch.equal(held[_beside(key, held)], kept) for key, kept in before.items())

    family.prepare(make_arm())
    after = family.network().state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], kept) for key, kept in before.items())


def _beside(key: str, state: dict[str, torch.Tensor]) -> str:
    """Return the name of a weight where peft may have wrapped its layer."""
    layer, _, name = key.rpartition(".")
    wrapped = f"{layer}.base_layer.{name}"
    return wrapped if wrapped in state else key


def test_only_an_arms_own_loras_stay_beside_the_weights(family: AnimateDiffFamily) -> None:
    """Wrappers that another arm has left would cost time at every call."""
    family.prepare(make_arm(loras=(lora("lora_b"),)))
    family.prepare(make_arm(fast=FastSettings(fuse_loras=False), **LORA))
    network = family.network()
    active = {
        name
        for module in network.modules()
        if hasattr(module, "lora_A")
        for name in module.active_adapters
    }

    assert len(active) == 1


def test_offloaded_models_are_brought_to_the_device_one_after_the_other(
    family: AnimateDiffFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the hooks of accelerate do, in order: on a CPU they move nothing, but are asked."""
    from accelerate.hooks import CpuOffload

    seen: list[str] = []
    own = CpuOffload.pre_forward

    def spy(self: CpuOffload, module: torch.nn.Module, *given: object, **named: object) -> object:
        seen.append(type(module).__name__)
        assert self.execution_device == torch.device("cpu:0")
        return own(self, module, *given, **named)

    def clip(arm: Arm) -> list[str]:
        family.prepare(arm)
        seen.clear()
        family.decode(family.denoise(family.encode(PROMPTS), [11, 12]))
        return list(dict.fromkeys(seen))

    monkeypatch.setattr(CpuOffload, "pre_forward", spy)
    offloaded = clip(make_arm(fast=FastSettings(cpu_offload=True)))

    assert offloaded == ["CLIPTextModel", "UNetMotionModel", "AutoencoderKL"]
    assert clip(make_arm()) == []


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
    "fast",
    [
        {"channels_last": True},
        {"decode_frames": 4},
        {"compile": "default"},
        {"fuse_loras": False},
        {"cpu_offload": True},
        None,
    ],
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
        ({"fast": FastSettings(fuse_loras=False)}, ""),
        ({"fast": FastSettings(cpu_offload=True)}, ""),
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

TEACHER = "  - name: teacher-{steps}\n"
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
        ("{fuse_loras: true}", "LoRAs are fused into the weights unless"),
        ("{fuse_loras: false}", "this arm has no LoRA"),
    ],
)
def test_a_setting_that_is_what_happens_anyway_is_refused(
    tmp_path: Path, fast: str, reason: str
) -> None:
    assert reason in _refused(tmp_path, fast)


@pytest.mark.parametrize(
    ("fast", "reason"),
    [
        ("{fuse_loras: false, compile: default}", "compiled code is made of fused weights"),
        ("{cpu_offload: true, compile: cuda_graphs}", "holds on to weights that move"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, fast: str, reason: str
) -> None:
    assert reason in _refused(tmp_path, fast)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("    dtype: bfloat16\n", "is of another base, VAE or dtype"),
        ("    fast: {compile: default}\n", "is compiled"),
        ("", ""),
    ],
)
def test_memory_of_an_offloaded_arm_counts_no_other_arms_models(
    tmp_path: Path, other: str, reason: str
) -> None:
    text = changed(FAST_ARM, "{FAST}", "{cpu_offload: true}")
    path = write_spec(tmp_path, changed(text, TEACHER, TEACHER + other))
    if not reason:
        assert [arm.fast for arm in plan_of(path).arms if arm.fast] == [
            FastSettings(cpu_offload=True)
        ]
        return
    with pytest.raises(InputError, match=f"'cpu_offload': arm 'teacher.*' {reason}"):
        plan_of(path)


@pytest.mark.parametrize(
    ("family", "fast", "reason"),
    [
        ("wan", FastSettings(cpu_offload=True), "stay on the device"),
        ("ltx", FastSettings(fuse_loras=False), "always fused"),
        ("animatediff", FastSettings(fuse_loras=False, cpu_offload=True), ""),
    ],
)
def test_a_setting_that_a_family_does_not_have_is_refused(
    tmp_path: Path, family: str, fast: FastSettings, reason: str
) -> None:
    plan = plan_of(write_spec(tmp_path, SPEC))
    asked = plan.spec.arms[0].model_copy(
        update={"family": family, "fast": fast, "loras": (lora("lora_a"),)}
    )
    said = "; ".join(text for _, text in idle(asked, plan.spec.shape, plan.spec.batch_size))

    assert (reason in said) if reason else said == ""


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


@pytest.mark.parametrize("setting", ["compile: cuda_graphs", "cpu_offload: true"])
def test_what_needs_a_gpu_is_refused_on_a_cpu(tmp_path: Path, setting: str) -> None:
    path = write_spec(tmp_path, changed(FAST_ARM, "{FAST}", f"{{{setting}}}"))
    name = setting.removesuffix(": true")

    with pytest.raises(InputError, match=rf"'{name}' does nothing there \(fast\)"):
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
