"""Networks of a given architecture with random weights, in folders as their makers would give them.

For latency before weights. Every weight of a linear layer or a convolution is normal with variance
1 / fan-in, times what a SiLU before it takes away (before a convolution over neighbours there is
one), so that activations keep their variance and none is zero: a card draws less power on zeros,
and one H200 took 13 % longer for a matrix product of random numbers. Tests hold the output of each
network to a standard deviation between 1/2 and 2 for unit normal input.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import shutil
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXVideoTransformer3DModel,
    MotionAdapter,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from peft import LoraConfig, get_peft_model_state_dict
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from poc.errors import InputError
from poc.pipelines.device import DTYPES

EMBEDDING_STD: Final = 0.02
"""Of CLIP's tokens and positions; a normalisation follows."""
SILU_SECOND_MOMENT: Final = 0.3557
"""Mean of silu(x)^2 over a unit normal x."""
LORA_EFFECT: Final = 0.1
"""Standard deviation of a LoRA's change, in that of the weights it is added to."""
_MERGES: Final = 49152 - 256 - 2
"""Merges of CLIP's vocabulary; the file holds more."""
_PART: Final = ".part"


def write_random(architecture: Path, target: Path, *, dtype: str) -> None:
    """Write a model of the architecture that a folder describes, unless `target` is there.

    The folder describes a base (`unet` or `transformer`, `vae`, `text_encoder`, `scheduler`), a
    motion module or a VAE (`config.json`), or a LoRA (`lora.json`). Equal folders give equal
    weights.

    Raises:
        InputError: the folder describes none of them.
        OSError: the disk refused; `target` is not there then.
    """
    if target.is_dir():
        return
    part = target.with_name(target.name + _PART)
    shutil.rmtree(part, ignore_errors=True)
    if (architecture / "lora.json").is_file():
        _write_lora(_json(architecture / "lora.json"), part, DTYPES[dtype])
    elif (architecture / "unet").is_dir():
        _write_base(architecture, part, DTYPES[dtype])
    elif (architecture / "transformer").is_dir():
        name = _json(architecture / "transformer/config.json").get("_class_name")
        write = _write_ltx if name == LTXVideoTransformer3DModel.__name__ else _write_wan
        write(architecture, part, DTYPES[dtype])
    else:
        _network(architecture, DTYPES[dtype]).save_pretrained(part, safe_serialization=True)
    part.rename(target)


def randomise(module: torch.nn.Module, name: str) -> None:
    """Draw every weight of a network anew, from a seed of its own for each."""
    silu = not isinstance(module, AutoencoderTiny)  # its ReLUs stand beside a path around them
    for path, child in module.named_modules():
        for key, parameter in child.named_parameters(recurse=False):
            std = _std(parameter, child, silu=silu) if parameter.ndim > 1 else 0.0
            _fill(parameter, key, std, _seed(f"{name}.{path}.{key}"))


@torch.no_grad()
def _fill(parameter: torch.nn.Parameter, key: str, std: float, seed: int) -> None:
    if parameter.ndim == 0:
        return  # a setting: what LTX's decoder multiplies its timestep by
    if key == "bias":
        parameter.zero_()
    elif parameter.ndim == 1 or key == "gamma":  # the scale of a normalisation
        parameter.fill_(1.0)
    else:
        generator = torch.Generator().manual_seed(seed)
        parameter.normal_(0.0, std, generator=generator)


def _std(parameter: torch.nn.Parameter, owner: torch.nn.Module, *, silu: bool) -> float:
    if isinstance(owner, torch.nn.Embedding):
        return EMBEDDING_STD
    after_silu = silu and isinstance(owner, torch.nn.Conv2d) and owner.kernel_size != (1, 1)
    kept = SILU_SECOND_MOMENT if after_silu else 1.0
    return float((parameter[0].numel() * kept) ** -0.5)


def _seed(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a configuration as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object.")
    return content


def _network(folder: Path, dtype: torch.dtype) -> Any:
    """Return the network that a folder's config.json describes, randomised."""
    config = _json(folder / "config.json")
    known = (
        AutoencoderKL,
        AutoencoderKLLTXVideo,
        AutoencoderKLWan,
        AutoencoderTiny,
        LTXVideoTransformer3DModel,
        MotionAdapter,
        UNet2DConditionModel,
        WanTransformer3DModel,
    )
    classes = {one.__name__: one for one in known}
    name = str(config.get("_class_name"))
    if name not in classes:
        raise InputError(
            f"{folder / 'config.json'}: '_class_name': expected one of {', '.join(classes)}, "
            f"got '{name}'."
        )
    network = classes[name].from_config(config)
    randomise(network, name)
    return network.eval().to(dtype)


# --- a base --------------------------------------------------------------------------------------


def _write_base(architecture: Path, target: Path, dtype: torch.dtype) -> None:
    pipeline = StableDiffusionPipeline(
        vae=_network(architecture / "vae", dtype),
        text_encoder=_text_encoder(architecture / "text_encoder").to(dtype),
        tokenizer=clip_tokenizer(),
        unet=_network(architecture / "unet", dtype),
        scheduler=PNDMScheduler.from_config(
            _json(architecture / "scheduler/scheduler_config.json")
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(target, safe_serialization=True)


def _text_encoder(folder: Path) -> torch.nn.Module:
    encoder: torch.nn.Module = CLIPTextModel(CLIPTextConfig(**_json(folder / "config.json")))
    randomise(encoder, "CLIPTextModel")
    return encoder.eval()


def _write_wan(architecture: Path, target: Path, dtype: torch.dtype) -> None:
    config = UMT5Config(**_json(architecture / "text_encoder/config.json"), is_decoder=False)
    encoder = UMT5EncoderModel(config)
    randomise(encoder, "UMT5EncoderModel")
    WanPipeline(
        vae=_network(architecture / "vae", dtype),
        text_encoder=encoder.eval().to(dtype),
        tokenizer=letter_tokenizer(),
        transformer=_network(architecture / "transformer", dtype),
        scheduler=UniPCMultistepScheduler.from_config(
            _json(architecture / "scheduler/scheduler_config.json")
        ),
    ).save_pretrained(target, safe_serialization=True)


def _write_ltx(architecture: Path, target: Path, dtype: torch.dtype) -> None:
    encoder = T5EncoderModel(
        T5Config(**_json(architecture / "text_encoder/config.json"), is_decoder=False)
    )
    randomise(encoder, "T5EncoderModel")
    LTXConditionPipeline(
        vae=_network(architecture / "vae", dtype),
        text_encoder=encoder.eval().to(dtype),
        tokenizer=letter_tokenizer(),
        transformer=_network(architecture / "transformer", dtype),
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(
            _json(architecture / "scheduler/scheduler_config.json")
        ),
    ).save_pretrained(target, safe_serialization=True)


def letter_tokenizer() -> T5TokenizerFast:
    """Return a tokenizer of T5's kind whose words are letters.

    The real vocabulary is a file of its makers. Wan and LTX pad every prompt to one length, so
    that the time of a clip does not depend on which tokens its prompt has.
    """
    letters = [*string.ascii_letters, *string.digits, *string.punctuation]
    words = [(f"▁{one}", -2.0) for one in letters] + [(one, -3.0) for one in ("▁", *letters)]
    return T5TokenizerFast(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *words], extra_ids=0
    )


def clip_tokenizer() -> CLIPTokenizer:
    """Return CLIP's own tokenizer, from the table of merges that open_clip brings along."""
    merges = _merges()
    letters = list(_letters())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(m) for m in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def _merges() -> list[tuple[str, str]]:
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise InputError("open_clip: expected it installed, for CLIP's vocabulary. Type `make`.")
    path = Path(found.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split() for line in lines[1 : _MERGES + 1])
    return [(first, second) for first, second in pairs]


def _letters() -> Iterator[str]:
    """Yield the 256 signs that stand for bytes: printable ones for themselves, then the others."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    shown += range(ord("®"), ord("ÿ") + 1)
    hidden = [byte for byte in range(256) if byte not in shown]
    yield from map(chr, shown)
    yield from (chr(256 + place) for place in range(len(hidden)))


# --- a LoRA --------------------------------------------------------------------------------------


def _write_lora(config: dict[str, Any], target: Path, dtype: torch.dtype) -> None:
    """Write a LoRA whose layers are those that peft finds in the network it is for."""
    rank = int(config["rank"])
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config["unet"])
        lora = LoraConfig(r=rank, lora_alpha=rank, target_modules=config["target_modules"])
        unet.add_adapter(lora)
    shapes = {key: tensor.shape for key, tensor in get_peft_model_state_dict(unet).items()}
    layers = {key: _lora_matrix(key, shape, rank).to(dtype) for key, shape in shapes.items()}
    AnimateDiffPipeline.save_lora_weights(target, unet_lora_layers=layers, safe_serialization=True)


def _lora_matrix(key: str, shape: torch.Size, rank: int) -> torch.Tensor:
    """Return a down matrix of variance 1 / fan-in, or an up matrix that gives the wanted effect."""
    std = float(LORA_EFFECT * rank**-0.5 if "lora_B" in key else shape[1:].numel() ** -0.5)
    generator = torch.Generator().manual_seed(_seed(key))
    return torch.randn(shape, generator=generator) * std
