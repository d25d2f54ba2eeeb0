"""python -m popsearch.predict: the same as python -m popsearch predict."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "predict")
    main()
