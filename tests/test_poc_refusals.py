"""Every bad input ends in exit 2 and one message that names it, and leaves nothing half-written.

What each message says in full is tested beside the module that says it; here is what a person at
the command line gets.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from poc import cli, models
from poc.models import MODELS, read_models

SPECS = MODELS.parent
QUICK = (SPECS / "quick.yaml").read_text()
WEIGHTS = SPECS.parent / "tiny" / "weights"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must exit 2, and return its message without its first words."""
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("poc: error: ")
    assert "Traceback" not in message
    return message.removeprefix("poc: error: ")


def spec_with(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the quick spec with changes, its criteria beside it."""
    text = QUICK
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    shutil.copytree(SPECS / "criteria", folder / "criteria")
    path = folder / "spec.yaml"
    path.write_text(text, "utf-8")
    return path


def line_of(part: str) -> int:
    return QUICK[: QUICK.index(part)].count("\n") + 1


def test_a_name_in_a_message_steers_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(["plan", str(tmp_path / "\x1b[31m\u202espec.yaml")], capsys)

    assert "\ufffd[31m\ufffdspec.yaml" in message
    assert not {"\x1b", "\u202e"} & set(message)


# --- specs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("prompts: 2", "prompts: many"), "spec.yaml:{line}: 'prompts'"),
        (("replicates: 1", "replicate: 1"), "spec.yaml:{line}: unknown key 'replicate'"),
        (
            ("seed: 20261123", "seed: 1\nseed: 2"),
            "duplicate key 'seed', first given on line {line}",
        ),
        (
            ("baseline: teacher-2", "baseline: techer-2"),
            "no arm is called 'techer-2'. Did you mean",
        ),
        (("base: tiny-base", "base: tiny-bass"), "unknown model 'tiny-bass'. Did you mean"),
        (("dataset: tiny-world-unseen", "dataset: tiny-wrld"), "unknown dataset 'tiny-wrld'"),
        (("criteria/quick.yaml", "criteria/none.yaml"), "no file 'criteria/none.yaml'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_wrong_spec_is_refused_before_anything_is_made(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    change: tuple[str, str],
    said: str,
) -> None:
    out = tmp_path / "run"
    extra = ["--out", str(out)] if command == "run" else []
    message = refused([command, str(spec_with(tmp_path, change)), *extra], capsys)

    assert said.format(line=line_of(change[0])) in message
    assert not out.exists()


def test_a_spec_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nowhere.yaml" in refused(["plan", str(tmp_path / "nowhere.yaml")], capsys)


def test_a_prompt_with_a_word_that_the_model_lacks_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "version: 1\ndatasets:\n  - id: own\n    kind: list\n    title: Own\n    source: me\n"
        "    licence: Apache-2.0\n    prompts:\n"
        "      - {text: a purple circle on a navy background, language: en, text_ja: 円, "
        "attributes: {}}\n"
        "      - {text: a red circle on a navy background, language: en, text_ja: 円, "
        "attributes: {}}\n",
        "utf-8",
    )
    spec = spec_with(tmp_path, ("dataset: tiny-world-unseen", "dataset: own"))
    out = tmp_path / "run"

    assert "'purple'" in refused(["run", str(spec), "--out", str(out)], capsys)
    assert not out.exists()


# --- weights -------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded weights, as links, that the program reads instead of its own."""
    copy = tmp_path / "tiny" / "weights"
    shutil.copytree(WEIGHTS, copy, copy_function=os.link)
    (tmp_path / "specs").mkdir()
    table = Path(shutil.copy(MODELS, tmp_path / "specs"))
    monkeypatch.setattr("poc.run.read_models", lambda: read_models(table))
    return copy


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    replace_with(path, bytes(content))


def pickle_it(path: Path) -> None:
    replace_with(path, b"\x80\x04K\x01.")


def replace_with(path: Path, content: bytes) -> None:
    """Write another file in the place of a link."""
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("base/unet/diffusion_pytorch_model.safetensors", (remove, "found none")),
        ("base/vae/diffusion_pytorch_model.safetensors", (damage, "damaged or another")),
        ("lcm_lora/pytorch_lora_weights.safetensors", (pickle_it, "got a pickle or zip archive")),
        ("base/model_index.json", (damage, "damaged or another")),
        ("clip/open_clip_model.safetensors", (damage, "damaged or another")),
        ("video_features/model.safetensors", (remove, "found none")),
        ("stills/neon/heldout/003.png", (damage, "damaged or another")),
    ],
)
def test_weights_that_are_missing_damaged_or_pickled_are_refused_before_anything_is_made(
    tmp_path: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    fault: tuple[Callable[[Path], None], str],
) -> None:
    spoil, said = fault
    spoil(weights / name)
    out = tmp_path / "run"
    message = refused(["run", str(SPECS / "quick.yaml"), "--out", str(out)], capsys)

    assert message.startswith(str(weights / name))
    assert said in message
    assert not out.exists()


def test_a_style_lora_that_is_no_safetensors_is_refused(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights / "style_neon" / "pytorch_lora_weights.safetensors"
    replace_with(path, b"these are no weights")
    loras = "- {model: tiny-lcm-lora, scale: 1.0}"
    styled = f"{loras}\n      - {{model: tiny-style-neon, scale: 1.0}}"
    folder = tmp_path / "styled"
    folder.mkdir()
    out = tmp_path / "run"
    message = refused(["run", str(spec_with(folder, (loras, styled))), "--out", str(out)], capsys)

    assert message.startswith(f"{path}: not a safetensors file")
    assert not out.exists()


# --- real size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["consistency", "motion-videos", "style-stills"])
def test_a_plan_says_how_models_are_made_that_do_not_come_along(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_index = models._read_index

    def of_a_fresh_clone(path: Path) -> Mapping[str, str]:
        return {} if "own" in path.parts else read_index(path)

    monkeypatch.setattr(models, "_read_index", of_a_fresh_clone)

    assert cli.main(["plan", str(SPECS / "ablations" / f"{name}.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "error model-not-made" in printed
    assert "Type `poc train ablations`" in printed


@pytest.mark.parametrize("name", ["animatelcm-sd15", "quick-gpu"])
def test_a_model_that_nobody_pinned_is_refused_before_anything_is_loaded(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / "run"
    command = ["run", str(SPECS / f"{name}.yaml"), "--out", str(out)]
    code = (
        f"import sys; from poc import cli; code = cli.main({command!r}); "
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "2 False"
    assert done.stderr.count("error model-unpinned (sd15, animatediff-v1.5-2") == 1
    assert not out.exists()


SHIPPED = sorted(
    path.relative_to(SPECS).with_suffix("").as_posix()
    for path in (*SPECS.glob("*.yaml"), *SPECS.glob("ablations/*.yaml"))
    if "\nquestion:" in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_spec_can_be_planned_without_a_network(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("a plan asked for the network")

    monkeypatch.setattr("socket.socket.connect", no_network)

    assert cli.main(["plan", str(SPECS / f"{name}.yaml")]) == 0
    printed = capsys.readouterr().out
    for said in ("NFE/clip", "time: ", " to ", "disk: ", "licence: ", "pre-flight: "):
        assert said in printed


def test_a_plan_for_machines_has_licences_and_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(SPECS / "quick-gpu.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["preflight"][0]["code"] == "model-unpinned"
    assert found["preflight"][0]["severity"] == "error"
    assert {"licence": "CreativeML-OpenRAIL-M", "use": "permitted", "models": ["sd15"]} in found[
        "licences"
    ]


# --- places --------------------------------------------------------------------------------------


def test_a_run_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "run"

    assert str(tmp_path / "file") in refused(
        ["run", str(SPECS / "quick.yaml"), "--out", str(out)], capsys
    )


@pytest.mark.parametrize("command", ["decide", "report", "close"])
def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    extra = ["--reason", "over"] if command == "close" else []

    assert str(tmp_path) in refused([command, str(tmp_path), *extra], capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments", [["run", "--workers", "0"], ["run", "--until", "25:00"], ["paint"], []]
)
def test_wrong_arguments_are_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    assert ended.value.code == 2
    assert "usage: poc" in capsys.readouterr().err


def test_a_reader_that_closes_the_pipe_is_no_fault_of_the_program() -> None:
    command = [sys.executable, "-m", "poc", "plan"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert process.returncode == 141
    assert said == b""


def test_the_package_runs_as_the_command_does() -> None:
    command = [sys.executable, "-m", "poc", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("usage: poc")


@pytest.mark.parametrize("device", ["cuda:x", "cuda:-1", "cuda:99", "tpu"])
def test_a_device_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    message = refused(["run", str(SPECS / "quick.yaml"), "--out", str(tmp_path / "run"),
                       "--device", device], capsys)  # fmt: skip

    assert message.startswith(f"--device {device}: expected cpu or cuda:N")
    assert not (tmp_path / "run").exists()


def test_half_precision_without_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_with(tmp_path, ("dtype: float32", "dtype: float16"))

    message = refused(["run", str(spec), "--out", str(tmp_path / "run")], capsys)

    assert message.startswith("--device cpu: expected float32 arms, got float16.")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--style", "pastel"], "expected --styles-of WEIGHTS"),
        (["--styles-of", str(WEIGHTS), "--style", "noir"], "expected pastel or neon; got noir"),
    ],
)
def test_a_style_of_the_tiny_world_is_trained_on_weights_and_known(
    more: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]

    assert named in refused(["train", "tiny", *home, *more], capsys)
    assert not list(tmp_path.iterdir())
