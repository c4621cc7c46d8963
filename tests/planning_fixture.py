"""A small spec with criteria and made-up digests: what planning needs, and no weight."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from poc.datasets import read_prompts
from poc.models import HubFile, ModelEntry, ModelTable, read_models
from poc.plan import make_plan
from poc.records import Plan
from poc.spec import read_criteria, read_spec

ARM: Final = """\
  - name: {name}
    family: animatediff
    base: tiny-base
    motion_adapter: tiny-motion-teacher
    scheduler: ddim
    steps: {steps}
    guidance: {guidance}
    negative_prompt: ""
    loras: []
    style: null
"""

SPEC: Final = (
    """\
name: small
question: Does it work?
question_ja: 動くか。
kind: demonstration
dataset: tiny-world-unseen
prompts: 3
replicates: 2
seed: 7
shape:
  num_frames: 16
  height: 64
  width: 64
  fps: 8
dtype: float32
batch_size: 2
baseline: teacher-25
metrics: [clip_score, fvd, "style_similarity[pastel]"]
references:
  - {name: clean, kind: rendered, style: null, count: 16, seed: 1}
  - {name: pastel, kind: rendered, style: pastel, count: 16, seed: 2}
latency: {warmup: 1, repeats: 7}
criteria: criteria.yaml
arms:
"""
    + ARM.format(name="teacher-{steps}", steps="[25, 4]", guidance="4.0")
    + ARM.format(name="fast", steps="2", guidance="1.0")
)

CRITERIA: Final = """\
name: some
version: 1
purpose: to test
purpose_ja: 試験
written: "2026-11-23"
author: tests
criteria:
  - name: words
    metric: clip_score
    comparison: difference
    direction: higher
    target: -1
    minimum: -2.5
    weight: must
    applies_to: all
    reason: a reason of some length
    reason_ja: 十分な長さの理由
"""


def line_of(text: str, part: str) -> int:
    """Return the line (from 1) on which `part` first stands."""
    return text[: text.index(part)].count("\n") + 1


def changed(text: str, old: str, new: str) -> str:
    """Return `text` with the first `old` replaced; `old` must be there."""
    assert old in text, old
    return text.replace(old, new, 1)


def without_key(text: str, key: str) -> str:
    """Return `text` without the first line that gives `key`."""
    found = re.sub(rf"^ *{key}:.*\n", "", text, count=1, flags=re.MULTILINE)
    assert found != text, key
    return found


def pinned_models() -> ModelTable:
    """Return our own models with made-up digests, as if fetched, trained and ready to run."""
    table = read_models()
    models = {
        key: replace(
            model,
            entry=with_vocabulary(model.entry),
            files={"a.json": hashlib.sha256(key.encode()).hexdigest()},
        )
        for key, model in table.models.items()
    }
    return ModelTable(table.path, models)


def with_vocabulary(entry: ModelEntry) -> ModelEntry:
    """Return an entry as if somebody had converted its vocabulary."""
    if entry.hub is None:
        return entry
    words = HubFile(name="tokenizer/tokenizer.json", sha256="0" * 64)
    files = (*entry.hub.files, words)
    return entry.model_copy(update={"hub": entry.hub.model_copy(update={"files": files})})


def write_spec(folder: Path, spec: str = SPEC, criteria: str = CRITERIA) -> Path:
    """Write both files into `folder`; returns the spec's path."""
    (folder / "criteria.yaml").write_text(criteria, "utf-8")
    path = folder / "spec.yaml"
    path.write_text(spec, "utf-8")
    return path


def plan_of(path: Path, models: ModelTable | None = None) -> Plan:
    """Return the plan of the spec at `path`, as `poc plan` makes it."""
    models = models or pinned_models()
    spec = read_spec(path, models)
    criteria = read_criteria(path.parent / spec.criteria)
    prompts = read_prompts(spec.dataset, spec.prompts, beside=path)
    return make_plan(spec, criteria, prompts, models)
