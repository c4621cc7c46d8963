"""Files of torch are read as data: every layout gives torch's own numbers, and nothing runs."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metrics.extractors.base import WeightsError
from metrics.extractors.torch_files import read_tensors, script_of


def _state() -> OrderedDict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    base = torch.randn(6, 4, generator=rng)
    return OrderedDict(
        {
            "conv.weight": torch.randn(2, 3, 1, 2, 2, generator=rng),
            "turned": base.T,
            "part": base[2:4, 1:3],
            "doubles": base.double(),
            "halves": base.half(),
            "counts": torch.tensor([3, -1]),
            "flags": torch.tensor([True, False]),
            "one": torch.tensor(7.5),
            "none": torch.zeros(0, 3),
        }
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_saved_tensors_are_read_with_torchs_own_values(tmp_path: Path, zipped: bool) -> None:
    state = _state()
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)

    found = read_tensors(tmp_path / "w.pt")

    assert list(found) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy())
        assert found[name].dtype == value.numpy().dtype


class _Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = torch.nn.Conv3d(3, 4, 1)
        self.bn = torch.nn.BatchNorm3d(4, eps=1e-3)
        self.steps = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv3d(x))  # type: ignore[no-any-return]


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = _Block(), _Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x)  # type: ignore[no-any-return]


def test_a_torchscript_archive_is_read_by_the_names_of_its_modules(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = _Net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; its old files stay
        torch.jit.save(torch.jit.script(network), str(tmp_path / "w.pt"))

    found = read_tensors(tmp_path / "w.pt")

    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(found[name], value.numpy())
    assert "batch_norm" in script_of(tmp_path / "w.pt")


class _Bomb:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "executed")


def _armed(path: Path, proof: Path) -> dict[str, Any]:
    """Save good weights with a bomb among them; return what is saved."""
    content = {"weight": torch.ones(2), "bomb": _Bomb(proof)}
    torch.save(content, path)
    return content


def test_code_in_a_pickle_is_not_executed_and_the_numbers_beside_it_are_read(
    tmp_path: Path,
) -> None:
    proof = tmp_path / "proof"
    _armed(tmp_path / "w.pt", proof)

    found = read_tensors(tmp_path / "w.pt")

    assert not proof.exists()
    assert list(found) == ["weight"]
    torch.load(tmp_path / "w.pt", weights_only=False)
    assert proof.read_text() == "executed"  # the bomb is real: torch's own reader sets it off


@pytest.mark.parametrize(
    ("name", "argument"), [("os", "system"), ("builtins", "exec"), ("torch.hub", "load")]
)
def test_no_name_of_a_pickle_is_imported(tmp_path: Path, name: str, argument: str) -> None:
    code = f"c{name}\n{argument}\n(V{tmp_path / 'proof'}\ntR.".encode()
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", code)

    assert read_tensors(tmp_path / "w.pt") == {}
    assert not (tmp_path / "proof").exists()


def _archive(path: Path, content: Any, data: bytes) -> Path:
    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            return thing[1] if isinstance(thing, tuple) and thing[:1] == ("id",) else None

    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("w/data.pkl", "w") as file:
            Pickler(file, protocol=2).dump(content)
        archive.writestr("w/data/0", data)
    return path


class _Tensor:
    """A tensor of 4 floats as torch pickles it, with one part of it changed."""

    def __init__(self, *, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.place = offset, shape, strides

    def __reduce__(self) -> tuple[Any, ...]:
        storage = ("id", ("storage", torch.FloatStorage, "0", "cpu", 4))
        hooks: OrderedDict[str, Any] = OrderedDict()
        arguments = (storage, *self.place, False, hooks)
        return torch._utils._rebuild_tensor_v2, arguments


def test_a_tensor_written_by_hand_is_read(tmp_path: Path) -> None:
    tensor = _Tensor(offset=1, shape=(3,), strides=(1,))
    data = np.arange(4, dtype="<f4").tobytes()

    found = read_tensors(_archive(tmp_path / "w.pt", {"w": tensor}, data))

    assert found["w"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("place", "data_bytes"),
    [
        ({"offset": 2, "shape": (3,), "strides": (1,)}, 16),
        ({"offset": 0, "shape": (2, 2), "strides": (1000, 1)}, 16),
        ({"offset": -1, "shape": (2,), "strides": (1,)}, 16),
        ({"offset": 0, "shape": (1 << 40,), "strides": (0,)}, 16),
        ({"offset": 0, "shape": (4,), "strides": (1,)}, 12),
    ],
    ids=["beyond the end", "strides", "negative", "repeated", "short storage"],
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path: Path, place: dict[str, Any], data_bytes: int
) -> None:
    path = _archive(tmp_path / "w.pt", {"w": _Tensor(**place)}, bytes(data_bytes))

    with pytest.raises(WeightsError, match=r"storage|tensor"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}.", b"{}", bytes(64)])
def test_what_torch_did_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)

    with pytest.raises(WeightsError, match=r"w\.pt"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_a_file_cut_short_is_refused(tmp_path: Path, zipped: bool) -> None:
    torch.save(_state(), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content[: len(content) * 2 // 3])

    with pytest.raises(WeightsError, match=r"w\.pt"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_a_small_file_that_takes_for_ever_to_walk_is_refused(tmp_path: Path, zipped: bool) -> None:
    shared: Any = {}
    for _ in range(50):
        shared = {"a": shared, "b": shared}
    torch.save({"w": shared}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)

    with pytest.raises(WeightsError, match="more than 1000000 parts"):
        read_tensors(tmp_path / "w.pt")
