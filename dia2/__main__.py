"""`python -m dia2` is the command line."""

import sys

from dia2.cli import main

sys.exit(main())
