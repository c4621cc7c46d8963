"""`streamlit` with what the pages stand on in memory before the first visitor comes.

Streamlit reads a page's modules, and the pages their run, when somebody first asks: seconds of
waiting that the start of the server can take instead. Modules that register components stay out:
they need its runtime.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd  # noqa: F401
from streamlit.web.cli import main

from reports import (  # noqa: F401
    charts,
    compare,
    content,
    kept,
    load,
    tidy,
)
from reports.export import clips  # noqa: F401

if __name__ == "__main__":
    if "--" in sys.argv:  # what stands behind it is for the pages: the folder of runs
        kept.warm(Path(sys.argv[sys.argv.index("--") + 1]))
    main(prog_name="streamlit")
