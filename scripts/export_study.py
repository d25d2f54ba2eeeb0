"""The trials of a study as CSV or Parquet, as python -m popsearch export; see --help."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "export")
    main()
