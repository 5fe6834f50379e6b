#!/usr/bin/env python3
"""Heddle beside ONNX Runtime and OpenVINO on one model, interleaved in one run.

Writes a Markdown table to standard output (or --markdown FILE) and, with --json, all figures.
See README.md.
"""

import argparse
import sys
from pathlib import Path

import environment

DEFAULT_HEDDLE = environment.REPOSITORY / "build" / "release" / "heddle"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--cells", default="1x16,1x128,8x32,8x128",
                        help="comma-separated; a shape for all inputs (8x128), or NAME=SHAPE "
                             "joined by + (x=1x3x320x320)")
    parser.add_argument("--threads", default="1,2,4,8", help="numbers of caller threads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a measurement")
    parser.add_argument("--warm-up", type=float, default=0.2,
                        help="seconds before each measurement of a peer that do not count")
    parser.add_argument("--value", action="append", default=[], metavar="NAME=NUMBER",
                        help="fixes an input to one value")
    parser.add_argument("--integers-below", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the order of measurements")
    parser.add_argument("--heddle", type=Path, default=DEFAULT_HEDDLE)
    parser.add_argument("--peers-only", action="store_true", help="measure without Heddle")
    parser.add_argument("--batch", action="store_true",
                        help="measure callers that go through Heddle's batch queue, too")
    parser.add_argument("--tolerance", type=float, default=1e-3,
                        help="largest difference from ONNX Runtime (relative, README.md)")
    parser.add_argument("--require", type=float, metavar="RATIO",
                        help="exit with 1 if Heddle is below RATIO of the best peer in a cell")
    parser.add_argument("--title", help="heading of the table (default: the file's name)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--environment", type=Path, default=environment.FOLDER)
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        parser.error(f"{arguments.model} is not a file")
    if not arguments.peers_only and not arguments.heddle.is_file():
        parser.error(f"{arguments.heddle} is not built (or give --peers-only)")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return arguments


def main():
    arguments = parse_arguments()
    environment.enter(arguments.environment)
    import comparison
    return comparison.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
