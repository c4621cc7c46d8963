"""A run as a small folder to commit: derived numbers, the printed table, and two pictures.

The README shows what lies here and nothing else, so that no number in it is typed by hand.
"""

from __future__ import annotations

from pathlib import Path

from poc.records import canonical_json
from poc.store import RunStore
from poc.table import table
from reports.charts import Subject
from reports.export.folder import together
from reports.figures import contact_sheet, step_curve
from reports.load import RunView, load_run
from reports.sheet import make_sheet
from reports.text import Text, load_text
from reports.tidy import points_table

TABLE, CURVE, SHEET = "table.txt", "step_curve.png", "contact_sheet.jpg"
_SHEET_COLUMNS = 4


def write_summary(run: Path, folder: Path) -> Path:
    """Write the summary of a run into `folder`; raises RunNotShownError when there is none."""
    view, text = load_run(run), load_text("en")
    store = RunStore.open_reader(run)
    with together(folder) as beside:
        for name in ("estimates.json", "decision.json"):
            (beside / name).write_text(f"{store.read_derived(name)}\n", encoding="utf-8")
        fingerprint = store.manifest.fingerprint.model_dump(mode="json")
        (beside / "fingerprint.json").write_text(
            canonical_json(fingerprint) + "\n", encoding="utf-8"
        )
        (beside / "criteria.json").write_text(f"{view.plan.criteria.to_json()}\n", encoding="utf-8")
        printed = table(view.estimates, view.decision, view.plan.criteria)
        (beside / TABLE).write_text(printed + "\n", encoding="utf-8")
        _draw(view, text, beside)
    return folder


def _draw(view: RunView, text: Text, folder: Path) -> None:
    metric = view.estimates.quality_metric
    subject = Subject(text, metric, view.demonstration, f"{100 * view.estimates.level:.0f}")
    step_curve(points_table(view, text, metric), subject, folder / CURVE)
    sheet = make_sheet(view, _SHEET_COLUMNS)
    contact_sheet(view, text, sheet, view.plan.arms, folder / SHEET)
