"""A page of all pieces in a folder: their sounds, piano rolls and MIDI files, the newest first. `make serve` shows it in a browser.

python examples/listening_page.py [FOLDER]
"""

import sys
from pathlib import Path

from kapelle import api


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    page = api.gallery(folder)
    print(f"{len(list(folder.glob('*.mid')))} pieces on {page}")


if __name__ == "__main__":
    main()
