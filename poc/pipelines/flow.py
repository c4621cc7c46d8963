"""What the families of flow-matching transformers share: one base resident, LoRAs fused and undone.

LoRAs are merged into the transformer's weights and peft's wrappers removed, as production would:
what is judged is then what is timed. What a LoRA changes is kept as it was in main memory, put back
before the next arm, and the whole transformer compared with what was loaded.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Unpack

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import load_file

from poc.errors import InputError
from poc.pipelines.base import tensors_digest
from poc.pipelines.resident import Loading, ResidentFamily, weight_file
from poc.records import Arm, ResolvedArm


class FlowFamily(ResidentFamily):
    """A base model and the LoRAs of all arms of a plan, loaded once each."""

    pipeline_class: ClassVar[type[Any]]
    vae_class: ClassVar[type[Any]]
    vae_in_float32: ClassVar[bool] = False

    def __init__(self, **loading: Unpack[Loading]) -> None:
        if (vae := loading.get("vae")) is not None:
            raise InputError(f"VAE {vae!r}: this family decodes with the base's own VAE only.")
        super().__init__(**loading)
        self._loras: dict[str, dict[str, torch.Tensor]] = {}
        self._pristine: dict[str, torch.Tensor] = {}
        self._fused: tuple[str, ...] = ()
        self._taken_out: set[tuple[str, ...]] = set()

    @abc.abstractmethod
    def _scheduler(self, arm: Arm) -> Any:
        """Build the sampler of an arm."""

    # --- switching -------------------------------------------------------------------------------

    def prepare(self, arm: Arm) -> ResolvedArm:
        """Make the resident pipeline sample as `arm` says; returns what it turned out to be."""
        self._refuse_another_base(arm)
        self._load_base()
        self._run_uncompiled()
        self._take_loras_out()
        self._put_loras_in(arm)
        self._run_compiled(arm)
        self._pipe.scheduler = self._scheduler(arm)
        self._arm = arm
        loras = (f"lora:{use.model}" for use in arm.loras)
        return self._resolved(arm, ["vae", "text_encoder", "transformer", *loras])

    def _load_base(self) -> None:
        if self._pipe is not None:
            return
        diffusers_logging.disable_progress_bar()  # the run shows its own
        local = {"use_safetensors": True, "local_files_only": True}
        folder = self._folders[self._base]
        vae_dtype = torch.float32 if self.vae_in_float32 else self._dtype
        vae = self.vae_class.from_pretrained(folder / "vae", dtype=vae_dtype, **local)
        self._pipe = self.pipeline_class.from_pretrained(
            folder, vae=vae, dtype=self._dtype, **local
        ).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        for name in ("transformer", "vae", "text_encoder"):
            component = getattr(self._pipe, name)
            component.eval().requires_grad_(False)
            self._digests[name] = tensors_digest(component.state_dict().items())

    def _put_loras_in(self, arm: Arm) -> None:
        names = tuple(use.model for use in arm.loras)
        if not names:
            return
        adapters = [f"lora_{place}" for place, _ in enumerate(names)]
        for model, adapter in zip(names, adapters, strict=True):
            self._load_lora(model, adapter)
        self._keep_pristine()
        self._pipe.set_adapters(adapters, [use.scale for use in arm.loras])
        self._pipe.fuse_lora(components=["transformer"], adapter_names=adapters)
        self._pipe.unload_lora_weights()  # the weights stay merged, the wrappers go
        self._fused = names
        state = self._pipe.transformer.state_dict()
        if all(torch.equal(state[key].cpu(), kept) for key, kept in self._pristine.items()):
            raise InputError(
                f"{', '.join(names)}: the LoRA was merged but no weight of {self._base!r} changed "
                f"in {self._dtype}; its effect is below the rounding. Raise its scale."
            )

    def _load_lora(self, model: str, adapter: str) -> None:
        path = weight_file(self._folders[model])
        if model not in self._loras:
            self._loras[model] = load_file(path)
        self._pipe.load_lora_weights(dict(self._loras[model]), adapter_name=adapter)
        state = self._pipe.transformer.state_dict().items()
        loaded = [(k, v) for k, v in state if ".lora_" in k and f".{adapter}." in k]
        matrices = sum(tensor.ndim > 1 for _, tensor in loaded)
        in_file = sum("lora" in key and one.ndim > 1 for key, one in self._loras[model].items())
        if matrices != in_file or not matrices:
            raise InputError(
                f"{model}: {matrices} of the {in_file} matrices in {path.name} fit layers of "
                f"{self._base!r}; the LoRA belongs to another base model or is named in another "
                "way. Choose one made for this base."
            )
        if not any(bool(tensor.any()) for key, tensor in loaded if ".lora_B." in key):
            raise InputError(
                f"{model}: the LoRA was loaded but can change nothing: its weights are zero."
            )
        self._digests[f"lora:{model}"] = tensors_digest(
            (key.replace(f".{adapter}.", "."), tensor) for key, tensor in loaded
        )

    def _keep_pristine(self) -> None:
        """Keep what a fusion will change, in main memory: a device's is measured."""
        for name, module in self._pipe.transformer.named_modules():
            if not hasattr(module, "base_layer"):
                continue
            for key, tensor in module.base_layer.state_dict().items():
                self._pristine.setdefault(f"{name}.{key}", tensor.to("cpu", copy=True))

    def _take_loras_out(self) -> None:
        """Put kept weights back, and compare the transformer once for every set of LoRAs."""
        if not self._fused:
            return
        state = self._pipe.transformer.state_dict()
        for key, tensor in self._pristine.items():
            state[key].copy_(tensor)
        taken_out, self._fused = self._fused, ()
        if taken_out in self._taken_out:
            return
        found = tensors_digest(self._pipe.transformer.state_dict().items())
        if found != self._digests["transformer"]:
            raise RuntimeError(
                f"{self._base}: base weights differ after a LoRA was taken out; results of later "
                "arms would be wrong. Report this with the versions of diffusers and peft."
            )
        self._taken_out.add(taken_out)

    def _to_compile(self) -> tuple[torch.nn.Module, ...]:
        return (self._pipe.transformer,)

    def network(self) -> torch.nn.Module:
        """The denoising network of the prepared arm, its LoRAs fused."""
        self._ready()
        network: torch.nn.Module = self._pipe.transformer
        return network
