"""``python -m kapelle``: the same as ``kapelle``."""

import sys

from kapelle.cli import main

if __name__ == "__main__":  # workers of a process pool import this file again
    sys.exit(main())
