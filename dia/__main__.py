"""`python -m dia`."""

import sys

from dia.cli import main

if __name__ == "__main__":
    sys.exit(main())
