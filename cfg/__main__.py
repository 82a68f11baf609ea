"""The entry for several processes: `accelerate launch -m cfg FILE [key=value ...]`."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["cfg", *sys.argv[1:]]))
