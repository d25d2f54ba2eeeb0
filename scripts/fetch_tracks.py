"""Fetch the tracks from Kaggle, as python -m popsearch fetch; see --help."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "fetch")
    main()
