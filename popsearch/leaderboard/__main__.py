"""python -m popsearch.leaderboard: the same as python -m popsearch leaderboard."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv.insert(1, "leaderboard")
    main()
