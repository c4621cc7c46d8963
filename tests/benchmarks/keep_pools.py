"""Write the clips of finished runs where every clone can draw from them: `make audit-pool`."""

from __future__ import annotations

import argparse
from pathlib import Path

import audit_pool_file

from poc.errors import InputError


def main() -> None:
    """Write one file a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="finished run folders")
    for run in parser.parse_args().runs:
        try:
            path = audit_pool_file.write(run)
        except (InputError, audit_pool_file.PoolFileError) as error:
            raise SystemExit(str(error)) from error
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
