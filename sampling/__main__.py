"""The entry for several processes: `accelerate launch -m sampling FILE [key=value ...]`."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["sample", *sys.argv[1:]]))
