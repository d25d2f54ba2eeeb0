"""Remove parsed tables and residuals that are kept, as python -m popsearch cache clear."""

import sys

from popsearch.__main__ import main

if __name__ == "__main__":
    sys.argv[1:1] = ["cache", "clear"]
    main()
