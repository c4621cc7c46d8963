"""Replays a network's operations without its Python code: for small networks on a CPU.

A forward pass of a diffusers network runs some hundred modules. On a CPU and at the size of the
tiny world that Python costs a fifth of the time of a pass of one clip, and less of a pass of two.
A recording (`torch.jit.trace`) holds the same operations on the same parameters; every recording
is compared with the network when it is made and must give the same numbers, bit for bit. Where it
does not (SD1.5's network rounds otherwise on frames of a few pixels), the network runs itself.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from diffusers import UNetMotionModel
from diffusers.models.unets.unet_motion_model import UNetMotionOutput

_COMPARISONS = 3
"""The executor rewrites a recording in its first two calls; the third shows its lasting form."""

_MOTION_MODULE = re.compile(r"\bmotion_modules\.\d+$")

Key = tuple[str, tuple[int, ...], torch.dtype, torch.dtype, torch.dtype, tuple[int, ...]]


class RecordedNetwork:
    """The recordings of one network, one for each shape of input.

    They share its parameters: weights that are changed in place count at once. Whoever puts
    other modules into the network calls `stop` before and `start` after.
    """

    def __init__(self, network: UNetMotionModel) -> None:
        self._network = network
        self._recordings: dict[Key, Any] = {}  # None: the network itself
        self._variant = ""

    def start(self, variant: str = "") -> None:
        """Answer the network's calls from recordings from now on.

        `variant` names what else than parameters makes the network another one, such as LoRAs that
        are not fused: each has recordings of its own.
        """
        own, self._variant = _places(self._network), variant
        self._recordings = {
            key: recording
            for key, recording in self._recordings.items()
            if recording is None or key[0] != variant or _places(recording) <= own
        }
        self._network.forward = self._replay

    def stop(self) -> None:
        """Let the network run its own code again."""
        self._network.__dict__.pop("forward", None)

    def _replay(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        **others: Any,
    ) -> UNetMotionOutput:
        given = sorted(name for name, value in others.items() if value is not None)
        if given:
            raise RuntimeError(f"recorded network: {', '.join(given)} was not recorded")
        inputs = (sample, timestep, encoder_hidden_states)
        key = (
            self._variant,
            tuple(sample.shape),
            sample.dtype,
            timestep.dtype,
            encoder_hidden_states.dtype,
            tuple(encoder_hidden_states.shape),
        )
        if key not in self._recordings:
            self._recordings[key] = self._record(inputs)
        recording = self._recordings[key]
        if recording is None:
            own: UNetMotionOutput = type(self._network).forward(self._network, *inputs)
            return own
        return UNetMotionOutput(sample=recording(*inputs))

    def _record(self, inputs: tuple[torch.Tensor, ...]) -> Any | None:
        """Return a recording for inputs of this shape, None where it would give other numbers."""
        self.stop()
        try:
            with torch.inference_mode(mode=False), torch.no_grad(), warnings.catch_warnings():
                # Deprecated for what needs a C++ compiler, or Python again at every operation.
                warnings.filterwarnings("ignore", r"`torch\.jit\..* is deprecated")
                warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
                example = tuple(part.clone() for part in inputs)
                with _even_inputs(self._network):
                    recording = torch.jit.trace(_Plain(self._network), example, check_trace=False)
            return recording if self._agree(recording, inputs) else None
        finally:
            self._network.forward = self._replay

    def _agree(self, recording: Any, inputs: tuple[torch.Tensor, ...]) -> bool:
        """Whether both give the same on inputs other than those that were recorded."""
        sample, timestep, words = inputs
        other = (sample.flip(0, 2) * 0.5, timestep // 2, words.flip(-1))
        own = self._network(*other).sample
        return all(
            torch.allclose(recording(*other), own, rtol=0.0, atol=0.0, equal_nan=True)
            for _ in range(_COMPARISONS)
        )


@contextlib.contextmanager
def _even_inputs(network: UNetMotionModel) -> Iterator[None]:
    """Have motion modules copy their input to even strides before they multiply it.

    The frames of one clip arrive as a view that a linear layer multiplies position by position.
    """

    def even(_: torch.nn.Module, given: Any, named: dict[str, torch.Tensor]) -> Any:
        return given, {name: tensor.contiguous() for name, tensor in named.items()}

    projections = [
        module.proj_in for name, module in network.named_modules() if _MOTION_MODULE.search(name)
    ]
    hooks = [
        projection.register_forward_pre_hook(even, with_kwargs=True) for projection in projections
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Plain(torch.nn.Module):
    """A network whose result is one tensor."""

    def __init__(self, network: UNetMotionModel) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, words: torch.Tensor
    ) -> torch.Tensor:
        result: torch.Tensor = self.network(sample, timestep, words, return_dict=False)[0]
        return result


def _places(module: torch.nn.Module) -> set[int]:
    """Return where parameters and buffers lie in memory."""
    held = (*module.parameters(), *module.buffers())
    return {tensor.data_ptr() for tensor in held if tensor.numel()}
