"""Variants of the tiny models: what is trained of them, on what, and how specs find them."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from poc.errors import InputError
from poc.models import MODELS, ModelKind, is_unmade, own_folder, read_models
from poc.tiny import recipe as recipes
from poc.tiny import world
from poc.tiny.ablations import FULL, STILLS, STYLE, VARIANTS, joint_steps, train_ablations
from poc.tiny.adopted import adopt, train_styles
from poc.tiny.card_pictures import STYLE_SCALES, STYLED_LCM_SCALE
from poc.tiny.export import digests
from poc.tiny.stills import by_phone, read_heldout

EMBEDDED = Path(read_models().models["tiny-base"].folder).parent
CHOSEN = ("motion-rougher", "joint", "neon-3-stills")


def quiet(_line: str) -> None: ...


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of three variants, one of each kind, with a handful of steps."""
    folder = tmp_path_factory.mktemp("ablations")
    train_ablations(folder / "out", folder / "work", EMBEDDED, only=CHOSEN, quick=True, log=quiet)
    return folder / "out"


def test_a_variant_leaves_its_parts_with_their_digests(trained: Path) -> None:
    index = json.loads((trained / "index.json").read_text())

    assert {path.name for path in trained.iterdir() if path.is_dir()} == {
        "motion-rougher", "joint", "joint-lora", "neon-3-stills"
    }  # fmt: skip
    assert index["files"] == digests(trained)
    assert set(index["stages"]) == set(CHOSEN)


def test_every_variant_has_an_entry_of_its_kind_and_no_other_says_that_it_is_made_so() -> None:
    left = {}
    for name, variant in VARIANTS.items():
        if variant.adapter:
            left[name] = ModelKind.MOTION_ADAPTER
        if variant.lora:
            left[variant.stages(name)[-1].replace("_", "-")] = ModelKind.LORA
    every = [model.entry for model in read_models().models.values() if model.entry.made_by]
    entries = [one for one in every if one.kind is not ModelKind.VIDEO_FEATURES]

    assert {entry.id: entry.kind for entry in entries} == {
        f"tiny-{folder}": kind for folder, kind in left.items()
    }
    assert {entry.made_by for entry in entries} == {"poc train ablations"}
    home = own_folder() / "tiny-ablations"
    assert all((MODELS.parent / entry.path).resolve() == home / entry.id.removeprefix("tiny-")
               for entry in entries)  # fmt: skip


def test_finished_variants_are_found_by_their_entries_and_the_others_are_unmade(
    trained: Path, tmp_path: Path
) -> None:
    table = tmp_path / "poc" / "specs" / "models.yaml"
    table.parent.mkdir(parents=True)
    table.write_text(MODELS.read_text("utf-8"), "utf-8")
    shutil.copytree(trained, own_folder(table) / "tiny-ablations")
    models = read_models(table)

    assert models.verify("tiny-joint-lora") == own_folder(table) / "tiny-ablations" / "joint-lora"
    unmade = {one.entry.id for one in models.models.values() if is_unmade(one)}
    assert "tiny-decoupled" in unmade
    assert unmade.isdisjoint({"tiny-motion-rougher", "tiny-joint", "tiny-neon-3-stills"})


def test_a_variant_that_was_not_made_says_what_makes_it(tmp_path: Path) -> None:
    table = tmp_path / "poc" / "specs" / "models.yaml"
    table.parent.mkdir(parents=True)
    table.write_text(MODELS.read_text("utf-8"), "utf-8")

    with pytest.raises(InputError, match=r"tiny-joint.* Type `poc train ablations`"):
        read_models(table).verify("tiny-joint")


@pytest.mark.parametrize(("folder", "untrained"), [("motion-rougher", "motion_teacher")])
def test_a_motion_module_has_the_layout_of_the_embedded_one_and_other_weights(
    trained: Path, folder: str, untrained: str
) -> None:
    name = "diffusion_pytorch_model.safetensors"
    own, other = load_file(trained / folder / name), load_file(EMBEDDED / untrained / name)

    assert own.keys() == other.keys()
    assert any(not torch.equal(own[key], other[key]) for key in own)


def test_joint_training_moves_the_lora_of_all_spatial_layers(trained: Path) -> None:
    name = "pytorch_lora_weights.safetensors"
    own, stage_1 = load_file(trained / "joint-lora" / name), load_file(EMBEDDED / "lcm_lora" / name)

    assert own.keys() == stage_1.keys()
    moved = [key for key in own if key.endswith("lora_B.weight") and own[key].abs().max() > 0]
    assert moved


def test_joint_training_has_the_compute_of_both_stages_in_frames() -> None:
    both = FULL.lcm_lora.steps * FULL.lcm_lora.batch
    both += FULL.animatelcm.steps * FULL.animatelcm.batch * world.FRAMES

    joint = joint_steps(FULL) * FULL.animatelcm.batch * world.FRAMES

    assert 0 <= joint - both < FULL.animatelcm.batch * world.FRAMES


def test_variants_that_are_compared_take_the_same_stills_and_none_that_is_held_out(
    tmp_path: Path,
) -> None:
    kitchen = recipes.Kitchen(recipes.QUICK, tmp_path, quiet)
    adopt(kitchen, EMBEDDED, ("vae", "image"))
    pictures = {}
    for count in STILLS:
        name = f"{STYLE}-{count}-stills"
        VARIANTS[name].train(kitchen, name)
        files = sorted((tmp_path / "stills" / name / "train").glob("*.png"))
        pictures[count] = [np.asarray(Image.open(file).convert("RGB")) for file in files]

    assert [len(found) for found in pictures.values()] == list(STILLS)
    for fewer, more in itertools.pairwise(STILLS):
        assert np.array_equal(pictures[fewer], pictures[more][:fewer])
    kept = read_heldout(EMBEDDED / "stills" / STYLE)
    assert not any(np.array_equal(one, other) for one in pictures[STILLS[-1]] for other in kept)


def test_a_phone_still_is_noisier_and_blockier_but_shows_the_same() -> None:
    scene = world.seen_scenes()[0]
    clean = world.render_still(scene, np.random.default_rng(1), STYLE)
    taken = by_phone(clean, np.random.default_rng(2))

    assert taken.shape == clean.shape
    assert taken.dtype == np.uint8
    assert np.corrcoef(clean.ravel(), taken.ravel())[0, 1] > 0.8
    assert np.abs(taken.astype(int) - clean).mean() > 3


# --- stages out of finished weights --------------------------------------------------------------


def test_styles_alone_are_trained_anew_and_all_else_comes_out_as_it_went_in(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    train_styles(out, tmp_path / "work", EMBEDDED, styles=tuple(world.Style), quick=True, log=quiet)

    before, after = digests(EMBEDDED), digests(out)
    changed = {name for name in before if after.get(name) != before[name]}
    tensors = "model.safetensors"
    assert {name.split("/")[0] for name in changed if not name.endswith(tensors)} <= {
        "style_pastel", "style_neon", "stills", "base"
    }  # fmt: skip
    for part in ("base/unet", "base/vae", "motion_animatelcm"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        own, other = load_file(out / name), load_file(EMBEDDED / name)
        assert all(torch.equal(own[key], other[key]) for key in other)
    assert (
        "half precision"
        in json.loads((out / "index.json").read_text())["stages"]["style_neon"]["note"]
    )


@pytest.fixture(scope="module")
def pastel_anew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights and the work of a training of pastel alone."""
    folder = tmp_path_factory.mktemp("pastel")
    asked = (world.Style.PASTEL,)
    train_styles(folder / "out", folder / "work", EMBEDDED, styles=asked, quick=True, log=quiet)
    return folder


def test_a_style_that_is_not_asked_for_comes_out_as_it_went_in(pastel_anew: Path) -> None:
    out = pastel_anew / "out"
    before, after = (
        {name: one for name, one in digests(folder).items() if "neon" in name}
        for folder in (EMBEDDED, out)
    )
    told, new = (
        json.loads((folder / "index.json").read_text())["stages"] for folder in (EMBEDDED, out)
    )

    assert before
    assert after == before
    assert new["style_neon"] == told["style_neon"]
    assert "note" in new["style_pastel"]
    assert new["style_pastel"]["steps"] == recipes.QUICK.style_pastel.steps


def test_a_style_that_came_with_the_weights_is_not_taken_for_one_trained_here(
    pastel_anew: Path,
) -> None:
    asked = (world.Style.NEON,)

    with pytest.raises(InputError, match=r"style_neon.*was not trained here"):
        train_styles(
            pastel_anew / "more", pastel_anew / "work", EMBEDDED, styles=asked, quick=True,
            log=quiet,
        )  # fmt: skip
    assert not (pastel_anew / "more").exists()


def test_weights_that_others_trained_are_not_called_trained_from_nothing(pastel_anew: Path) -> None:
    with pytest.raises(InputError, match=r"vae\.safetensors.*was not trained here"):
        recipes.train_tiny(pastel_anew / "more", pastel_anew / "work", quick=True, log=quiet)
    assert not (pastel_anew / "more").exists()


def test_weights_that_lack_a_stage_are_refused_by_its_name(tmp_path: Path) -> None:
    damaged = tmp_path / "weights"
    damaged.mkdir()
    (damaged / "index.json").write_text('{"stages": {}, "files": {}}')

    with pytest.raises(InputError, match="no vae"):
        adopt(recipes.Kitchen(recipes.QUICK, tmp_path / "work", quiet), damaged, ("vae",))


def test_the_cards_picture_has_the_scales_of_the_default_sweep() -> None:
    spec = yaml.safe_load((MODELS.parent / "tiny.yaml").read_text())
    scales = {
        arm["style"]: {use["model"]: use["scale"] for use in arm["loras"]}
        for arm in spec["arms"]
        if arm["style"]
    }

    assert scales == {
        str(style): {"tiny-lcm-lora": STYLED_LCM_SCALE, f"tiny-style-{style}": scale}
        for style, scale in STYLE_SCALES.items()
    }


def test_weights_that_are_not_what_their_index_says_are_not_built_upon(tmp_path: Path) -> None:
    damaged = tmp_path / "weights"
    shutil.copytree(EMBEDDED, damaged)
    (damaged / "lcm_lora" / "pytorch_lora_weights.safetensors").write_bytes(b"other")

    with pytest.raises(InputError, match=r"not those that index\.json lists"):
        adopt(recipes.Kitchen(recipes.QUICK, tmp_path / "work", quiet), damaged, ("vae",))


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the index"):
        adopt(recipes.Kitchen(recipes.QUICK, tmp_path / "work", quiet), tmp_path, ("vae",))


def test_an_unknown_variant_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of .*joint.*; got joined"):
        train_ablations(
            tmp_path / "out", tmp_path, EMBEDDED, only=("joined",), quick=True, log=quiet
        )
