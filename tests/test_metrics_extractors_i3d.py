"""Our I3D is the published network: its layers, its two preparations, and how files become it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from metrics.base import Frames
from metrics.extractors.base import Preparation, VideoExtractor, WeightsError, file_digest
from metrics.extractors.i3d import (
    PUBLISHED,
    I3d,
    PublishedFile,
    black_white_step,
    convert,
    git_blob,
    load_i3d,
    main,
    prepare,
)

THINNER = 16
CLIPS: Frames = np.random.default_rng(0).integers(0, 256, (3, 10, 24, 32, 3), dtype=np.uint8)

MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


def _random(seed: int = 0) -> I3d:
    """A thin network whose every weight matters, eps 1e-5 as the pickle's code has it."""
    torch.manual_seed(seed)
    network = I3d(classes=20, eps=1e-5, thinner=THINNER)
    for name, value in network.state_dict().items():
        noise = torch.rand_like(value)
        if name.endswith("conv3d.weight"):
            value.copy_(torch.randn_like(value) * (2 / value[0].numel()) ** 0.5)
        else:
            value.copy_(noise + 0.5 if name.endswith(("var", "bn.weight")) else noise - 0.5)
    return network.eval()


def _published_state(network: I3d) -> dict[str, torch.Tensor]:
    """The names that the published pickle has for these weights."""
    return {name.removeprefix("body."): value for name, value in network.state_dict().items()}


def _same(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """TensorFlow's SAME padding for one kernel and stride in all three directions."""
    widths = []
    for size in x.shape[:1:-1]:
        total = max(kernel - (size % stride or stride), 0)
        widths += [total // 2, total - total // 2]
    return F.pad(x, widths)


def _by_hand(w: Mapping[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """I3D of the paper's figure 3 in plain calls, from the published names of its weights."""

    def unit(name: str, x: torch.Tensor, kernel: int = 1, stride: int = 1) -> torch.Tensor:
        y = F.conv3d(_same(x, kernel, stride), w[f"{name}.conv3d.weight"], stride=stride)
        shape = (1, -1, 1, 1, 1)
        mean, variance, gain, shift = (
            w[f"{name}.bn.{key}"].view(shape)
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return ((y - mean) / (variance + 1e-5).sqrt() * gain + shift).clamp(min=0)

    def flat_pool(x: torch.Tensor) -> torch.Tensor:
        # 112 and 56 are even: SAME puts one row behind and none before.
        return F.max_pool3d(F.pad(x, (0, 1, 0, 1)), (1, 3, 3), (1, 2, 2))

    x = unit("Conv3d_1a_7x7", x, 7, 2)
    x = unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", flat_pool(x)), 3)
    x = flat_pool(x)
    for name in MIXED:
        if name == "4b":
            x = F.max_pool3d(_same(x, 3, 2), 3, 2)
        if name == "5b":
            x = F.max_pool3d(_same(x, 2, 2), 2, 2)
        at = f"Mixed_{name}"
        pooled = F.max_pool3d(_same(x, 3, 1), 3, 1)
        branches = [
            unit(f"{at}.b0", x),
            unit(f"{at}.b1b", unit(f"{at}.b1a", x), 3),
            unit(f"{at}.b2b", unit(f"{at}.b2a", x), 3),
            unit(f"{at}.b3b", pooled),
        ]
        x = torch.cat(branches, 1)
    cells = x.unfold(2, 2, 1).mean(-1).mean(dim=(3, 4))  # (n, c, t): pairs of frames, all 7 x 7
    logits = torch.einsum("nct,kc->nkt", cells, w["logits.conv3d.weight"][:, :, 0, 0, 0])
    return (logits + w["logits.conv3d.bias"][:, None]).mean(2), cells.mean(2)


@torch.inference_mode()
def test_logits_and_features_are_those_of_the_papers_network_written_by_hand() -> None:
    frames = 10  # then 5, 3 and 2: every kind of padding in time
    network = _random()
    clips = torch.rand(2, 3, frames, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1

    logits, pooled = _by_hand(_published_state(network), clips)

    torch.testing.assert_close(network(clips), logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(clips, "pooled"), pooled, rtol=1e-4, atol=1e-4)
    assert float(logits.std(0).mean()) > 1e-3  # the two clips differ, so the comparison says much


def test_the_full_network_has_the_published_shapes() -> None:
    with torch.device("meta"):
        state = _published_state(I3d(classes=400, eps=1e-5))

    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["Conv3d_1a_7x7.conv3d.weight"] == (64, 3, 7, 7, 7)
    assert shapes["Conv3d_2c_3x3.conv3d.weight"] == (192, 64, 3, 3, 3)
    assert shapes["Mixed_4f.b1a.conv3d.weight"] == (160, 528, 1, 1, 1)
    assert shapes["Mixed_5c.b2b.bn.running_var"] == (128,)
    assert shapes["logits.conv3d.weight"] == (400, 1024, 1, 1, 1)
    weights = [value for name, value in state.items() if "running" not in name]
    assert len(state) == 57 * 5 + 2
    # 12.3 million in Carreira and Zisserman without the gains; those are 7,392 here.
    assert sum(value.numel() for value in weights) == pytest.approx(12.7e6, rel=0.01)


# --- preparation ---------------------------------------------------------------------------------


def test_paper_squashes_bilinearly_without_antialiasing() -> None:
    clips = torch.rand(1, 3, 2, 20, 30, generator=torch.Generator().manual_seed(0))

    got = prepare(clips, Preparation.PAPER, side=10)

    # A 20 x 30 frame to 10 x 10: rows are means of two, columns the middle one of three.
    expected = (clips[:, :, :, ::2, 1::3] + clips[:, :, :, 1::2, 1::3]) / 2
    torch.testing.assert_close(got, expected)


def test_clean_takes_the_centred_square_and_averages_all_of_it() -> None:
    stripes = torch.zeros(1, 3, 2, 20, 40)
    stripes[..., 10:30] = 1.0
    stripes[..., 1:20:2, :] *= -1.0

    clean, paper = (prepare(stripes, one, side=5) for one in (Preparation.CLEAN, Preparation.PAPER))

    # The square is stripes of 1 and -1 alone: antialiased they are nothing, up to the border.
    assert float(clean[..., 1:-1, :].abs().max()) < 0.05
    assert float(paper.abs().max()) <= 1.0
    one = torch.ones(1, 3, 2, 20, 40)
    one[..., :10], one[..., 30:] = -1.0, -1.0
    assert float(prepare(one, Preparation.CLEAN, side=5).min()) == pytest.approx(1.0)
    assert float(prepare(one, Preparation.PAPER, side=5).min()) == pytest.approx(-1.0)


def test_frames_of_the_right_size_are_left_as_they_are() -> None:
    clips = torch.rand(1, 3, 2, 10, 10)

    assert prepare(clips, Preparation.PAPER, side=10) is clips


# --- files ---------------------------------------------------------------------------------------


def _published(file: Path, step: float) -> tuple[PublishedFile]:
    known = PublishedFile(
        name=file.name, git_blob=git_blob(file), shown_by="here", to_be_had="here", step=step
    )
    return (known,)


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, I3d]:
    network = _random()
    path = tmp_path_factory.mktemp("i3d") / "i3d.pt"
    torch.save(_published_state(network), path)
    return path, network


@pytest.fixture(scope="module")
def step(pickled: tuple[Path, I3d]) -> float:
    """The distance of black clips to white ones that would be published of this network."""
    return black_white_step(pickled[1])


@pytest.fixture(scope="module")
def converted(
    pickled: tuple[Path, I3d], step: float, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    convert(pickled[0], folder, published=_published(pickled[0], step), thinner=THINNER)
    return folder


def test_a_git_blob_id_is_gits(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"some weights\0" * 1000)

    asked = ["git", "hash-object", str(tmp_path / "f")]
    git = subprocess.run(asked, capture_output=True, text=True, check=True)

    assert git_blob(tmp_path / "f") == git.stdout.strip()


def test_a_pickle_of_known_digest_becomes_safetensors_that_give_the_same_features(
    pickled: tuple[Path, I3d], converted: Path
) -> None:
    network, weights = pickled[1], converted / "model.safetensors"

    extractor: VideoExtractor = load_i3d(
        converted, preparation=Preparation.PAPER, expected_sha256=file_digest(weights)
    )

    for name, value in network.state_dict().items():
        assert torch.equal(load_file(weights)[name], value)
    signed = torch.from_numpy(CLIPS / np.float32(127.5) - np.float32(1)).permute(0, 4, 1, 2, 3)
    frames = [F.interpolate(clip.transpose(0, 1), (224, 224), mode="bilinear") for clip in signed]
    with torch.inference_mode():
        expected = network(torch.stack(frames).transpose(1, 2)).numpy()
    np.testing.assert_allclose(extractor.features(CLIPS), expected, rtol=1e-4, atol=1e-4)
    assert (extractor.dimension, extractor.minimum_frames) == (20, 10)
    assert extractor.id == "i3d-400/logits/paper-1"


def test_converting_writes_what_pins_the_files_beside_their_folder(converted: Path) -> None:
    index = json.loads(converted.with_name(f"{converted.name}.index.json").read_text())

    assert index["files"] == {
        f"{converted.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in converted.iterdir()
    }
    assert len(index["files"]) == 2


def test_converting_again_gives_the_same_bytes(
    pickled: tuple[Path, I3d], step: float, converted: Path, tmp_path: Path
) -> None:
    file = pickled[0]

    convert(file, tmp_path, published=_published(file, step), thinner=THINNER)

    for name in ("config.json", "model.safetensors"):
        assert file_digest(tmp_path / name) == file_digest(converted / name)


def test_features_of_the_two_preparations_differ_and_do_not_depend_on_the_batch(
    converted: Path,
) -> None:
    def features(preparation: Preparation, batch_size: int) -> np.ndarray:
        extractor = load_i3d(
            converted, preparation=preparation, batch_size=batch_size, expected_sha256=None
        )
        return extractor.features(CLIPS[:2])

    one, two = (features(Preparation.CLEAN, size) for size in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert np.abs(features(Preparation.PAPER, 2) - two).max() > 1e-3


def test_pooled_features_are_as_many_as_the_last_block_is_wide(converted: Path) -> None:
    extractor = load_i3d(
        converted, preparation=Preparation.CLEAN, head="pooled", expected_sha256=None
    )

    assert extractor.features(CLIPS[:1]).shape == (1, 1024 // THINNER)
    assert extractor.id == "i3d-400/pooled/clean-1"


def test_a_torchscript_archive_is_matched_by_the_order_of_its_layers(
    pickled: tuple[Path, I3d], step: float, tmp_path: Path
) -> None:
    network = pickled[1]

    class Other(torch.nn.Module):
        """The same layers under other names, normalised by torch's own module."""

        def __init__(self) -> None:
            super().__init__()
            self.head = network.logits.conv3d
            self.layers = torch.nn.ModuleList()
            modules = dict(network.body.named_modules())
            for name, conv in modules.items():
                if isinstance(conv, torch.nn.Conv3d):
                    norm = torch.nn.BatchNorm3d(conv.out_channels, eps=1e-5)
                    ours = modules[f"{name.removesuffix('conv3d')}bn"]
                    norm.load_state_dict(ours.state_dict(), strict=False)
                    self.layers.append(torch.nn.Sequential(conv, norm))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; its old files stay
        torch.jit.save(torch.jit.script(Other().eval()), str(tmp_path / "s.pt"))
    known = _published(tmp_path / "s.pt", step)

    convert(tmp_path / "s.pt", tmp_path / "w", published=known, thinner=THINNER)

    assert json.loads((tmp_path / "w" / "config.json").read_text())["norm_eps"] == 1e-5
    for name, value in network.state_dict().items():
        assert torch.equal(load_file(tmp_path / "w" / "model.safetensors")[name], value)


def test_a_file_of_another_digest_is_not_opened_and_the_answer_says_where_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pt").write_bytes(b"not even a pickle")

    code = main([str(tmp_path / "x.pt"), str(tmp_path / "w")])

    said = capsys.readouterr().err
    assert code == 2
    assert not (tmp_path / "w").exists()
    assert PUBLISHED[0].git_blob in said
    assert git_blob(tmp_path / "x.pt") in said
    assert "To be had: i3d_pretrained_400.pt from https://github.com/songweige/TATS" in said


def test_weights_that_miss_the_published_value_are_not_written(
    pickled: tuple[Path, I3d], step: float, tmp_path: Path
) -> None:
    file = pickled[0]
    known = _published(file, 1.1 * step)

    with pytest.raises(WeightsError, match="as published"):
        convert(file, tmp_path / "w", published=known, thinner=THINNER)
    assert not (tmp_path / "w").exists()


def test_other_layers_than_i3ds_are_refused(tmp_path: Path) -> None:
    torch.save({"logits.conv3d.bias": torch.ones(3)}, tmp_path / "x.pt")

    with pytest.raises(WeightsError, match="not I3D's layers"):
        convert(tmp_path / "x.pt", tmp_path / "w", published=_published(tmp_path / "x.pt", 1.0))


def test_a_folder_without_weights_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"python -m metrics\.extractors\.i3d"):
        load_i3d(tmp_path, preparation=Preparation.CLEAN, expected_sha256=None)


def test_changed_weights_are_refused(converted: Path) -> None:
    with pytest.raises(WeightsError, match="expected sha256"):
        load_i3d(converted, preparation=Preparation.CLEAN, expected_sha256="0" * 64)
