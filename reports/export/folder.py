"""A folder of files that belong together: none of them is replaced before all of them are made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write into; its files move into `folder` when all is written.

    What raises leaves `folder` as it was. Files of other names stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as beside:
        yield Path(beside)
        for path in sorted(Path(beside).iterdir()):
            path.replace(folder / path.name)
