"""`python -m preimage`: the command line."""

import sys

from preimage.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
