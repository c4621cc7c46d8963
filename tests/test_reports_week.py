"""The page "from an empty GPU machine to a verdict in a week": its commands, parsed and typed.

Every `poc` line goes through the program's own parser. Those that need no person and no server are
typed in their order, with the tiny models in place of the real ones.
"""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from own_style_fixture import CONSENT, own_models, write_look
from planning_fixture import CRITERIA

from poc import cli, models, run, spec
from poc.own_stills import read_stills
from poc.records import digest
from poc.tiny import world
from poc.video import encode_webm

ROOT = Path(__file__).parents[1]
PAGE, TWIN = ROOT / "reports" / "WEEK.md", ROOT / "reports" / "WEEK.ja.md"
NOT_TYPED = (
    "--export",
    "--from",
    "rate import",
    "rate show",
    "dashboard",
    "latency-before-weights",
)
"""What the page says of itself."""
TINY = {"sd15": "tiny-base", "cuda:0": "cpu"}
QUICKLY = ["--steps", "2", "--batch", "1", "--rank", "2"]
STYLE = "our-look"
ENDS = {"rights": {3}, "decide": {1, 3}, "run": {0}, "measure": {3}}
"""Exit codes that are right here; of all others 0."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("poc ")]


def test_both_languages_have_the_same_commands() -> None:
    assert blocks(PAGE) == blocks(TWIN)
    assert len(commands(PAGE)) > 20


@pytest.mark.parametrize("words", commands(PAGE), ids=" ".join)
def test_the_program_takes_every_command(words: list[str]) -> None:
    cli._parser().parse_args(words)  # ends with SystemExit where it does not


def test_a_command_that_is_wrong_would_be_noticed() -> None:
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["train", "style", "stills", "--bass", "sd15", "--rights", "r"])


def test_every_link_leads_somewhere() -> None:
    for page in (PAGE, TWIN):
        links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []


# --- typed ---------------------------------------------------------------------------------------


def arm(name: str, loras: str, *, style: str = "null", teacher: bool = False) -> str:
    """Return an arm of one step."""
    return f"""\
  - name: {name}
    family: animatediff
    base: tiny-base
    motion_adapter: {"tiny-motion-teacher" if teacher else "tiny-motion-animatelcm"}
    scheduler: {"ddim" if teacher else "lcm"}
    steps: 1
    guidance: 1.0
    negative_prompt: ""
    loras: [{loras}]
    style: {style}
"""


LCM = "{model: tiny-lcm-lora, scale: 1.0}"
SPEC = """\
name: my-poc
question: Does it work?
question_ja: 動くか。
kind: demonstration
dataset: tiny-world-unseen
prompts: 2
replicates: 1
seed: 7
shape: {num_frames: 16, height: 64, width: 64, fps: 8}
dtype: float32
batch_size: 2
baseline: teacher-25
metrics: [clip_score, motion]
references: []
latency: {warmup: 1, repeats: 1}
criteria: criteria.yaml
arms:
""" + arm("teacher-25", "", teacher=True)


def fill_in(home: Path, company: Path) -> None:
    """Do what the page asks for between two commands, after `poc init`, with tiny parts."""
    (home / "spec.yaml").write_text(SPEC + arm("animatelcm-4", LCM), "utf-8")
    (home / "criteria.yaml").write_text(CRITERIA, "utf-8")
    for path in write_look(company).iterdir():
        shutil.copy(path, home / "stills" / path.name)
    stills = read_stills(home / "stills", smallest=64, captions=None, trigger=None)
    found = digest({one.name(STYLE): one.sha256 for one in stills})
    consent = CONSENT.format(model=f"{STYLE}-stills", name=STYLE, digest=found)
    text = (home / "rights.yaml").read_text("utf-8").replace("example: true", "example: false")
    text = text.replace("starts: 2027-01-01", "starts: 2026-11-01")
    (home / "rights.yaml").write_text(text, "utf-8")
    (home / "consent.yaml").write_text(consent, "utf-8")


def enter_consent(home: Path) -> None:
    """Enter the consent: before the style is there, only its training can read it."""
    text = (home / "rights.yaml").read_text("utf-8")
    text = re.sub(
        r"^stills: \[\].*\n", (home / "consent.yaml").read_text("utf-8"), text, flags=re.MULTILINE
    )
    (home / "rights.yaml").write_text(text, "utf-8")


def use_style(home: Path) -> None:
    """Put the arm of the own style into the spec."""
    own = arm(f"{STYLE}-4", f"{LCM}, {{model: {STYLE}, scale: 1.0}}", style=STYLE)
    (home / "spec.yaml").write_text((home / "spec.yaml").read_text("utf-8") + own, "utf-8")


def write_vendor(folder: Path) -> None:
    """Write two takes of a vendor, one of which failed."""
    (folder / "clips").mkdir(parents=True)
    scene = world.seen_scenes()[0]
    frames = world.render_clip(scene, np.random.default_rng(1))
    (folder / "clips" / "a.webm").write_bytes(encode_webm(frames, fps=8))
    head = "file,prompt,attempt,price,currency,requested,received,picked"
    rows = ["a.webm,a red circle,1,2.50,USD,,,no", ",a red circle,2,,,,,no"]
    (folder / "takes.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which styles can be left, with the repository's specs in it."""
    own_models(tmp_path)
    table = tmp_path / "poc" / "specs" / "models.yaml"
    read = models.read_models

    def read_models(path: Path = table) -> models.ModelTable:
        return read(path)

    for module in (models, run, spec):
        monkeypatch.setattr(module, "read_models", read_models)
    for path in (ROOT / "poc" / "specs").iterdir():
        if not (table.parent / path.name).exists():
            (table.parent / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_can_be_typed_one_after_the_other_with_tiny_models(machine: Path) -> None:
    home = Path("my-poc")
    tonight = f"{(datetime.now().astimezone().hour + 6) % 24:02}:00"
    tiny = TINY | {"07:00": tonight}  # typed at five to seven, too
    for block in blocks(PAGE):
        for line in block.splitlines():
            words = [tiny.get(word, word) for word in shlex.split(line)]
            if words[0] == "cp":
                shutil.copy(words[1], words[2])
            if words[0] != "poc" or any(part in line for part in NOT_TYPED):
                continue
            if words[1:3] == ["train", "style"]:
                enter_consent(home)
                words += QUICKLY
            if words[1] == "measure":
                write_vendor(Path("vendor"))
            code = cli.main(words[1:])
            assert code in ENDS.get(words[1], {0}), line
            if words[1] == "init":
                fill_in(home, machine / "company")
            if words[1:3] == ["train", "style"] and "--estimate" not in words:
                use_style(home)
    assert Path("runs/my-poc/decision.json").exists()
    assert list(Path("runs/my-poc").glob("*.pdf"))
