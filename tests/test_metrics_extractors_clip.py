"""open_clip from a local folder: the same numbers as open_clip itself, and nothing from outside."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from metrics.base import Frames
from metrics.extractors.base import ImageTextExtractor, WeightsError, file_digest
from metrics.extractors.clip import OpenClipExtractor, _lacks, load_clip, random_clip

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<start>", "<end>"
WORDS = ("a", "red", "blue", "circle", "moving", "left")
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
IMAGES: Frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def _config(text: dict[str, Any]) -> dict[str, Any]:
    text = {"context_length": 8, "width": 32, "heads": 2, "layers": 1} | text
    return {
        "model_cfg": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
    }


def _write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def _save_tokenizer(folder: Path) -> None:
    """One token a word; the end token has the highest id, as CLIP's pooling expects."""
    vocabulary = {word: i for i, word in enumerate((PAD, *WORDS, START, END))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(name, vocabulary[name]) for name in (START, END)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=START, eos_token=END
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("clip") / "plain", _config({"vocab_size": 49408}))


@pytest.fixture(scope="module")
def own_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = _config({"vocab_size": len(WORDS) + 3, "hf_tokenizer_name": "anything"})
    path = _write(tmp_path_factory.mktemp("clip") / "words", config)
    _save_tokenizer(path)
    return path


def _load(folder: Path, batch_size: int = 4, expected: str | None = None) -> OpenClipExtractor:
    return load_clip(
        folder, extractor_id="tiny/test", batch_size=batch_size, expected_sha256=expected
    )


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError(f"the network was asked for {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _by_open_clip(folder: Path, images: Frames) -> np.ndarray[Any, Any]:
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    batch = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.no_grad():
        return np.asarray(model.eval().encode_image(batch, normalize=True).numpy())


def test_image_features_are_open_clips_own(folder: Path) -> None:
    np.testing.assert_allclose(
        _load(folder).image_features(IMAGES), _by_open_clip(folder, IMAGES), atol=1e-6
    )


def test_images_of_another_size_go_through_open_clips_own_preprocessing(folder: Path) -> None:
    wide = np.random.default_rng(1).integers(0, 256, (3, 48, 80, 3), dtype=np.uint8)

    np.testing.assert_allclose(
        _load(folder).image_features(wide), _by_open_clip(folder, wide), atol=1e-6
    )


def test_text_features_are_open_clips_own(folder: Path) -> None:
    prompts = ["a red circle", "a blue circle moving left"]
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(prompts)
    with torch.no_grad():
        expected = model.encode_text(tokens, normalize=True).numpy()

    np.testing.assert_allclose(_load(folder).text_features(prompts), expected, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_features_do_not_depend_on_the_batch_size(folder: Path, batch_size: int) -> None:
    one, whole = _load(folder, batch_size), _load(folder, 5)
    prompts = ["red", "blue", "left"]

    np.testing.assert_allclose(one.image_features(IMAGES), whole.image_features(IMAGES), atol=1e-6)
    np.testing.assert_allclose(one.text_features(prompts), whole.text_features(prompts), atol=1e-6)


def test_features_are_unit_rows(folder: Path) -> None:
    extractor: ImageTextExtractor = _load(folder)

    for rows in (extractor.image_features(IMAGES), extractor.text_features(["red", "blue"])):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_what_is_beyond_the_limit_is_cut_off_and_counted(folder: Path) -> None:
    extractor = _load(folder)
    short, full, long = "red", "a a a a a a", "a a a a a a blue circle"

    assert extractor.max_tokens == 8
    assert extractor.token_counts([short, full, long]) == (3, 8, 10)
    features = extractor.text_features([full, long])
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)


@pytest.mark.usefixtures("_no_network")
def test_a_tokenizer_of_its_own_is_read_from_the_folder_and_nowhere_else(own_words: Path) -> None:
    extractor = _load(own_words)

    assert extractor.token_counts(["a red circle", "a a a a a a blue"]) == (5, 9)
    red, blue = extractor.text_features(["a red circle", "a blue circle"])
    assert np.abs(red - blue).max() > 1e-4


@pytest.mark.usefixtures("_no_network")
def test_a_missing_tokenizer_is_an_error_and_not_a_download(
    own_words: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        (bare / name).write_bytes((own_words / name).read_bytes())

    with pytest.raises(WeightsError, match="bare"):
        _load(bare)


def test_the_digest_covers_weights_config_and_tokenizer(own_words: Path, tmp_path: Path) -> None:
    digests = {_load(own_words).digest}
    for i, changed in enumerate(("open_clip_config.json", "tokenizer.json")):
        copy = tmp_path / str(i)
        copy.mkdir()
        for path in own_words.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        (copy / changed).write_bytes((copy / changed).read_bytes() + b"\n")
        digests.add(_load(copy).digest)

    assert len(digests) == 3


def test_a_pinned_digest_is_checked(folder: Path) -> None:
    digest = file_digest(folder / "open_clip_model.safetensors")

    assert _load(folder, expected=digest).id == "tiny/test"
    with pytest.raises(WeightsError, match="expected sha256"):
        _load(folder, expected="00" * 32)


def test_a_pickle_beside_a_missing_safetensors_is_not_opened(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pickle"
    copy.mkdir()
    (copy / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    (copy / "open_clip_pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n.")

    with pytest.raises(WeightsError, match=r"open_clip_model\.safetensors: cannot be read"):
        _load(copy)


@pytest.mark.parametrize("content", [b"", b"\x80\x04cposix\nsystem\n."])
def test_weights_that_are_no_safetensors_are_refused(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    copy = tmp_path / "bad"
    copy.mkdir()
    (copy / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    (copy / "open_clip_model.safetensors").write_bytes(content)

    with pytest.raises(WeightsError, match="open_clip cannot load it"):
        _load(copy)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_cfg": {}}'])
def test_a_config_that_is_none_is_refused(folder: Path, tmp_path: Path, content: str) -> None:
    copy = tmp_path / "bad"
    copy.mkdir()
    (copy / "open_clip_config.json").write_text(content)
    weights = (folder / "open_clip_model.safetensors").read_bytes()
    (copy / "open_clip_model.safetensors").write_bytes(weights)

    with pytest.raises(WeightsError, match=r"open_clip_config\.json: no readable"):
        _load(copy)


def test_a_text_tower_that_lies_outside_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "outside"
    copy.mkdir()
    config = _config({"hf_model_name": "xlm-roberta-base"})
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    weights = (folder / "open_clip_model.safetensors").read_bytes()
    (copy / "open_clip_model.safetensors").write_bytes(weights)

    with pytest.raises(WeightsError, match="outside the folder"):
        _load(copy)


def test_floats_are_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match="uint8"):
        _load(folder).image_features(IMAGES / 255.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("prompts", [[], "a red circle"])
def test_prompts_are_a_list(folder: Path, prompts: list[str]) -> None:
    with pytest.raises(ValueError, match="list of one text or more"):
        _load(folder).text_features(prompts)


def test_an_untrained_network_says_so_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    extractor = random_clip("ViT-S-32-alt", seed=0, batch_size=2)

    assert torch.equal(torch.rand(1), expected)
    assert extractor.id == "ViT-S-32-alt/random"
    assert extractor.image_features(IMAGES[:2]).shape == (2, 256)


SIGNS = "赤青い丸四角右へ動く"


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Laid out as SigLIP i18n, small: timm's picture tower, its own vocabulary."""
    config = {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 32,
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_model_pretrained": False,
            "timm_pool": "token",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": len(SIGNS) + 2,
            "hf_tokenizer_name": "anything",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 192,
            "heads": 3,
            "layers": 1,
            "no_causal_mask": True,
            "pool_type": "last",
        },
    }
    mean = {"mean": [0.5] * 3, "std": [0.5] * 3}
    path = tmp_path_factory.mktemp("clip") / "siglip-i18n"
    _write(path, {"model_cfg": config, "preprocess_cfg": mean})
    vocabulary = {sign: i for i, sign in enumerate((PAD, UNKNOWN, *SIGNS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN
    ).save_pretrained(path)
    return path


@pytest.mark.usefixtures("_no_network")
def test_japanese_prompts_are_read_by_a_multilingual_network(multilingual: Path) -> None:
    prompts = ["赤い丸", "青い四角"]
    extractor = _load(multilingual)
    model = open_clip.create_model(f"local-dir:{multilingual}").eval()
    tokens = torch.zeros(2, 16, dtype=torch.long)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = torch.tensor([2 + SIGNS.index(sign) for sign in prompt])
    with torch.no_grad():
        expected = model.encode_text(tokens, normalize=True).numpy()

    found = extractor.text_features(prompts)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert abs(float(found[0] @ found[1])) < 0.999
    assert [extractor.why_not(prompt) for prompt in prompts] == ["", ""]


def test_words_that_a_vocabulary_lacks_are_told(multilingual: Path) -> None:
    assert "lacks 1 of 3 parts" in _load(multilingual).why_not("緑い丸")


def test_letters_of_another_script_are_none_of_an_english_vocabulary(folder: Path) -> None:
    extractor = _load(folder)
    assert extractor.why_not("a café, 3 µm away: très élégant!") == ""
    assert extractor.why_not("Ｎｅｏｎ sign, 1ª") == ""
    assert "give a multilingual network" in extractor.why_not("赤い丸 moving left")


def test_threads_may_share_a_network(multilingual: Path) -> None:
    """A tokenizer of transformers is changed by each call: two at once give wrong tokens."""

    class Tokens:
        training = False

        @staticmethod
        def encode_text(tokens: torch.Tensor) -> torch.Tensor:
            return tokens.float()

    extractor = replace(_load(multilingual), model=Tokens())

    def asked(_: int) -> tuple[str, tuple[float, ...]]:
        row = extractor.text_features(["赤い四角"])[0]
        return extractor.why_not("青い丸"), tuple(row.tolist())

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(asked, range(4000)))
    assert len(found) == 1


def test_letters_that_are_spelt_by_bytes_are_told() -> None:
    """A vocabulary without a token for what it lacks: it takes bytes, and always has them."""
    words = PreTrainedTokenizerFast(tokenizer_object=_of_bytes(), pad_token=PAD)
    tokenizer = SimpleNamespace(tokenizer=words, clean_fn=str)
    assert _lacks(tokenizer, "雨") == (
        "the vocabulary lacks 3 of 3 parts of the prompt: give another network"
    )
    assert _lacks(tokenizer, "rain") == ""
    assert _lacks(tokenizer, "a rainy day with much light, and a party \U0001f389") == ""


def _of_bytes() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {sign: i for i, sign in enumerate((PAD, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
