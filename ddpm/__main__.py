"""`accelerate launch -m ddpm FILE`: the same job, on any number of processes."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["ddpm", *sys.argv[1:]]))
