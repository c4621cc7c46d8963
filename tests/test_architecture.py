"""Who may import whom, read from the source and not from memory.

The two tables below are the import table of CONTRIBUTING.md; change both together. A name ending
in `.*` means a package and everything in it. An import counts wherever it stands: at the top, in a
function, or as a literal given to `importlib.import_module`. One under `if TYPE_CHECKING` counts
like one in a function: it runs late, or never.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
PACKAGES: Final = ("metrics", "poc", "reports")

# Where poc touches models, devices, pages or arguments.
EDGES: Final = (
    "poc.__main__",
    "poc.check",
    "poc.cli",
    "poc.commands.*",
    "poc.engine.*",
    "poc.fetch",
    "poc.generate",
    "poc.hub",
    "poc.measure",
    "poc.pipelines.*",
    "poc.run",
    "poc.set_metrics",
    "poc.tiny.*",
    "poc.training.*",
    "poc.video",
)

# All the rest of poc, a module that is added tomorrow included: from the spec to the decision,
# without a network. It must start fast and run where no GPU is.
CORE: Final = "the core"

# Importer -> what of ours it may import. The first row that fits is the one that counts.
OURS: Final[Mapping[str, tuple[str, ...]]] = {
    "metrics": ("metrics.base", "metrics.catalog"),
    "metrics.catalog": (),
    "metrics.report_card": ("metrics.catalog",),
    "metrics.reference": ("metrics.catalog", "metrics.frames", "metrics.report_card"),
    "metrics.*": ("metrics.base", "metrics.extractors.*", "metrics.frames", "metrics.frechet"),
    "poc": (),
    "poc.__main__": ("poc.cli",),
    "poc.check": (CORE,),
    "poc.cli": ("poc.commands.*", "poc.errors"),
    "poc.commands.*": ("poc.commands.*", "poc.errors"),
    "poc.run": (CORE,),
    "poc.hub": ("poc.disk", "poc.errors"),
    "poc.fetch": (CORE, "poc.hub"),
    "poc.pipelines.*": ("poc.errors", "poc.pipelines.*", "poc.records"),
    "poc.training.*": (CORE, "poc.pipelines.*", "poc.training.*"),
    "poc.tiny.*": (
        CORE,
        "metrics.extractors.*",
        "metrics.style",
        "poc.pipelines.*",
        "poc.tiny.*",
        "poc.training.*",
    ),
    "poc.video": ("poc.errors",),
    "poc.engine.*": ("poc.engine.*", "poc.errors", "poc.pipelines.device", "poc.records"),
    "poc.generate": (
        CORE,
        "metrics.frames",
        "metrics.validity",
        "poc.engine.*",
        "poc.pipelines.*",
        "poc.video",
    ),
    "poc.measure": (
        CORE,
        "metrics.*",
        "poc.engine.*",
        "poc.tiny.oracle",
        "poc.tiny.stills",
        "poc.tiny.video_network",
        "poc.video",
    ),
    # Loads networks and decoders inside functions only, so that it starts as fast as the core.
    **dict.fromkeys(
        (
            "poc.clip_bench",
            "poc.clip_files",
            "poc.clip_given",
            "poc.clip_judges",
            "poc.clip_video",
            "poc.clip_work",
            "poc.folder_rates",
            "poc.folder_sets",
            "poc.golden",
            "poc.imported",
            "poc.measure_cache",
            "poc.reference_clips",
        ),
        (CORE, "metrics.*", "poc.measure"),
    ),
    "poc.set_metrics": (CORE, "metrics.*", "poc.measure"),
    "poc.video_judge": (CORE, "metrics.extractors.base"),
    "poc.datasets": (CORE, "metrics.catalog", "poc.tiny.world"),
    "poc.fault_evidence": (CORE, "metrics.catalog", "metrics.report_card"),
    "poc.latency_profile": (CORE, "metrics.latency"),
    "poc.*": (CORE, "metrics.catalog"),
    "reports.*": (
        "metrics.catalog",
        "poc.ballot",
        "poc.brief",
        "poc.claims",
        "poc.claims_file",
        "poc.collector",
        "poc.cost",
        "poc.cost_file",
        "poc.cost_findings",
        "poc.cost_light",
        "poc.findings",
        "poc.governance_findings",
        "poc.cost_lines",
        "poc.cost_records",
        "poc.cost_scenario",
        "poc.table",
        "poc.differences",
        "poc.errors",
        "poc.estimate",
        "poc.front",
        "poc.governance",
        "poc.governance_records",
        "poc.latency_calls",
        "poc.latency_profile",
        "poc.latency_scenarios",
        "poc.latency_telemetry",
        "poc.licences",
        "poc.models",
        "poc.panel",
        "poc.plan",
        "poc.rating_folder",
        "poc.rating_votes",
        "poc.records",
        "poc.samples",
        "poc.slicing",
        "poc.spec",
        "poc.speed_split",
        "poc.run_folder",
        "poc.store",
        "poc.verdicts",
        "poc.vote_intervals",
        "poc.vote_records",
        "poc.votes",
        "reports.*",
    ),
}

# Importer -> what it may import besides, but only inside functions whose name has one of these
# words; no words: inside any function, or for the sake of types. Every row that fits counts.
LATE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "poc.commands.*": {"poc.*": ()},
    "poc.commands.brief": {"reports.*": ("brief",)},
    "poc.commands.report": {"reports.*": ("dashboard", "report")},
    "poc.commands.run": {"reports.*": ("report",)},
    "poc.check": {"poc.run": (), "poc.set_metrics": ()},
    "poc.rating_pack": {"poc.video": ()},
    "poc.run": {"poc.*": (), "reports.*": ("report",)},
    "poc.measure": {"poc.generate": (), "poc.tiny.world": ()},
    "poc.clip_given": {"poc.pipelines.device": ()},
    "poc.clip_judges": {
        "poc.pipelines.device": (),
        "poc.tiny.video_network": (),
        "poc.tiny.world": (),
    },
    "poc.clip_video": {"poc.pipelines.device": ()},
}

# Library -> the only places that may import it.
NETWORKS: Final = (
    "metrics.clip_score",
    "metrics.extractors.*",
    "metrics.fvd",
    "metrics.image",
    "metrics.motion",
    "metrics.paired",
    "metrics.style",
    "metrics.temporal",
    "poc.pipelines.*",
    "poc.tiny.*",
    "poc.training.*",
)
PAGES: Final = ("reports.*",)
THEIRS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("torch", "torchmetrics", "torchvision", "open_clip"), NETWORKS),
    **dict.fromkeys(("accelerate", "diffusers", "peft", "transformers"), NETWORKS),
    **dict.fromkeys(("altair", "matplotlib", "streamlit", "vl_convert"), PAGES),
    "huggingface_hub": ("poc.hub",),
    **dict.fromkeys(("pptx", "typst", "xlsxwriter"), PAGES),
}

# What the base does not bring along; the core must load none of it.
EXTRAS: Final = (*THEIRS, "PIL", "av", "cv2", "jinja2", "pandas", "pynvml", "safetensors")


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement, or one literal dynamic import."""

    importer: str
    imported: str
    line: int
    function: str | None  # the innermost enclosing function, or TYPE_CHECKING; None: at once


class _Reader(ast.NodeVisitor):
    """Collects the imports of one module."""

    def __init__(self, module: str, is_package: bool, known: frozenset[str]) -> None:
        self.found: list[Import] = []
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._known = known
        self._functions: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_If(self, node: ast.If) -> None:
        if _last_name(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        self._functions.append("TYPE_CHECKING")
        for child in node.body:
            self.visit(child)
        self._functions.pop()
        for child in node.orelse:
            self.visit(child)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name is given by ast

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self._package.split(".")[: 1 - node.level or None] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            self._add(whole if whole in self._known else base, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        if _last_name(node.func) in {"import_module", "__import__"}:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self._add(name, node.lineno)
        self.generic_visit(node)

    def _add(self, imported: str, line: int) -> None:
        function = self._functions[-1] if self._functions else None
        self.found.append(Import(self._module, imported, line, function))


def _last_name(node: ast.expr) -> str:
    """Return `c` of the expression `a.b.c`; nothing of one that is no name."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def modules(root: Path) -> dict[str, Path]:
    """Return our modules under `root`, by their dotted names."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }


@cache
def imports(root: Path) -> tuple[Import, ...]:
    """Return every import of every module of ours under `root`; read once."""
    return tuple(_read(root))


def _read(root: Path) -> Iterator[Import]:
    found = modules(root)
    known = frozenset(found)
    for name, path in found.items():
        reader = _Reader(name, path.name == "__init__.py", known)
        reader.visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
        yield from reader.found


def covers(pattern: str, name: str) -> bool:
    """Tell whether `name` is what `pattern` means."""
    if pattern == CORE:
        return covers("poc.*", name) and not any(covers(edge, name) for edge in EDGES)
    package = pattern.removesuffix(".*")
    return name == package or (pattern != package and name.startswith(f"{package}."))


def is_late(edge: Import) -> bool:
    """Tell whether the edge is one of those that are allowed inside a function only."""
    return edge.function is not None and any(
        covers(pattern, edge.imported)
        and (not words or not set(words).isdisjoint(edge.function.split("_")))
        for importer, row in LATE.items()
        if covers(importer, edge.importer)
        for pattern, words in row.items()
    )


def objection(edge: Import) -> str | None:
    """Return what is wrong with one import, or nothing."""
    library = edge.imported.partition(".")[0]
    if library in THEIRS:
        if any(covers(place, edge.importer) for place in THEIRS[library]):
            return None
        return f"{library} is only for {', '.join(THEIRS[library])}"
    if library not in PACKAGES or is_late(edge):
        return None
    allowed = next((row for pattern, row in OURS.items() if covers(pattern, edge.importer)), None)
    if allowed is None:
        return "the importer has no row in the table: decide what it may import, and add one"
    if any(covers(pattern, edge.imported) for pattern in allowed):
        return None
    return f"allowed here: {', '.join(allowed) or 'nothing of ours'}"


def violations(root: Path) -> list[str]:
    """Return every forbidden import under `root`, one readable line each."""
    return [
        f"{edge.importer}:{edge.line}: must not import {edge.imported}; {reason}"
        for edge in dict.fromkeys(imports(root))  # once for each line, whatever it lists
        if (reason := objection(edge)) is not None
    ]


def import_cycle(root: Path) -> list[str]:
    """Return one cycle of imports made at import time, or nothing."""
    names = modules(root)
    graph: dict[str, set[str]] = {name: set() for name in names}
    for edge in imports(root):
        if edge.function is None and edge.imported in names and edge.imported != edge.importer:
            graph[edge.importer].add(edge.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """Write a small tree of ours: the three packages, and what the test adds to them."""
    empty = {f"{package}/__init__.py": "" for package in PACKAGES}
    for path, text in {**empty, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


# -- the tree as it is -----------------------------------------------------------------------------


def test_every_package_of_ours_is_seen() -> None:
    seen = {name.partition(".")[0] for name in modules(ROOT)}

    assert seen == set(PACKAGES)


def test_every_import_is_allowed_by_the_table() -> None:
    assert violations(ROOT) == []


def test_the_contributor_reads_of_the_same_edges() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (edges,) = re.findall(r"all of `poc` but `\{([^}]+)\}`", text)

    assert {f"poc.{name}" for name in edges.split(", ")} == {
        edge.removesuffix(".*") for edge in EDGES
    }


def test_no_module_imports_itself_in_a_circle() -> None:
    assert import_cycle(ROOT) == []


def test_the_core_loads_nothing_that_the_base_does_not_bring() -> None:
    light = [
        name
        for name in modules(ROOT)
        if covers(CORE, name) or name in {"poc.cli", "poc.run", "metrics.catalog"}
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print(sorted(sys.modules.keys() & {set(EXTRAS)!r}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "[]", done.stderr


def test_no_module_of_reports_hides_a_package() -> None:
    # `streamlit run` puts reports/ first on the path: reports/metrics.py would replace metrics.
    names = {path.stem for path in (ROOT / "reports").glob("*.py")} - {"__init__", "__main__"}

    assert names.isdisjoint({*PACKAGES, *sys.stdlib_module_names})


def test_the_tests_are_flat() -> None:
    # tests/metrics/__init__.py would hide the package metrics.
    assert list(HERE.rglob("__init__.py")) == []


# -- the checks themselves, on trees made to fail and on twins that must not -----------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("poc/decide.py", "import torch\n"),
        ("poc/decide.py", "import torch.nn.functional as F\n"),
        ("poc/plan.py", "def f():\n    from diffusers import DDIMScheduler\n"),
        ("poc/fingerprint.py", "import importlib\nimportlib.import_module('torch')\n"),
        (
            "poc/models.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
        ),
        ("poc/measure.py", "import torch\n"),
        ("poc/store.py", "import streamlit as st\n"),
        ("metrics/latency.py", "import torch\n"),
        ("metrics/frechet.py", "import torch\n"),
        ("reports/charts.py", "import torch\n"),
        ("metrics/fvd.py", "from poc.records import Clip\n"),
        ("metrics/fvd.py", "from poc import records\n"),
        ("metrics/fvd.py", "import metrics.catalog\n"),
        ("metrics/fvd.py", "import metrics.style\n"),
        ("metrics/catalog.py", "from metrics.base import ClipMetric\n"),
        ("metrics/frames.py", "import reports\n"),
        ("poc/estimate.py", "import metrics.fvd\n"),
        ("poc/estimate.py", "from poc import generate\n"),
        ("poc/decide.py", "from reports import load\n"),
        ("poc/decide.py", "async def report():\n    import reports.load\n"),
        ("poc/generate.py", "import poc.tiny.world\n"),
        ("poc/generate.py", "import metrics.fvd\n"),
        ("poc/engine/local.py", "from poc import generate\n"),
        ("poc/measure.py", "import poc.tiny.training\n"),
        ("poc/measure.py", "import poc.pipelines.base\n"),
        ("poc/pipelines/base.py", "from poc.tiny import world\n"),
        ("poc/pipelines/base.py", "from .. import generate\n"),
        ("poc/cli.py", "from poc import records\n"),
        ("poc/cli.py", "def main():\n    from poc import records\n"),
        ("poc/commands/run.py", "from poc import records\n"),
        ("poc/commands/run.py", "import reports.load\n"),
        ("poc/commands/run.py", "def plan_command():\n    import reports.load\n"),
        ("poc/commands/run.py", "if True:\n    from poc import generate\n"),
        ("poc/commands/train.py", "def _report():\n    import reports.load\n"),
        ("poc/run.py", "def run():\n    import reports.load\n"),
        ("poc/commands/run.py", "def run_command():\n    import torch\n"),
        ("reports/load.py", "import poc.generate\n"),
        ("poc/run.py", "def run():\n    import huggingface_hub\n"),
        ("poc/run.py", "import poc.hub\n"),
        ("reports/load.py", "from poc.tiny import world\n"),
        ("reports/load.py", "import metrics.fvd\n"),
        ("poc/newcomer.py", "import torch\n"),
        ("poc/newcomer.py", "import poc.generate\n"),
        ("poc/datasets.py", "import poc.tiny.oracle\n"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str) -> None:
    there = {f"poc/{name}.py": "" for name in ("records", "generate", "hub", "tiny/world")}
    root = plant(tmp_path, {**there, "poc/tiny/__init__.py": "", "reports/load.py": "", path: text})

    assert len(violations(root)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metrics/__init__.py", "from metrics import catalog\n"),
        (
            "metrics/fvd.py",
            "import torch\nfrom metrics import frechet\nimport metrics.extractors.i3d\n",
        ),
        ("poc/pipelines/animatediff.py", "import diffusers\nfrom poc.records import Arm\n"),
        ("poc/pipelines/animatediff.py", "from . import base\n"),
        ("poc/tiny/train.py", "import torch\nimport poc.training.distill\n"),
        ("poc/decide.py", "import numpy\nfrom poc import records\nimport metrics.catalog\n"),
        ("poc/newcomer.py", "import poc.records\nfrom poc import plan\n"),
        ("poc/generate.py", "import poc.pipelines.base\n"),
        ("poc/measure.py", "import metrics.fvd\nfrom poc.tiny import oracle\n"),
        ("poc/cli.py", "import poc.errors\nfrom poc.commands import run\n"),
        ("poc/commands/run.py", "import poc.errors\nfrom poc.commands import parsers\n"),
        ("poc/commands/run.py", "def plan_command():\n    from poc import generate\n"),
        ("poc/commands/run.py", "def _report_places():\n    import reports.load\n"),
        ("poc/commands/report.py", "def _dashboard():\n    import reports.load\n"),
        (
            "poc/commands/run.py",
            "import typing as t\nif t.TYPE_CHECKING:\n    from poc import generate\n",
        ),
        ("poc/run.py", "def _with_report():\n    import reports.load\n"),
        ("reports/dashboard.py", "import streamlit as st\nimport reports.load\nimport poc.store\n"),
    ],
)
def test_a_lawful_import_is_let_pass(tmp_path: Path, path: str, text: str) -> None:
    there = {f"poc/{name}.py": "" for name in ("records", "generate", "tiny/oracle")}
    root = plant(
        tmp_path, {**there, "metrics/catalog.py": "", "metrics/frechet.py": "", path: text}
    )

    assert violations(root) == []


def test_a_violation_says_where_and_what_is_allowed(tmp_path: Path) -> None:
    root = plant(tmp_path, {"poc/decide.py": "import numpy\nimport streamlit\n"})

    assert violations(root) == [
        "poc.decide:2: must not import streamlit; streamlit is only for reports.*"
    ]


def test_a_circle_is_found_and_one_cut_by_a_late_import_is_not(tmp_path: Path) -> None:
    early = "import poc.b\n"
    late = "def f():\n    import poc.b\n"

    circle = plant(tmp_path / "1", {"poc/a.py": early, "poc/b.py": "from poc import a\n"})
    cut = plant(tmp_path / "2", {"poc/a.py": late, "poc/b.py": "from poc import a\n"})

    assert {"poc.a", "poc.b"} == set(import_cycle(circle))
    assert import_cycle(cut) == []
