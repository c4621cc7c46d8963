"""What is installed: the packages, the data that comes with them, and what they need.

A third-party package that the source imports must be declared, in the base or in the extra of the
part that imports it; the lock must hold all of it, by digest, and lead nowhere.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from setuptools import find_packages

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("metrics", "poc", "reports")
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK: Final = (ROOT / "requirements.lock").read_text("utf-8")

# Import name -> name on the package index, where they differ by more than case and dashes.
DISTRIBUTIONS: Final = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "open_clip": "open-clip-torch",
    "pptx": "python-pptx",
    "pynvml": "nvidia-ml-py",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}

# Part of the tree -> the extras with which it must work, the base included. Tests get all of them.
EXTRAS: Final = {
    "metrics": ("run",),
    "poc": ("run",),
    "reports": ("dashboard", "documents"),
    "tests": ("run", "dashboard", "documents", "dev"),
}


def normal(name: str) -> str:
    """Return a distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Return the names of the base requirements and of those of the extras."""
    groups = PROJECT["project"]["optional-dependencies"]
    lines = [
        *PROJECT["project"]["dependencies"],
        *(line for extra in extras for line in groups[extra]),
    ]
    return {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


def third_party(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of each import of neither ours nor the standard library."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        match node:
            case ast.Import(names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(name), level=0):
                names = [name]
            case _:
                continue
        for top in {name.partition(".")[0] for name in names}:
            if top not in {*PACKAGES, *sys.stdlib_module_names}:
                yield node.lineno, top


def undeclared(part: Path, *extras: str) -> list[str]:
    """Return where a folder imports what the base and the extras do not declare."""
    known = declared(*extras)
    if part.name == "tests":  # pytest puts this folder on the path, Python that of a benchmark
        folders = part, part / "benchmarks"
        known |= {normal(path.stem) for one in folders for path in one.glob("*.py")}
    return [
        f"{path.relative_to(part.parent)}:{line}: {name}"
        for path in sorted(part.rglob("*.py"))
        for line, name in third_party(path)
        if normal(DISTRIBUTIONS.get(name, name)) not in known
    ]


def requirements(lock: str) -> dict[str, str]:
    """Return the locked requirements: name -> everything that stands on its logical line."""
    logical = lock.replace("\\\n", " ").splitlines()
    lines = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    return {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]): line for line in lines}


def lock_faults(lock: str) -> list[str]:
    """Return each requirement that is not one version with digests, each address and option."""
    shape = re.compile(r"[\w.-]+==[\w.!+]+( ;[^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    faults = [name for name, line in requirements(lock).items() if not shape.fullmatch(line)]
    return faults + re.findall(r"\S*(?:://|--(?!hash=)|@)\S*", lock)


# -- packages and data -----------------------------------------------------------------------------


def test_every_folder_of_modules_is_an_installed_package() -> None:
    rules = PROJECT["tool"]["setuptools"]["packages"]["find"]
    found = find_packages(str(ROOT), include=rules["include"])

    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }

    assert set(found) == folders


def test_the_embedded_files_are_declared_as_package_data() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]

    assert {"specs/**", "tiny/weights/**"} <= set(data["poc"])
    assert {"locale/**", "templates/**"} <= set(data["reports"])


def test_the_program_is_called_poc() -> None:
    assert PROJECT["project"]["scripts"] == {"poc": "poc.cli:main"}


# -- what is needed --------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "extras"), EXTRAS.items())
def test_every_import_is_declared_where_it_is_needed(part: str, extras: tuple[str, ...]) -> None:
    assert undeclared(ROOT / part, *extras) == []


def test_an_undeclared_import_is_found(tmp_path: Path) -> None:
    part = tmp_path / "metrics"
    part.mkdir()
    (part / "a.py").write_text("import os\nimport yaml\ndef f():\n    from lpips import LPIPS\n")
    (part / "b.py").write_text("import streamlit.testing\n")

    assert undeclared(part, "run") == ["metrics/a.py:4: lpips", "metrics/b.py:1: streamlit"]


def test_security_floors_are_kept() -> None:
    extras = PROJECT["project"]["optional-dependencies"]

    assert {"torch>=2.10", "diffusers>=0.38", "transformers>=5.3"} <= set(extras["run"])
    assert "streamlit[auth]>=1.54" in extras["dashboard"]


# -- the lock --------------------------------------------------------------------------------------


def test_the_lock_is_versions_and_digests_and_nothing_else() -> None:
    assert lock_faults(LOCK) == []
    assert "http:" not in LOCK
    assert "https:" not in LOCK


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.4.6\n",
        "numpy>=2 --hash=sha256:" + 64 * "0" + "\n",
        "numpy==2.4.6 --hash=md5:" + 32 * "0" + "\n",
        "--index-url https://example.org/simple\n",
        "--find-links wheels\n",
        "numpy @ https://example.org/numpy.whl --hash=sha256:" + 64 * "0" + "\n",
    ],
)
def test_a_faulty_line_in_the_lock_is_found(line: str) -> None:
    assert lock_faults(LOCK + line) != []


def test_the_lock_holds_everything_declared() -> None:
    assert declared(*PROJECT["project"]["optional-dependencies"]) <= requirements(LOCK).keys()


def test_the_lock_builds_the_project_too() -> None:
    # The project is installed without build isolation, so that nothing unlocked is fetched for it.
    builders = PROJECT["build-system"]["requires"]

    assert {normal(re.split(r"\W", line, maxsplit=1)[0]) for line in builders} <= requirements(
        LOCK
    ).keys()


@pytest.mark.parametrize("pin", ["torch==2.14.1", "torchvision==0.29.1"])
def test_the_lock_has_the_torch_that_fits_torchvision(pin: str) -> None:
    assert requirements(LOCK)[pin.partition("==")[0]].split()[0] == pin


def test_the_container_is_made_of_what_is_there_and_names_no_index() -> None:
    text = (ROOT / ".ci" / "Containerfile").read_text("utf-8")
    copied = [
        name
        for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    targets = re.findall(r"make ([\w./]+)$", text, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text("utf-8")

    assert {"requirements.lock", "poc", "metrics", "reports"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert targets
    assert [t for t in targets if f"\n{t.replace('.venv', '$(VENV)')}:" not in makefile] == []
    assert re.findall(r"https?://|--index|--extra-index|--find-links", text) == []
    installed = re.findall(r"apt-get install (.*?)\\?$", text, re.MULTILINE)
    assert "postgresql" in " ".join(installed).split()  # or half of the tests of votes are skipped
