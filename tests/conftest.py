"""The order of the files: with one file a process at a time, the longest must not come last."""

from __future__ import annotations

from typing import Final

import pytest

LONGEST: Final = (
    "test_reports_browser.py",
    "test_reports_rating_browser.py",
    "test_poc_run.py",
    "test_audit.py",
    "test_poc_training_own_style.py",
    "test_poc_measure_folder.py",
    "test_reports_week.py",
    "test_reports_documents.py",
    "test_report_card.py",
    "test_poc_planted_faults.py",
    "test_poc_imported.py",
    "test_poc_fast_settings.py",
    "test_poc_random_weights.py",
    "test_poc_measure_corpus.py",
)
"""Files of more than some twenty seconds, the longest first; the others follow by name."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; `make test` keeps pytest-xdist from ordering them anew."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
