"""The AnimateDiff family: AnimateDiff, AnimateLCM and naive LCM-LoRA, through diffusers' pipeline.

One base model stays resident. Motion adapters are copied into it, and LoRAs are fused into its
weights, as production would and as the paper does (AnimateLCM, weight fusion): what is judged is
then what is timed. An arm may ask for its LoRAs beside the weights, or for models that wait in main
memory until they are called; the next arm finds all of it as it was. Every switch is checked: a
LoRA that changes nothing is an error, and after one was taken out the untouched weights are put
back and compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Unpack

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderTiny,
    MotionAdapter,
    UNetMotionModel,
)
from diffusers.utils import logging as diffusers_logging
from safetensors import safe_open
from safetensors.torch import load_file

from poc.errors import InputError
from poc.pipelines.base import tensors_digest
from poc.pipelines.recorded import RecordedNetwork
from poc.pipelines.resident import Embedded, Loading, ResidentFamily, as_floats, weight_file
from poc.pipelines.schedulers import make_scheduler
from poc.records import DECODED_AT_ONCE, Arm, FastSettings, ResolvedArm


class _ResidentPipeline(AnimateDiffPipeline):  # type: ignore[misc]  # diffusers is untyped here
    """diffusers' pipeline without the search for offloading hooks in every module at every call."""

    @property
    def _execution_device(self) -> torch.device:
        offloaded = bool(getattr(self, "_all_hooks", ()))
        device: torch.device = (
            self._offload_device if offloaded else self.unet.conv_in.weight.device
        )
        return device


class AnimateDiffFamily(ResidentFamily):
    """Base model, motion adapters and LoRAs of all arms of a plan, loaded once each."""

    def __init__(self, **loading: Unpack[Loading]) -> None:
        super().__init__(**loading)
        self._adapters: dict[str, MotionAdapter] = {}
        self._loras: dict[str, str] = {}
        self._lora_checked: set[str] = set()
        self._recorded: RecordedNetwork | None = None
        self._motion = ""
        self._layout = torch.contiguous_format
        self._offloaded = False
        self._pristine: dict[str, torch.Tensor] = {}
        self._fused: tuple[str, ...] = ()
        self._wrappers: dict[str, torch.nn.Module] = {}
        self._taken_out: set[tuple[str, ...]] = set()

    # --- switching -------------------------------------------------------------------------------

    def prepare(self, arm: Arm) -> ResolvedArm:
        """Make the resident pipeline sample as `arm` says; returns what it turned out to be."""
        self._refuse_another_base(arm)
        if arm.vae != self._vae:
            raise InputError(f"arm {arm.name!r}: VAE {arm.vae!r}, but {self._vae!r} is loaded")
        self._load_base(arm)
        self._bring_back()
        if self._recorded:
            self._recorded.stop()
        self._run_uncompiled()
        self._take_loras_out()
        self._set_motion(_motion_of(arm))
        fast = arm.fast or FastSettings()
        self._put_loras_in(arm)
        self._lay_out(torch.channels_last if fast.channels_last else torch.contiguous_format)
        if self._recorded and fast.compile is None and not fast.cpu_offload:
            self._recorded.start("" if fast.fuse_loras else repr(arm.loras))
        self._run_compiled(arm)
        if fast.cpu_offload:
            self._offload()
        self._pipe.scheduler = make_scheduler(arm.sampling.scheduler, self._noise_of(arm))
        self._arm = arm
        wanted = ["vae", "text_encoder", "unet", f"motion:{arm.motion_adapter}"]
        return self._resolved(arm, wanted + [f"lora:{use.model}" for use in arm.loras])

    def _load_base(self, arm: Arm) -> None:
        if self._pipe is not None:
            return
        adapter = self._adapter(_motion_of(arm))
        diffusers_logging.disable_progress_bar()  # the run shows its own
        self._pipe = _ResidentPipeline.from_pretrained(
            self._folders[self._base],
            motion_adapter=adapter,
            dtype=self._dtype,
            use_safetensors=True,
            local_files_only=True,
            feature_extractor=None,
            image_encoder=None,
            **self._own_vae(),
        ).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        for component in (self._pipe.unet, self._pipe.vae, self._pipe.text_encoder):
            component.eval().requires_grad_(False)
        if self._device.type == "cpu":
            self._recorded = RecordedNetwork(self._pipe.unet)
        self._base_scheduler_config = dict(self._pipe.scheduler.config)
        self._motion = _motion_of(arm)
        unet = _without_motion(self._pipe.unet)
        self._digests |= {
            "vae": tensors_digest(self._pipe.vae.state_dict().items()),
            "text_encoder": tensors_digest(self._pipe.text_encoder.state_dict().items()),
            "unet": tensors_digest(unet),
        }

    def _own_vae(self) -> dict[str, AutoencoderKL | AutoencoderTiny]:
        """Return the VAE that takes the place of the base's, as an argument; none: nothing."""
        if self._vae is None:
            return {}
        folder = self._folders[self._vae]
        known = {one.__name__: one for one in (AutoencoderKL, AutoencoderTiny)}
        name = AutoencoderKL.load_config(folder, local_files_only=True).get("_class_name")
        if name not in known:
            raise InputError(
                f"{folder / 'config.json'}: '_class_name': expected {' or '.join(known)}, got "
                f"'{name}'. Take a VAE of Stable Diffusion 1.5."
            )
        vae = known[name].from_pretrained(
            folder,
            dtype=self._dtype,
            use_safetensors=True,
            local_files_only=True,
        )
        return {"vae": vae}

    def _noise_of(self, arm: Arm) -> dict[str, Any]:
        """Return the base's scheduler config on the noise schedule that the arm asks for."""
        asked = {} if arm.beta_schedule is None else {"beta_schedule": str(arm.beta_schedule)}
        return self._base_scheduler_config | asked

    def _adapter(self, model: str) -> MotionAdapter:
        if model not in self._adapters:
            adapter = load_adapter(self._folders[model], self._dtype)
            self._adapters[model] = adapter.to(self._device).eval().requires_grad_(False)
            self._digests[f"motion:{model}"] = tensors_digest(adapter.state_dict().items())
        return self._adapters[model]

    def _set_motion(self, model: str) -> None:
        if model != self._motion:
            found, loaded = self._adapter(model), self._adapter(self._motion)
            if _shape_of(found) != _shape_of(loaded):
                raise InputError(
                    f"motion module {model!r} has other layers than {self._motion!r}, which this "
                    "run has loaded; diffusers would leave some out. Give them runs of their own."
                )
            self._pipe.unet.load_motion_modules(found)
            self._motion = model

    def _put_loras_in(self, arm: Arm) -> None:
        """Fuse an arm's LoRAs into the weights; what peft wrapped around layers is set aside.

        A wrapper does nothing once its LoRA is fused, but costs time at every call, and more with
        each LoRA that some other arm has loaded. Where an arm wants its LoRAs beside the weights,
        the wrappers of its own stay.
        """
        fused = arm.fast is None or arm.fast.fuse_loras
        names = tuple(self._load_lora(use.model) for use in arm.loras)
        if names:
            self._pipe.enable_lora()
            for name, use in zip(names, arm.loras, strict=True):
                self._check_effect(name, use.scale, use.model)
            self._pipe.set_adapters(list(names), [use.scale for use in arm.loras])
        if names and fused:
            self._pipe.fuse_lora(components=["unet"], adapter_names=list(names))
            self._fused = names
        unet, kept = self._pipe.unet, set() if fused else set(names)
        wrappers = {name: unet.get_submodule(name) for name in _lora_layers(unet)}
        self._wrappers = {
            name: one for name, one in wrappers.items() if kept.isdisjoint(one.lora_A.keys())
        }
        for name, wrapper in self._wrappers.items():
            unet.set_submodule(name, wrapper.base_layer)

    def _take_loras_out(self) -> None:
        """Undo a fusion exactly: unmerge, then put kept weights back over the rounding error."""
        for name, wrapper in self._wrappers.items():
            self._pipe.unet.set_submodule(name, wrapper)
        self._wrappers = {}
        if not self._fused:
            return
        self._pipe.unfuse_lora(components=["unet"])
        state = self._pipe.unet.state_dict()
        for key, tensor in self._pristine.items():
            state[key].copy_(tensor)
        self._check_weights(self._fused)
        self._fused = ()

    def _check_weights(self, taken_out: tuple[str, ...]) -> None:
        """Compare all weights with those of the base, once for each way of changing them.

        The weights that a LoRA reaches are put back every time; that nothing else was reached
        depends on the LoRAs, on those that were loaded beside them, and on the motion module.
        """
        way = (*taken_out, self._motion, *self._loras)
        if way in self._taken_out:
            return
        if tensors_digest(_without_motion(self._pipe.unet)) != self._digests["unet"]:
            raise RuntimeError(
                f"{self._base}: base weights differ after a LoRA was taken out; "
                "results of later arms would be wrong. Report this with the versions of diffusers "
                "and peft."
            )
        self._taken_out.add(way)

    def _load_lora(self, model: str) -> str:
        if model in self._loras:
            return self._loras[model]
        name = f"lora_{len(self._loras)}"
        before, lora_file = _lora_layers(self._pipe.unet), weight_file(self._folders[model])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # meant: we switch
            self._pipe.load_lora_weights(
                lora_file.parent,
                weight_name=lora_file.name,
                adapter_name=name,
                use_safetensors=True,
                local_files_only=True,
            )
        loaded = [(k, v) for k, v in self._pipe.unet.state_dict().items() if f".{name}." in k]
        in_file = _tensors_in(lora_file)
        if len(loaded) != in_file:
            raise InputError(
                f"{model}: {len(loaded)} of the {in_file} tensors in {lora_file.name} fit layers "
                f"of {self._base!r}; the LoRA belongs to another base model or is named in another "
                "way. Choose one made for this base."
            )
        self._loras[model] = name
        self._digests[f"lora:{model}"] = tensors_digest(
            (k.replace(f".{name}.", "."), v) for k, v in loaded
        )
        self._keep_pristine(_lora_layers(self._pipe.unet) - before)
        return name

    def _keep_pristine(self, layers: set[str]) -> None:
        """Keep weights as they are before any fusion, in main memory: a device's is measured."""
        modules = dict(self._pipe.unet.named_modules())
        for layer in layers:
            for key, tensor in modules[layer].base_layer.state_dict().items():
                self._pristine[f"{layer}.base_layer.{key}"] = tensor.to("cpu", copy=True)

    @torch.inference_mode()
    def _check_effect(self, name: str, scale: float, model: str) -> None:
        """Refuse a LoRA that leaves the network's output as it was: switching can be a no-op."""
        if name in self._lora_checked:
            return
        config = self._pipe.unet.config
        size = config.sample_size if isinstance(config.sample_size, int) else 8
        size = min(size, 16)
        generator = torch.Generator().manual_seed(0)
        latent = torch.randn(1, config.in_channels, 2, size, size, generator=generator)
        text = torch.randn(2, 4, config.cross_attention_dim, generator=generator)
        inputs = {
            "sample": latent.to(self._device, self._dtype),
            "timestep": torch.tensor(499, device=self._device),
            "encoder_hidden_states": text.to(self._device, self._dtype),
        }
        self._pipe.set_adapters([name], [scale])
        with_lora = self._pipe.unet(**inputs).sample
        self._pipe.disable_lora()
        without = self._pipe.unet(**inputs).sample
        self._pipe.enable_lora()
        if torch.equal(with_lora, without):
            raise InputError(
                f"{model}: the LoRA was loaded but the network's output did not change; "
                "its layers do not reach this base model, or its weights are zero."
            )
        self._lora_checked.add(name)

    def _offload(self) -> None:
        """Let every model wait in main memory until it is called, by diffusers' own hooks.

        What other arms have loaded leaves the device too: its memory would count as this arm's.
        """
        self._offloaded = True  # first: whatever breaks off halfway is brought back
        for part in (*self._adapters.values(), *self._wrappers.values()):
            part.to("cpu")
        self._pipe.enable_model_cpu_offload(device=self._device)

    def _bring_back(self) -> None:
        """Undo `_offload`."""
        if not self._offloaded:
            return
        self._pipe.remove_all_hooks()
        self._pipe.to(self._device)
        for part in (*self._adapters.values(), *self._wrappers.values()):
            part.to(self._device)
        self._offloaded = False

    def _without_gradients(self) -> AbstractContextManager[Any]:
        """As for all; weights that were moved in inference mode could not be changed afterwards."""
        return torch.no_grad() if self._offloaded else super()._without_gradients()

    def _lay_out(self, layout: torch.memory_format) -> None:
        """Lay the weights of convolutions out anew; activations follow them."""
        if layout == self._layout:
            return
        for network in (self._pipe.unet, self._pipe.vae):
            for parameter in network.parameters():
                if parameter.ndim == 4:
                    # Of a 1 x 1 kernel only a copy has the strides of the layout.
                    parameter.data = parameter.data.clone(memory_format=layout)
        self._layout = layout
        self._compiled.clear()

    def _fast_found(self, arm: Arm) -> dict[str, str]:
        found = super()._fast_found(arm)
        weight = self._pipe.unet.conv_in.weight
        if not weight.is_contiguous():
            found["layout"] = "channels_last"
        if arm.fast and arm.fast.decode_frames:
            found["decode_frames"] = str(arm.fast.decode_frames)
        if beside := len(_lora_layers(self._pipe.unet)):
            found["loras"] = f"not fused: {beside} layers"
        hooked = [name for name, one in self._pipe.components.items() if hasattr(one, "_hf_hook")]
        if hooked:
            found["cpu_offload"] = ", ".join(sorted(hooked))
        return found

    def _to_compile(self) -> tuple[torch.nn.Module, ...]:
        return self._pipe.unet, self._pipe.vae.decoder

    def network(self) -> UNetMotionModel:
        """The denoising network of the prepared arm: its motion module and its LoRAs in."""
        self._ready()
        network: UNetMotionModel = self._pipe.unet
        return network

    # --- sampling --------------------------------------------------------------------------------

    def _arguments(self, arm: Arm) -> dict[str, Any]:
        return {
            "num_frames": arm.shape.num_frames,
            "height": arm.shape.height,
            "width": arm.shape.width,
            "num_inference_steps": arm.steps,
            "guidance_scale": arm.guidance,
        }

    def _timesteps(self, arm: Arm) -> tuple[float, ...]:
        self._pipe.scheduler.set_timesteps(arm.sampling.steps, device="cpu")
        return as_floats(self._pipe.scheduler.timesteps)

    def _embed(self, texts: Sequence[str]) -> Embedded:
        embeds, _ = self._pipe.encode_prompt(list(texts), self._device, 1, False)
        return {"prompt_embeds": torch.as_tensor(embeds)}

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        at_once = (self._ready().fast or FastSettings()).decode_frames or DECODED_AT_ONCE
        video: torch.Tensor = self._pipe.decode_latents(latents, decode_chunk_size=at_once)
        if self._offloaded:
            self._pipe.maybe_free_model_hooks()  # as diffusers does once a clip is decoded
        return video


def _motion_of(arm: Arm) -> str:
    if arm.motion_adapter is None:
        raise InputError(f"arm {arm.name!r}: this family needs a motion module, found none")
    return arm.motion_adapter


def load_adapter(folder: Path, dtype: torch.dtype) -> MotionAdapter:
    """Load a motion module: by its config, or without one in the form that all of SD1.5 share.

    AnimateDiff-Lightning publishes bare weights of diffusers' default `MotionAdapter`.
    """
    if (folder / "config.json").is_file():
        config = MotionAdapter.load_config(folder, local_files_only=True)
        return fill(MotionAdapter.from_config(config), weight_file(folder)).to(dtype)
    return fill(MotionAdapter(), weight_file(folder)).to(dtype)


def fill(adapter: MotionAdapter, path: Path) -> MotionAdapter:
    """Put the weights of a file into a motion module; raises InputError unless all of them fit."""
    try:
        adapter.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise InputError(
            f"{path}: these are no weights of this motion module ({str(error)[:300]}). Give one "
            "for SD1.5 in diffusers' form, or its config.json beside it."
        ) from error
    return adapter


def _without_motion(unet: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the spatial weights under the names they have without LoRA layers."""
    for key, tensor in unet.state_dict().items():
        if "motion_modules" in key or ".lora_" in key:
            continue
        yield key.replace(".base_layer.", "."), tensor


def _shape_of(adapter: MotionAdapter) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in adapter.state_dict().items()}


def _tensors_in(path: Path) -> int:
    """Count the LoRA's matrices in a file; scalars such as `.alpha` are settings, not layers."""
    with safe_open(path, framework="pt") as file:
        return sum(len(file.get_slice(key).get_shape()) > 0 for key in file.keys())  # noqa: SIM118


def _lora_layers(unet: torch.nn.Module) -> set[str]:
    return {name for name, module in unet.named_modules() if hasattr(module, "base_layer")}
