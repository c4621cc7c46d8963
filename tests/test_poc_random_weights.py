"""Laws of latency before weights: real architectures, live activations, no word of quality."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import open_clip
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from planning_fixture import CRITERIA, changed, write_spec
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from poc import cli, decision_case, run
from poc.errors import InputError
from poc.fetch import wanted
from poc.licences import read_licences
from poc.models import MODELS, read_models
from poc.pipelines.animatediff import load_adapter
from poc.pipelines.random_weights import (
    LORA_EFFECT,
    SILU_SECOND_MOMENT,
    clip_tokenizer,
    write_random,
)
from poc.preflight import Surroundings, preflight
from poc.records import LatencyScenario, Light, Verdict
from poc.run import read_plan
from poc.spec import read_spec
from poc.store import RunStore
from reports.export.markdown import literal
from reports.text import Language, load_text

SPECS: Final = MODELS.parent
ARCHITECTURES: Final = SPECS / "architectures"
SPEC: Final = SPECS / "latency-before-weights.yaml"
CONFIGS: Final = {
    path.relative_to(ARCHITECTURES).as_posix(): json.loads(path.read_text("utf-8"))
    for path in sorted(ARCHITECTURES.rglob("*.json"))
}

# --- the snapshots -------------------------------------------------------------------------------


def numbers(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "build", "expected"),
    [
        ("sd15/unet/config.json", UNet2DConditionModel.from_config, 859_520_964),
        ("sd15/vae/config.json", AutoencoderKL.from_config, 83_653_863),
        ("sd-vae/config.json", AutoencoderKL.from_config, 83_653_863),
        (
            "sd15/text_encoder/config.json",
            lambda config: CLIPTextModel(CLIPTextConfig(**config)),
            123_060_480,
        ),
        ("taesd/config.json", AutoencoderTiny.from_config, 2_445_063),
        ("motion-v2/config.json", MotionAdapter.from_config, 453_209_280),
        ("motion-v3/config.json", MotionAdapter.from_config, 417_137_600),
    ],
)
def test_a_snapshot_builds_a_network_of_the_published_size(
    name: str, build: Callable[[Mapping[str, Any]], torch.nn.Module], expected: int
) -> None:
    """The sizes of Stable Diffusion 1.5 are known from elsewhere; the README names the others."""
    with torch.device("meta"):
        network = build(CONFIGS[name])

    assert numbers(network) == expected
    assert f"{expected:,}" in (ARCHITECTURES / "README.md").read_text("utf-8")


def test_the_lora_has_the_size_of_the_published_files(tmp_path: Path) -> None:
    """135 MB of float16, by the cards of LCM-LoRA and of AnimateLCM."""
    write_random(ARCHITECTURES / "lora-rank64", tmp_path / "lora", dtype="float16")
    (path,) = (tmp_path / "lora").glob("*.safetensors")
    tensors = load_file(path)

    assert sum(tensor.numel() for tensor in tensors.values()) == 67_252_224
    assert 134e6 < path.stat().st_size < 136e6


def test_every_model_of_the_spec_has_an_architecture() -> None:
    models = read_models()
    plan, _ = read_plan(SPEC)

    for model in plan.arms[0].model_digests:
        assert models.architecture(model).is_dir()
    assert {arm.weights for arm in plan.arms} == {"random"}


@pytest.mark.parametrize("text", ["a ginger cat, washing its face", "3 dogs!", "京都の夜、雨", ""])
def test_the_tokenizer_is_clips_own(text: str) -> None:
    """Against open_clip, which implements the same encoding independently."""
    expected = open_clip.tokenize(text)[0].tolist()
    found = clip_tokenizer()(text, padding="max_length", max_length=77)["input_ids"]
    end = expected.index(49407) + 1

    assert len(clip_tokenizer()) == 49408
    assert found[:end] == expected[:end]


# --- reduced, so that a CPU can run them ---------------------------------------------------------

SMALLER: Final[Mapping[str, Any]] = {
    "norm_num_groups": 8,
    "motion_norm_num_groups": 8,
    "cross_attention_dim": 32,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 32,
    "rank": 4,
    "layers_per_block": 1,
    "motion_layers_per_block": 1,
}


def reduced(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same kinds of blocks, fewer layers of fewer channels."""
    narrow = {key: SMALLER.get(key, value) for key, value in config.items()}
    if "block_out_channels" in config:
        vae = config["_class_name"] == "AutoencoderKL"
        narrow["block_out_channels"] = [16, 16, 32, 32] if vae else [32, 64, 64, 64]
    if "unet" in config:
        narrow["unet"] = reduced(config["unet"])
    return narrow


def write_architectures(home: Path) -> Path:
    for name, config in CONFIGS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(reduced(config)), "utf-8")
    return home


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of every reduced architecture, under the names of the snapshots."""
    home = tmp_path_factory.mktemp("random")
    architectures = write_architectures(home / "architectures")
    for name in ("sd15", "motion-v2", "motion-v3", "sd-vae", "taesd", "lora-rank64"):
        write_random(architectures / name, home / name, dtype="float32")
    return home


def alive(output: torch.Tensor) -> bool:
    """Within the tolerance that the module states."""
    return bool(torch.isfinite(output).all()) and 0.5 < float(output.std()) < 2.0


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_activations_keep_their_variance(small: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(small / "sd15" / "unet")
    motion = load_adapter(small / "motion-v2", torch.float32)
    vae = AutoencoderKL.from_pretrained(small / "sd15" / "vae")
    text = CLIPTextModel.from_pretrained(small / "sd15" / "text_encoder")
    tiny_vae = AutoencoderTiny.from_pretrained(small / "taesd")
    video = UNetMotionModel.from_unet2d(unet, motion)
    words = noise(1, 77, 32)

    assert alive(text(torch.arange(77)[None]).last_hidden_state)
    assert alive(unet(noise(1, 4, 16, 16), 500, words).sample)
    assert alive(video(noise(1, 4, 4, 16, 16), torch.tensor(500), words.repeat(4, 1, 1)).sample)
    assert alive(vae.decode(noise(1, 4, 8, 8)).sample)
    assert alive(tiny_vae.decode(noise(1, 4, 8, 8)).sample)


@torch.inference_mode()
def test_the_tolerance_is_one_that_usual_weights_miss() -> None:
    """The twin: PyTorch's own initialisation lets activations fade."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(reduced(CONFIGS["sd15/unet/config.json"]))

    assert not alive(unet(noise(1, 4, 16, 16), 500, noise(1, 77, 32)).sample)


def test_no_matrix_is_zero_or_sparse(small: Path) -> None:
    """A float32 normal deviate is exactly zero now and then; a zero matrix would save power."""
    for name in ("sd15/unet", "sd15/vae", "sd15/text_encoder", "motion-v2", "lora-rank64"):
        for path in (small / name).glob("*.safetensors"):
            drawn = {key: one for key, one in load_file(path).items() if "pos_embed" not in key}
            matrices = [one for one in drawn.values() if one.ndim > 1]
            assert matrices
            assert all(float((one == 0).float().mean()) < 1e-3 for one in matrices)


def test_the_second_moment_behind_a_silu_is_what_the_module_says() -> None:
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-(grid**2) / 2) / (2 * torch.pi) ** 0.5
    expected = torch.trapezoid(torch.nn.functional.silu(grid) ** 2 * density, grid)

    assert pytest.approx(float(expected), abs=1e-4) == SILU_SECOND_MOMENT


def test_a_lora_changes_weights_by_the_stated_share(small: Path) -> None:
    (path,) = (small / "lora-rank64").glob("*.safetensors")
    tensors = load_file(path)
    key = next(key for key in tensors if "ff.net.2" in key and "lora_A" in key)
    down, up = tensors[key], tensors[key.replace("lora_A", "lora_B")]
    change = (up @ down).std() * down.shape[1] ** 0.5

    assert float(change) == pytest.approx(LORA_EFFECT, rel=0.25)


def test_equal_architectures_have_equal_weights_and_are_drawn_once(
    small: Path, tmp_path: Path
) -> None:
    target = tmp_path / "again"
    (tmp_path / "again.part").mkdir()  # what a process that was killed left
    (tmp_path / "again.part" / "torn").write_bytes(b"x")
    write_random(small / "architectures/motion-v2", target, dtype="float32")
    files = {path.name: path.read_bytes() for path in target.iterdir()}
    assert files == {path.name: path.read_bytes() for path in (small / "motion-v2").iterdir()}

    (target / "config.json").write_bytes(b"kept")
    write_random(small / "architectures/motion-v2", target, dtype="float32")
    assert (target / "config.json").read_bytes() == b"kept"


def test_a_folder_that_describes_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "Evil"}')
    with pytest.raises(InputError, match="'_class_name': expected one of AutoencoderKL"):
        write_random(tmp_path, tmp_path / "out", dtype="float32")

    assert not (tmp_path / "out").exists()


# --- the spec ------------------------------------------------------------------------------------


def shortened(text: str) -> str:
    """The shipped spec at a size for a CPU."""
    for old, new in (
        ("num_frames: 16, height: 512, width: 512", "num_frames: 2, height: 64, width: 64"),
        ("dtype: float16", "dtype: float32"),
        ("prompts: 4", "prompts: 2"),
        ("steps: 25", "steps: 5"),
        ("baseline: teacher-25", "baseline: teacher-5"),
        ("steps: 8\n", "steps: 2\n"),
        ("steps: 4\n    guidance: 1.5", "steps: 2\n    guidance: 1.5"),
        ("steps: [1, 2, 4, 8]", "steps: [1, 2]"),
        ("warmup: 2, repeats: 29", "warmup: 1, repeats: 6"),
        ("clips: 4, repeats: 6", "clips: 2, repeats: 6"),
    ):
        text = changed(text, old, new)
    return text


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our models.yaml beside the reduced architectures."""
    home = tmp_path_factory.mktemp("table")
    write_architectures(home / "specs" / "architectures")
    (home / "tiny").symlink_to(SPECS.parent / "tiny")
    path = home / "specs" / "models.yaml"
    path.write_text(MODELS.read_text("utf-8"), "utf-8")
    return path


@cache
def ended(table: Path) -> Path:
    """The shipped spec run at reduced size, by the command; returns the run folder."""
    home = table.parent
    (home / "criteria").mkdir(exist_ok=True)
    criteria = (SPECS / "criteria" / "latency.yaml").read_text("utf-8")
    (home / "criteria" / "latency.yaml").write_text(criteria, "utf-8")
    (home / "latency.yaml").write_text(shortened(SPEC.read_text("utf-8")), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "read_models", lambda: read_models(table))
        command = ["run", str(home / "latency.yaml"), "--out", str(home / "runs" / "one")]
        assert cli.main([*command, "--workers", "1"]) == 0
    return home / "runs" / "one"


def test_the_spec_runs_from_architectures_to_times(table: Path) -> None:
    store = RunStore.open_reader(ended(table))
    timed = [sample for sample in store.latency() if sample.round >= 0]

    assert len(timed) == 6 * len(store.plan.arms)
    assert all(sample.denoise_s > 0 and sample.decode_s > 0 for sample in timed)
    batches = [one for one in store.timed() if one.scenario is LatencyScenario.OFFLINE]
    assert [one.clips for one in batches] == [2] * 6 * len(store.plan.arms)
    control = [one for one in store.timed() if one.scenario is LatencyScenario.CONTROL]
    assert [one.arm_id for one in control] == [store.plan.baseline_id] * 6
    assert store.generations() == ()
    assert store.plan.batches == ()
    assert (table.parent / "runs" / run.RANDOM_WEIGHTS).is_dir()


def test_every_surface_says_that_quality_was_not_measured(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ended(table)
    decision = json.loads((path / "decision.json").read_text("utf-8"))
    said = decision["reasons"][0]

    assert decision["kind"] == "demonstration"
    assert "Quality was not measured" in said["text_en"]
    assert "品質は計測しておらず" in said["text_ja"]
    expected: Mapping[Language, str] = {
        "ja": "品質は計測していません",
        "en": "quality was not measured",
    }
    for language, words in expected.items():
        page = path.parent / f"{language}.html"
        command = ["report", str(path), "--lang", language, "--out", str(page)]
        assert cli.main(command) == 0
        assert words in page.read_text("utf-8")
        document, text = path.parent / f"{language}.md", load_text(language)
        command = ["report", str(path), "--format", "md", "--lang", language]
        assert cli.main([*command, "--out", str(document)]) == 0
        written = document.read_text("utf-8")
        assert words in written
        assert literal(text("section.claims.random")) in written
        assert literal(text("section.claims.demonstration")) not in written
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "read_models", lambda: read_models(table))
        cli.main(["decide", str(path)])
    printed = capsys.readouterr().out
    assert "none is weighed, because the weights are random" in printed
    assert printed.rstrip().endswith("decision: INSUFFICIENT_EVIDENCE")


def test_random_weights_never_end_in_go_whatever_is_asked(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line is met, and even where speed alone could carry a GO there is none."""
    monkeypatch.setattr(decision_case, "carries_go", lambda _asked: True)
    store = RunStore.open_reader(ended(table))
    (speed,) = store.plan.criteria.criteria
    easy = speed.model_copy(update={"target": 100.0, "minimum": 200.0})
    asked = store.plan.criteria.model_copy(update={"criteria": (easy,)})
    found = run.derive(store, read_models(table), run.Beside(criteria=asked)).decision

    assert {one.verdict for arm in found.arms for one in arm.results} == {Verdict.PASS}
    assert {arm.technical for arm in found.arms} == {Light.INSUFFICIENT_EVIDENCE}


def test_nothing_is_fetched_and_nothing_unpinned_stops_it() -> None:
    plan, models = read_plan(SPEC)

    assert wanted(plan, models) == ()
    found = preflight(plan, models, read_licences(), Surroundings())
    assert not [one for one in found if str(one.severity) == "error"]


HEAD: Final = "kind: demonstration"
TIMED: Final = "latency: {warmup: 2, repeats: 29, control: true, offline: {clips: 4, repeats: 6}}"
MOTION: Final = changed(CRITERIA, "metric: clip_score", "metric: latency_p50_s")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (HEAD, "kind: procurement", "'kind': with random weights expected 'demonstration'"),
        ("metrics: []", "metrics: [motion]", "'metrics': expected none"),
        (TIMED, "latency: null", "'latency': random weights are"),
        ("weights: random", "weights: null", "'metrics': expected at least one, got none"),
        ("weights: random", "weights: zeros", "'weights': expected"),
    ],
)
def test_what_does_not_go_with_random_weights_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = changed(SPEC.read_text("utf-8"), "criteria/latency.yaml", "criteria.yaml")
    assert read_spec(write_spec(tmp_path, text, MOTION)).weights == "random"
    with pytest.raises(InputError) as caught:
        read_spec(write_spec(tmp_path, changed(text, old, new), MOTION))

    assert message in str(caught.value)


def test_criteria_on_clips_are_refused(tmp_path: Path) -> None:
    text = changed(SPEC.read_text("utf-8"), "criteria/latency.yaml", "criteria.yaml")
    share = changed(CRITERIA, "metric: clip_score", "metric: valid_share")
    with pytest.raises(InputError, match="only times mean anything"):
        read_plan(write_spec(tmp_path, text, share))


def test_random_arms_are_others_than_those_of_the_real_weights() -> None:
    plan, _ = read_plan(SPEC)
    real, _ = read_plan(SPECS / "quick-gpu.yaml")

    assert {arm.id for arm in plan.arms}.isdisjoint(arm.id for arm in real.arms)
