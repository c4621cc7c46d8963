"""open_clip networks as image-text extractors, from a local folder and never from the network.

The folder is in open_clip's own layout: `open_clip_config.json`, `open_clip_model.safetensors`
and, where the config names a tokenizer of the transformers library, that tokenizer's files.
"""

from __future__ import annotations

import hashlib
import json
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, folder_digest, verify_digest

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"

SPELT = 0.1
"""Share of a prompt's tokens that may be parts of a letter: an emoji is no foreign language."""
_MICRO = unicodedata.normalize("NFKC", "\N{MICRO SIGN}")
_TOKENIZING = threading.Lock()
"""A fast tokenizer of transformers changes while it is called, and refuses a second thread then."""

# Suffixes of files that open_clip or transformers could read besides the weights.
_READ_SUFFIXES = frozenset({".json", ".txt", ".model"})


@dataclass(frozen=True, slots=True)
class OpenClipExtractor:
    """Unit features of images and prompts by one open_clip network.

    Images go through open_clip's own preprocessing (resize, crop, normalise as the network's
    config says). `batch_size` bounds memory; it moves features by rounding only.
    """

    model: Any
    tokenizer: Any
    id: str
    digest: str
    batch_size: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.model.training:
            raise ValueError(f"{self.id}: the network is in training mode; call .eval() first")
        if self.batch_size < 1:
            raise ValueError(f"{self.id}: batch_size must be 1 or more, got {self.batch_size}")

    @property
    def max_tokens(self) -> int:
        """Tokens that the text encoder reads, start and end included."""
        return int(self.tokenizer.context_length)

    @property
    def logit_scale(self) -> float:
        """What the network multiplies cosines by; a learned number."""
        return float(self.model.logit_scale.detach().exp())

    @torch.inference_mode()
    def image_features(self, images: Frames) -> NDArray[np.float32]:
        """Unit rows (n, d) of images uint8 (n, h, w, 3)."""
        checked = frames_.check(images, name="images")
        batches = (self._prepared(checked[rows]) for rows in self._slices(len(checked)))
        return self._unit_rows([self.model.encode_image(batch) for batch in batches])

    @torch.inference_mode()
    def text_features(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows (n, d) of prompts; what is beyond `max_tokens` is cut off."""
        texts = _checked_prompts(prompts)
        with _TOKENIZING:
            tokens = self.tokenizer(texts).to(self.device)
        batches = (tokens[rows] for rows in self._slices(len(texts)))
        return self._unit_rows([self.model.encode_text(batch) for batch in batches])

    def token_counts(self, prompts: Sequence[str]) -> tuple[int, ...]:
        """Tokens of each prompt before anything is cut off, start and end included."""
        with _TOKENIZING:
            return tuple(_count_tokens(self.tokenizer, text) for text in _checked_prompts(prompts))

    def why_not(self, prompt: str) -> str:
        """Return why the network cannot have learnt what a prompt says; empty where it may have.

        CLIP's own vocabulary was made from English and spells other scripts by single bytes;
        other vocabularies have a token for what they lack, or spell that by bytes. That the words
        of a language are in the vocabulary does not say how well the network knows them.
        """
        plain = unicodedata.normalize("NFKC", prompt)
        foreign = sorted({sign for sign in plain if sign.isalpha() and not _is_latin(sign)})
        if foreign and _is_english(self.tokenizer):
            return (
                f"the vocabulary of {self.id} is English, the prompt has {''.join(foreign[:5])}: "
                "give a multilingual network"
            )
        if not isinstance(self.tokenizer, open_clip.tokenizer.HFTokenizer):
            return ""
        with _TOKENIZING:
            return _lacks(self.tokenizer, prompt)

    def _slices(self, count: int) -> list[slice]:
        return [slice(i, i + self.batch_size) for i in range(0, count, self.batch_size)]

    def _prepared(self, images: Frames) -> torch.Tensor:
        cfg = open_clip.transform.PreprocessCfg(**self.model.visual.preprocess_cfg)
        size = cfg.size if isinstance(cfg.size, tuple | list) else (cfg.size, cfg.size)
        if images.shape[1:3] != tuple(size):
            transform = open_clip.transform.image_transform_v2(cfg, is_train=False)
            return torch.stack([transform(Image.fromarray(i)) for i in images]).to(self.device)
        # Nothing to resize: the rest of the transform, for all images at once.
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (cfg.mean, cfg.std))
        unit = torch.from_numpy(frames_.to_unit(images)).permute(0, 3, 1, 2)
        return ((unit - mean) / std).to(self.device)

    def _unit_rows(self, batches: list[torch.Tensor]) -> NDArray[np.float32]:
        rows = torch.nn.functional.normalize(torch.cat(batches).float(), dim=-1)
        return np.asarray(rows.cpu().numpy(), dtype=np.float32)


def load_clip(
    folder: Path,
    *,
    extractor_id: str,
    batch_size: int,
    expected_sha256: str | None,
    device: str = "cpu",
) -> OpenClipExtractor:
    """Load a network from an open_clip folder; `expected_sha256` pins its weights file.

    `extractor_id` should say architecture and weights, as "ViT-B-32/laion2b_s34b_b79k". The
    digest covers weights, config and tokenizer files. Nothing outside `folder` is read.

    Raises:
        WeightsError: a file is missing, damaged or of another digest, or the config asks for
            something that lies outside the folder.
    """
    weights = folder / WEIGHTS
    verify_digest(weights, expected_sha256)
    config = _read_config(folder / CONFIG)
    files = [weights, *(p for p in folder.iterdir() if p.suffix in _READ_SUFFIXES)]
    digest = folder_digest(files)
    source = f"local-dir:{folder}"
    # A tokenizer of transformers is told to stay inside the folder; open_clip's own has no such
    # option and reads only what it ships with.
    local = {"local_files_only": True} if "hf_tokenizer_name" in config["text_cfg"] else {}
    try:
        model = open_clip.create_model(source, precision="fp32", device=device)
        tokenizer = open_clip.get_tokenizer(source, **local)
    except (OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: open_clip cannot load it ({error})") from error
    return OpenClipExtractor(model.eval(), tokenizer, extractor_id, digest, batch_size, device)


def random_clip(name: str, *, seed: int, batch_size: int) -> OpenClipExtractor:
    """An untrained network of one of open_clip's built-in configs, for tests and timings.

    Its numbers mean nothing, and its id says so.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.create_model(name, pretrained=None, precision="fp32")
    digest = hashlib.sha256(f"{name} seed {seed}".encode()).hexdigest()
    tokenizer = open_clip.get_tokenizer(name)
    return OpenClipExtractor(model.eval(), tokenizer, f"{name}/random", digest, batch_size)


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())["model_cfg"]
        text = config["text_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: no readable open_clip config with model_cfg.text_cfg"
        ) from error
    if "hf_model_name" in text:
        raise WeightsError(
            f"{path}: text_cfg.hf_model_name '{text['hf_model_name']}' would be looked up outside "
            "the folder; only text towers of open_clip itself are read"
        )
    return config


def _checked_prompts(prompts: Sequence[str]) -> list[str]:
    if isinstance(prompts, str) or len(prompts) == 0:
        raise ValueError(f"`prompts` must be a list of one text or more, got {prompts!r}")
    return list(prompts)


def _is_english(tokenizer: Any) -> bool:
    """Tell CLIP's own vocabulary, in the form of open_clip or of transformers."""
    if isinstance(tokenizer, open_clip.tokenizer.HFTokenizer):
        return type(tokenizer.tokenizer).__name__.startswith("CLIPTokenizer")
    return True


def _is_latin(sign: str) -> bool:
    return unicodedata.name(sign, "").startswith("LATIN") or sign == _MICRO


def _lacks(tokenizer: Any, prompt: str) -> str:
    words = tokenizer.tokenizer
    ids = words(tokenizer.clean_fn(prompt), add_special_tokens=False).input_ids
    count = 0 if words.unk_token_id is None else ids.count(words.unk_token_id)
    spelt = sum("\N{REPLACEMENT CHARACTER}" in words.decode([one]) for one in ids)
    if not count and spelt <= SPELT * len(ids):
        return ""
    count += spelt
    return f"the vocabulary lacks {count} of {len(ids)} parts of the prompt: give another network"


def _count_tokens(tokenizer: Any, text: str) -> int:
    if isinstance(tokenizer, open_clip.tokenizer.HFTokenizer):
        return len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    return len(tokenizer.encode(text)) + 2
