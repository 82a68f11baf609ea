"""The entry for several processes: `accelerate launch -m skew FILE [key=value ...]`."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["skew", *sys.argv[1:]]))
