"""Recordings of a network: the same numbers as the network itself, whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from tiny_components import SMALL

from poc.pipelines.recorded import RecordedNetwork
from poc.tiny import architecture as tiny

CLIPS = pytest.mark.parametrize("clips", [1, 2])


@pytest.fixture
def network() -> UNetMotionModel:
    torch.manual_seed(0)
    joined = UNetMotionModel.from_unet2d(tiny.build_unet(SMALL), tiny.build_motion_adapter(SMALL))
    for parameter in joined.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    joined.eval().requires_grad_(False)
    assert isinstance(joined, UNetMotionModel)
    return joined


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def _inputs(clips: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(clips, 4, 4, 8, 8, generator=generator)
    words = torch.randn(clips * 4, 20, SMALL.text_width, generator=generator)
    return sample, torch.tensor(100 * seed), words


def _call(network: UNetMotionModel, clips: int, seed: int = 1) -> torch.Tensor:
    sample, timestep, words = _inputs(clips, seed)
    found: torch.Tensor = network(
        sample, timestep, encoder_hidden_states=words, cross_attention_kwargs=None
    ).sample
    return found


@CLIPS
def test_a_recording_gives_the_numbers_of_the_network(network: UNetMotionModel, clips: int) -> None:
    own = [_call(network, clips, seed) for seed in (1, 2, 3, 4)]

    RecordedNetwork(network).start()

    assert all(
        torch.equal(_call(network, clips, seed), wanted)
        for seed, wanted in zip((1, 2, 3, 4), own, strict=True)
    )


def test_weights_that_change_in_place_count_at_once(network: UNetMotionModel) -> None:
    recorded = RecordedNetwork(network)
    recorded.start()
    before = _call(network, 1)
    network.get_parameter("conv_out.bias").data.add_(1.0)

    torch.testing.assert_close(_call(network, 1), before + 1.0)


def test_weights_that_were_put_elsewhere_are_recorded_anew(network: UNetMotionModel) -> None:
    recorded = RecordedNetwork(network)
    recorded.start()
    before = _call(network, 1)
    recorded.stop()
    bias = network.get_parameter("conv_out.bias")
    network.conv_out.bias = torch.nn.Parameter(bias + 1.0, requires_grad=False)
    recorded.start()

    torch.testing.assert_close(_call(network, 1), before + 1.0)


def test_a_stopped_recording_leaves_the_network_as_it_was(network: UNetMotionModel) -> None:
    recorded = RecordedNetwork(network)
    recorded.start()
    recorded.stop()

    assert network.forward.__func__ is UNetMotionModel.forward


def test_what_was_not_recorded_is_refused(network: UNetMotionModel) -> None:
    RecordedNetwork(network).start()
    sample, timestep, words = _inputs(1)

    with pytest.raises(RuntimeError, match="attention_mask was not recorded"):
        network(sample, timestep, words, attention_mask=torch.ones(4, 20))


def test_a_network_that_looks_at_the_timestep_runs_itself(network: UNetMotionModel) -> None:
    """A recording holds the branch that was taken, and would give wrong numbers at other times."""
    plain = network.conv_out.forward
    late: list[bool] = []

    def branch(x: torch.Tensor) -> Any:
        return plain(x) if late[-1] else plain(x) + 1.0

    network.time_proj.register_forward_pre_hook(
        lambda _, given: late.append(int(given[0].flatten()[0]) > 75)
    )
    network.conv_out.forward = branch
    sample, timestep, words = _inputs(1)
    times = (timestep, timestep // 2)
    own = [network(sample, time, words).sample for time in times]
    RecordedNetwork(network).start()

    assert not torch.equal(*own)
    for time, wanted in [*zip(times, own, strict=True)] * 2:
        assert torch.equal(network(sample, time, words).sample, wanted)


def test_a_network_that_gives_nan_is_replayed(network: UNetMotionModel) -> None:
    network.get_parameter("conv_out.bias").data.fill_(float("nan"))
    RecordedNetwork(network).start()

    assert torch.isnan(_call(network, 1)).all()
