"""`accelerate launch -m inversion FILE`: the same job, on any number of processes."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["inversion", *sys.argv[1:]]))
