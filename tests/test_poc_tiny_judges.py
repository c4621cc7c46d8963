"""The judges train in a handful of steps, load as any other judge, and see seen scenes only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics.extractors.base import WeightsError
from metrics.extractors.clip import load_clip
from poc.errors import InputError
from poc.tiny import judges, world
from poc.tiny.judges import auc, train_clip, train_video_network
from poc.tiny.judging_data import ATTRIBUTES, UNKNOWN, render_examples, soften, training_examples
from poc.tiny.oracle import read
from poc.tiny.stills import read_heldout, read_stills, write_stills
from poc.tiny.video_network import load_video_extractor
from poc.tiny.world import Style


def _short(config: judges.JudgeConfig) -> judges.JudgeConfig:
    return replace(config, clips=24, loop=replace(config.loop, steps=2, batch=4))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges")
    lines: list[str] = []
    train_video_network(
        folder / "work", folder / "video_features", _short(judges.VIDEO), lines.append
    )
    train_clip(folder / "work", folder / "clip", _short(judges.CLIP), lines.append)
    assert any("step 2 of 2" in line for line in lines)
    for style in Style:
        write_stills(folder / "stills" / style, style, 2, 1, heldout=2)
    return folder


def test_both_judges_load_and_are_scored(weights: Path) -> None:
    scores = judges.evaluate_judges(weights, count=4)
    named = {"clip_auc", "clip_auc_degraded", "style_auc_neon", "video_shape", "video_texture"}
    assert named <= set(scores)
    similar = {name for name in scores if name.startswith("style_similarity_")}
    assert len(similar) == 2 * len(Style)
    assert all(-1 <= scores[name] <= 1 for name in similar)
    assert all(0 <= score <= 1 for name, score in scores.items() if name not in similar)


def test_features_are_scaled_to_clean_plain_clips_and_depend_on_no_batch(weights: Path) -> None:
    network = load_video_extractor(weights / "video_features", extractor_id="v")
    clips = training_examples(weights / "work", 24, judges.VIDEO.seed)
    features = network.features(clips.clips)
    plain = features[(clips.labels[:, judges.UNSAID] == 0).all(1)]
    assert np.allclose(plain.mean(0), 0, atol=0.05)
    assert np.allclose(plain.std(0, ddof=1), 1, atol=0.05)
    assert np.allclose(network.features(clips.clips[3:4]), features[3:4], atol=1e-4)


def test_a_damaged_config_of_the_video_network_is_one_clear_error(
    weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="no config of a video network"):
        load_video_extractor(tmp_path, extractor_id="v")
    assert load_video_extractor(weights / "video_features", extractor_id="v").dimension == 32


def test_clip_reads_a_full_caption_to_its_end(weights: Path) -> None:
    judge = load_clip(weights / "clip", extractor_id="c", batch_size=8, expected_sha256=None)
    full = world.caption(world.seen_scenes()[0])
    other = full.replace("lit from the left", "lit from the right")
    assert judge.token_counts([full])[0] <= judge.max_tokens
    first, second = judge.text_features([full, other])
    assert not np.allclose(first, second)
    assert np.allclose(first, judge.text_features([full, "a"])[0], atol=1e-5)


def test_examples_of_training_are_seen_scenes_and_come_back_from_disk(tmp_path: Path) -> None:
    made, read = (training_examples(tmp_path, 6, 1) for _ in range(2))
    assert not any(world.is_unseen(scene) for scene in made.scenes)
    assert made.scenes == read.scenes
    assert np.array_equal(made.clips, read.clips)
    names = list(ATTRIBUTES)
    first = made.scenes[0]
    assert ATTRIBUTES["colour"][made.labels[0, names.index("colour")]] is first.colour


def test_a_caption_fits_every_picture_that_it_does_not_contradict() -> None:
    data = render_examples(world.seen_scenes()[:1], 1, 0)
    says = np.repeat(data.labels, 5, axis=0)
    names = ("motion", "light", "shape", "texture")
    motion, light, shape, texture = (list(ATTRIBUTES).index(name) for name in names)
    says[1, motion] = (says[1, motion] + 1) % 6  # no picture shows it
    says[2, light] = UNKNOWN
    says[3, shape] = (says[3, shape] + 1) % 4
    says[4, texture] = (says[4, texture] + 1) % 3  # no caption speaks of it
    assert judges._fits(data.labels, says).tolist() == [[True, True, True, False, True]]


def test_half_of_the_examples_have_the_worlds_own_texture_and_the_rest_another() -> None:
    data = render_examples(world.seen_scenes(), 200, 5, looks=(None,))
    strengths = data.labels[:, list(ATTRIBUTES).index("texture")]
    assert 0.4 <= np.mean(strengths == 0) <= 0.6
    contrasts = [read(clip).contrast or 0.0 for clip in data.clips[:60]]
    means = [
        np.mean([c for c, s in zip(contrasts, strengths, strict=False) if s == k]) for k in range(3)
    ]
    assert means == pytest.approx([0.96, 0.48, 1.54], rel=0.1)


def test_softening_keeps_a_flat_clip_and_smears_an_edge() -> None:
    flat = np.full((2, 64, 64, 3), 90, np.uint8)
    edge = flat.copy()
    edge[:, :, 32:] = 200
    assert np.array_equal(soften(flat, 3.0), flat)
    assert len(np.unique(soften(edge, 3.0))) > 3


def test_auc_of_separated_and_of_equal_scores() -> None:
    low, high = np.array([0.0, 1.0]), np.array([2.0, 3.0])
    assert (auc(high, low), auc(low, high), auc(low, low)) == (1.0, 0.0, 0.5)


def test_stills_are_distinct_seen_scenes_with_captions_that_parse(tmp_path: Path) -> None:
    write_stills(tmp_path, Style.NEON, 5, 1, heldout=3)
    stills = read_stills(tmp_path)
    assert [path.name for path, _ in stills] == [f"{i:03}.png" for i in range(5)]
    assert len(list((tmp_path / "heldout").glob("*.png"))) == 3
    for path, text in stills:
        scene = world.parse(text)
        assert scene.motion is None
        assert not world.is_unseen(scene)
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == ((64, 64), "RGB")


def test_too_many_stills_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1921"):
        write_stills(tmp_path, Style.NEON, 1900, 1, heldout=21)


def test_missing_stills_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        read_heldout(tmp_path)


def test_stills_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "heldout").mkdir()
    for name, level in (("001.png", 200), ("000.png", 100)):
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(tmp_path / "heldout" / name)

    assert read_heldout(tmp_path)[:, 0, 0, 0].tolist() == [100, 200]
