"""`accelerate launch -m cropping FILE` is `pseudoword cropping FILE`."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(["cropping", *sys.argv[1:]]))
