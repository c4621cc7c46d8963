"""Networks and stills given to `poc measure`: used where they are there, else told by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import alexnet
from torchvision.models.optical_flow import raft_large

from metrics import frames
from metrics.base import Frames
from metrics.extractors.clip import load_clip
from metrics.extractors.csd import load_csd
from metrics.extractors.lpips import load_lpips
from metrics.extractors.raft import load_raft
from metrics.paired import ssim_to_baseline
from metrics.style import style_copy, style_similarity, subject_similarity
from poc import cli
from poc.clip_given import Given
from poc.clip_records import ClipReport, Role, Status
from poc.errors import InputError
from poc.measure_folder import FolderJob, FolderResult, measure_folder
from poc.models import read_models
from poc.tiny import world
from poc.video import encode_webm

CLIP = Path(read_models().verify("tiny-clip"))
STILLS = Path(read_models().verify("tiny-stills")) / "pastel"
TEXTS = world.unseen_prompts(3)


def _rendered(number: int, seed: int) -> Frames:
    return world.render_clip(world.parse(TEXTS[number]), np.random.default_rng([seed, number]))


def _write(folder: Path, seed: int, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(count):
        name = f"{TEXTS[number].replace(' ', '_')}.webm"
        (folder / name).write_bytes(encode_webm(_rendered(number, seed), 8))
    return folder


def _measured(folder: Path, given: Given, **options: Any) -> FolderResult:
    job = FolderJob(folder=folder, given=given, **options)
    return measure_folder(job, progress=lambda *_: None)


def _first(result: FolderResult) -> ClipReport:
    return result.clips[0]


def _reason(clip: ClipReport, metric: str) -> str:
    row = clip.row(metric)
    assert row is not None
    assert row.status is Status.NOT_MEASURED
    assert row.value is None
    return row.reason


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return _write(tmp_path / "clips", seed=1)


def test_what_is_not_given_is_told_and_has_no_number(clips: Path) -> None:
    clip = _first(_measured(clips, Given()))

    assert _reason(clip, "unsafe") == "no safety checker is given (--safety)"
    assert "(--subject)" in _reason(clip, "subject_similarity")
    assert "(--style)" in _reason(clip, "style_similarity")
    assert "(--training)" in _reason(clip, "style_copy")
    assert _reason(clip, "ssim_to_baseline") == "no clips of a baseline are given (--baseline)"
    assert "(--lpips)" in _reason(clip, "lpips_to_baseline")


def test_an_open_clip_folder_measures_clips_of_any_kind(clips: Path) -> None:
    given = Given(
        clip=CLIP,
        style=STILLS / "heldout",
        training=STILLS / "train",
        subject=STILLS / "heldout",
    )
    clip = _first(_measured(clips, given, prompts="names"))

    network = load_clip(CLIP, extractor_id="x", batch_size=32, expected_sha256=None)
    images = network.image_features(frames.decode(clips / clip.name).frames)
    heldout, training = (
        np.concatenate(
            [
                network.image_features(np.asarray(Image.open(path).convert("RGB"))[None])
                for path in sorted((STILLS / part).glob("*.png"))
            ]
        )
        for part in ("heldout", "train")
    )
    text = network.text_features([clip.prompt or ""])[0]
    cosine = float((images.astype(float) @ text.astype(float)).mean())
    expected = {
        "clip_score": 100 * cosine,
        "clip_logit": network.logit_scale * cosine,
        "style_similarity": style_similarity(images, heldout).value,
        "style_copy": style_copy(images, heldout, training).value,
        "subject_similarity": subject_similarity(images, heldout).value,
    }
    assert {name: clip.value(name) for name in expected} == pytest.approx(expected, rel=1e-4)
    row = clip.row("clip_score")
    assert row is not None
    assert row.extractor == (
        f"{CLIP.resolve().name} (scale {network.logit_scale:.4g}, {network.max_tokens} tokens)"
    )


def test_a_prompt_that_is_cut_off_is_said(clips: Path, tmp_path: Path) -> None:
    long = f"{TEXTS[0]} {' and '.join([TEXTS[1]] * 12)}"
    prompts = tmp_path / "prompts.csv"
    names = sorted(path.name for path in clips.iterdir())
    prompts.write_text(f'file,prompt\n{_quoted(names[0])},"{long}"\n', "utf-8")

    (note,) = [
        note
        for note in _measured(clips, Given(clip=CLIP), prompts=str(prompts)).summary.notes
        if "longer than" in note
    ]
    assert note.startswith("1 of 1 prompts are longer")


def test_a_prompt_in_another_script_has_no_score_and_the_others_have(
    clips: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.csv"
    one, other, *_ = sorted(path.name for path in clips.iterdir())
    lines = f"file,prompt\n{_quoted(one)},赤い丸\n{_quoted(other)},a red circle\n"
    prompts.write_text(lines, "utf-8")

    found = _measured(clips, Given(clip=CLIP), prompts=str(prompts)).clips
    japanese, english = (next(clip for clip in found if clip.name == name) for name in (one, other))

    assert "multilingual" in _reason(japanese, "clip_score")
    assert english.value("clip_score") is not None
    assert japanese.value("clip_frame_consistency") is not None


def _quoted(name: str) -> str:
    return f'"{name}"'


def test_each_clip_is_laid_beside_the_baselines_of_its_name(clips: Path, tmp_path: Path) -> None:
    baseline = _write(tmp_path / "baseline", seed=2, count=2)
    state = {k: v for k, v in alexnet(weights=None).state_dict().items() if "features" in k}
    save_file(state, tmp_path / "alexnet.safetensors")
    given = Given(baseline=baseline, lpips=tmp_path / "alexnet.safetensors")

    result = _measured(clips, given)

    lpips = load_lpips(tmp_path / "alexnet.safetensors", batch_size=32)
    for clip in result.clips:
        if not (baseline / clip.name).exists():
            assert _reason(clip, "ssim_to_baseline") == "the baseline has no clip of this name"
            continue
        one, other = (frames.decode(f / clip.name).frames for f in (clips, baseline))
        assert clip.value("ssim_to_baseline") == ssim_to_baseline(one, other).value
        assert clip.value("lpips_to_baseline") == pytest.approx(
            float(lpips.distances(one, other).mean())
        )
    assert result.summary.counts.planned == 3  # the baseline's clips are not counted


def test_style_apart_from_content_is_measured_by_the_descriptor_that_is_given(
    clips: Path, tmp_path: Path
) -> None:
    _write_csd(tmp_path / "csd.safetensors")
    given = Given(csd=tmp_path / "csd.safetensors", style=STILLS / "heldout")

    clip = _first(_measured(clips, given))

    network = load_csd(tmp_path / "csd.safetensors", batch_size=32)
    stills = [
        np.asarray(Image.open(path).convert("RGB"))[None]
        for path in sorted((STILLS / "heldout").glob("*.png"))
    ]
    style = np.concatenate([network.image_features(one) for one in stills])
    images = network.image_features(frames.decode(clips / clip.name).frames)
    assert clip.value("csd_style_similarity") == pytest.approx(float((images @ style.T).mean()))
    row = clip.row("csd_style_similarity")
    assert row is not None
    assert (row.extractor, row.extractor_digest) == (network.id, network.digest)
    assert clip.value("style_similarity") is None


def _write_csd(path: Path) -> None:
    """Weights of CSD's shapes, 64 wide and one block deep, with random numbers."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "class_embedding": (64,),
        "positional_embedding": (17, 64),
        "conv1.weight": (64, 3, 8, 8),
        **{f"ln_{at}.{end}": (64,) for at in ("pre", "post") for end in ("weight", "bias")},
    }
    block = {
        "attn.in_proj": (192, 64),
        "attn.out_proj": (64, 64),
        "mlp.c_fc": (128, 64),
        "mlp.c_proj": (64, 128),
    }
    for name, shape in block.items():
        shapes[f"transformer.resblocks.0.{name}.weight"] = shape
        shapes[f"transformer.resblocks.0.{name}.bias"] = shape[:1]
    for name in ("ln_1", "ln_2"):
        shapes |= {f"transformer.resblocks.0.{name}.{end}": (64,) for end in ("weight", "bias")}
    tensors = {
        f"backbone.{name.replace('in_proj.', 'in_proj_')}": torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }
    save_file(tensors | {"last_layer_style": torch.randn(64, 16, generator=generator)}, path)


def test_raft_is_asked_of_clips_that_are_large_enough(tmp_path: Path) -> None:
    save_file(raft_large(weights=None).state_dict(), tmp_path / "raft.safetensors")
    (tmp_path / "clips").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    (tmp_path / "clips" / "large.webm").write_bytes(encode_webm(noise, 8))
    (tmp_path / "clips" / "small.webm").write_bytes(encode_webm(noise[:, :64, :64], 8))

    given = Given(raft=tmp_path / "raft.safetensors")
    large, small = (
        next(one for one in _measured(tmp_path / "clips", given).clips if one.name == name)
        for name in ("large.webm", "small.webm")
    )

    network = load_raft(tmp_path / "raft.safetensors", batch_size=4)
    speeds = network.speeds(frames.decode(tmp_path / "clips" / "large.webm").frames)
    assert large.value("raft_motion") == pytest.approx(float(speeds.mean()))
    assert large.value("motion") != large.value("raft_motion")
    assert small.value("raft_motion") is None


def test_a_device_that_is_not_there_is_refused_before_any_clip(clips: Path) -> None:
    with pytest.raises(InputError, match="abacus"):
        _measured(clips, Given(clip=CLIP, device="abacus"))


def test_a_clip_is_at_no_distance_from_itself(clips: Path) -> None:
    values = [c.value("ssim_to_baseline") for c in _measured(clips, Given(baseline=clips)).clips]

    assert values == pytest.approx([1.0] * 3)


def test_a_bad_clip_of_the_baseline_is_told_and_gives_no_number(
    clips: Path, tmp_path: Path
) -> None:
    baseline = _write(tmp_path / "baseline", seed=2)
    bad = min(baseline.iterdir())
    bad.write_bytes(bad.read_bytes()[:200])

    result = _measured(clips, Given(baseline=baseline))

    assert _reason(_first(result), "ssim_to_baseline").startswith("the baseline's clip of this")
    assert [(one.role, one.file) for one in result.summary.not_ok] == [(Role.BASELINE, bad.name)]


def test_other_stills_and_another_baseline_are_not_taken_from_the_cache(
    clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    one, other = (_write(tmp_path / f"baseline{seed}", seed=seed) for seed in (2, 3))

    def values(baseline: Path, style: str) -> tuple[list[float | None], int]:
        given = Given(clip=CLIP, style=STILLS / style, baseline=baseline)
        result = _measured(clips, given, out=out)
        names = ("ssim_to_baseline", "style_similarity")
        return [_first(result).value(name) for name in names], result.taken

    (ssim, style), _ = values(one, "heldout")
    assert values(one, "heldout") == ([ssim, style], 0)
    (ssim_2, style_2), taken = values(other, "train")
    assert ssim_2 != ssim
    assert style_2 != style
    assert taken > 0


def test_paths_that_lead_nowhere_are_refused_before_any_clip(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["measure", str(clips), "--safety", str(tmp_path / "none")]) == 2
    assert "--safety" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected stills as png"):
        _measured(clips, Given(clip=CLIP, style=clips))
    with pytest.raises(InputError, match=r"--clip .*open_clip"):
        _measured(clips, Given(clip=clips))
    torch.save({}, tmp_path / "empty.pth")
    with pytest.raises(InputError, match="not the weights of AlexNet"):
        _measured(clips, Given(lpips=tmp_path / "empty.pth"))
