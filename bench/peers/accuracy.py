#!/usr/bin/env python3
"""Heddle's outputs beside ONNX Runtime's, on the same random inputs, for each given model.

Exit code: 0 if every output of every model is within the tolerances, 1 if one is not, 3 if a model
could not be run. See README.md.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import environment

DEFAULT_HEDDLE = environment.REPOSITORY / "build" / "release" / "heddle"
RUN_LIMIT_S = 300


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="+", metavar="MODEL[@CELL[@NAME=NUMBER…]]",
                        help="a model, its input shapes as compare.py's --cells has them, and "
                             "fixed values; or, with --inputs, only MODEL")
    parser.add_argument("--inputs", action="store_true",
                        help="take inputs/NAME.npy beside each model in place of random ones")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--integers-below", type=int, default=1000)
    parser.add_argument("--heddle", type=Path, default=DEFAULT_HEDDLE)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--environment", type=Path, default=environment.FOLDER)
    return parser.parse_args()


def load_arrays(arguments, path, parts):
    import cells
    import numpy as np

    inputs = cells.model_inputs(path)
    if arguments.inputs:
        return {entry.name: np.load(path.parent / "inputs" / f"{entry.name}.npy")
                for entry in inputs}
    cell = parts[0] if parts else ""
    if not cell:
        cell = "+".join(f"{entry.name}={'x'.join(str(dim or 1) for dim in entry.dims)}"
                        for entry in inputs)
    constants = cells.parse_constants(parts[1:])
    return cells.cell_arrays(cell, inputs, constants, arguments.integers_below)


def run_reference(path, arrays):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [output.name for output in session.get_outputs()], session.run(None, arrays)


def run_heddle(arguments, path, arrays, names):
    """The outputs of `heddle run`, in the model's order, or a sentence that says what failed."""
    import numpy as np
    from outputs import in_order

    with tempfile.TemporaryDirectory(prefix="heddle-accuracy-") as folder:
        command = [str(arguments.heddle), "run", str(path), "--device", arguments.device,
                   "--output-dir", folder]
        for index, (name, array) in enumerate(arrays.items()):
            file = Path(folder) / f"input{index}" / "array.npy"
            file.parent.mkdir()
            np.save(file, array)
            command += ["--input", f"{name}={file}"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            return None, f"no answer in {RUN_LIMIT_S} s"
        if done.returncode != 0:
            return None, f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
        try:
            return in_order({file.stem: np.load(file) for file in Path(folder).glob("*.npy")},
                            names), None
        except ValueError as error:
            return None, str(error)


def check_model(arguments, entry):
    """Prints one line an output; returns the exit code for this model."""
    import numpy as np
    from outputs import difference, scale

    path, *parts = entry.split("@")
    path = Path(path)
    try:
        arrays = load_arrays(arguments, path, parts)
        names, expected = run_reference(path, arrays)
    except Exception as error:
        print(f"{path}: ONNX Runtime cannot run it: {error}")
        return 3
    actual, failure = run_heddle(arguments, path, arrays, names)
    if failure:
        print(f"{path}: Heddle cannot run it: {failure}")
        return 3
    worst = 0
    for name, ours, theirs in zip(names, actual, expected):
        label = f"{path} {name} {theirs.dtype}{list(theirs.shape)}"
        try:
            absolute, relative = difference(ours, theirs)
        except ValueError as error:
            print(f"{label}: {error}")
            worst = 1
            continue
        if theirs.dtype.kind == "f":
            good = np.allclose(ours, theirs, rtol=arguments.rtol,
                               atol=arguments.atol * scale(theirs), equal_nan=True)
        else:
            good = np.array_equal(ours, theirs)
        print(f"{label}: absolute {absolute:.2e}, relative {relative:.2e}, "
              f"{'ok' if good else 'TOO FAR'}")
        worst = worst if good else 1
    return worst


def main():
    arguments = parse_arguments()
    if not arguments.heddle.is_file():
        sys.exit(f"accuracy.py: {arguments.heddle} is not built")
    environment.enter(arguments.environment)
    results = [check_model(arguments, entry) for entry in arguments.model]
    print(f"{results.count(0)} of {len(results)} models agree")
    return 1 if 1 in results else max(results)


if __name__ == "__main__":
    sys.exit(main())
