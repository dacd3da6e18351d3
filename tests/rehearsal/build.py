#!/usr/bin/python3
"""Build the rehearsal medium, or find it in the cache. `build --help` says how; README.md says what it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from builder.main import main  # noqa: E402: the path is set first

if __name__ == "__main__":
    sys.exit(main())
