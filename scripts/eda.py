"""A first look at a table, as python -m popsearch eda; see --help."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "eda")
    main()
