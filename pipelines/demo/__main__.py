"""``python -m pipelines.demo PORT [SEED]``: serve the simulated fleet on loopback."""

import sys

from pipelines.demo.server import run

if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
