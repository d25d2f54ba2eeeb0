"""python -m popsearch.eda: the same as python -m popsearch eda."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "eda")
    main()
