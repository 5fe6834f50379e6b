"""Runs the comparison: prepares each contender, measures in shuffled rounds, reports."""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import cells
import machine
import outputs
import report
from contenders import peer_settings
from processes import HeddleProcess, PeerProcess


class Disagreement(Exception):
    """Two contenders computed different outputs."""


def run(arguments):
    names = arguments.cells.split(",")
    threads = [int(entry) for entry in arguments.threads.split(",")]
    try:
        inputs = cells.model_inputs(arguments.model)
        constants = cells.parse_constants(arguments.value)
        arrays = {cell: cells.cell_arrays(cell, inputs, constants, arguments.integers_below)
                  for cell in names}
    except ValueError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    contenders = []
    with tempfile.TemporaryDirectory(prefix="heddle-peers-") as folder:
        try:
            result = _compare(arguments, arrays, threads, contenders, Path(folder))
        except Disagreement as error:
            print(f"compare.py: {error}", file=sys.stderr)
            return 1
        except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
            print(f"compare.py: {error}", file=sys.stderr)
            return 3
        finally:
            for contender in contenders:
                contender.close()
    return _finish(arguments, result)


def _compare(arguments, arrays, threads, contenders, folder):
    result = {"schema_version": 1, "command": "compare",
              "model": arguments.title or arguments.model.name,
              "machine": machine.describe(), "seconds": arguments.seconds,
              "rounds": 0, "contenders": {}, "left_out": {}, "agreement": [], "measurements": []}
    for setting in peer_settings():
        contenders.append(PeerProcess(setting, arguments.model, folder))
    if not arguments.peers_only:
        contenders.append(HeddleProcess(arguments.heddle, arguments.model, folder))
    _leave_out_incapable(contenders, arrays, result)
    result["agreement"] = _agree(contenders, arrays, arguments.tolerance)
    for contender in contenders:
        if isinstance(contender, PeerProcess):
            contender.note_idle_cpu()
        result["contenders"][contender.name] = contender.description
    order = random.Random(arguments.seed)
    for round_number in range(arguments.rounds):
        _measure_round(arguments, result, contenders, list(arrays), threads, order, round_number)
        result["rounds"] = round_number + 1
    result["points"] = report.points(result)
    return result


def _leave_out_incapable(contenders, arrays, result):
    """Takes out peers that cannot run the model, and says so above the table. ONNX Runtime must
    run it, since the others are compared with it; so must Heddle."""
    for contender in list(contenders[1:]):
        if isinstance(contender, HeddleProcess):
            continue
        try:
            for cell, values in arrays.items():
                contender.prepare(cell, values)
        except RuntimeError as error:
            contenders.remove(contender)
            contender.close()
            result["left_out"][contender.name] = str(error)


def _agree(contenders, arrays, tolerance):
    """Lets each contender compute each cell once and compares it with the first peer.

    A contender that computes something else, or at less precision, is not worth timing.
    """
    agreement = []
    for cell, values in arrays.items():
        expected = contenders[0].prepare(cell, values)
        for contender in contenders[1:]:
            actual = contender.prepare(cell, values)
            if isinstance(actual, dict):
                names = outputs.file_names(contenders[0].description["outputs"])
                missing = [name for name in names if name not in actual]
                if missing:
                    raise ValueError(f"heddle run wrote no {', '.join(missing)}")
                actual = [actual[name] for name in names]
            errors = [outputs.difference(*pair) for pair in zip(actual, expected, strict=True)]
            worst = max(error[1] for error in errors)
            agreement.append({"cell": cell, "contender": contender.name,
                              "max_absolute": max(error[0] for error in errors),
                              "max_relative": worst})
            if worst > tolerance:
                raise Disagreement(
                    f"{contender.name} differs from {contenders[0].name} by {worst:g} in cell "
                    f"{cell} (--tolerance {tolerance:g})")
    return agreement


def _measure_round(arguments, result, contenders, names, threads, order, round_number):
    """One measurement of everything. The contenders of one table row stay together, because the
    machine's speed drifts and their ratio is what counts."""
    rows = [(cell, count) for cell in names for count in threads]
    order.shuffle(rows)
    for row, (cell, count) in enumerate(rows):
        turn = list(contenders)
        order.shuffle(turn)
        for contender in turn:
            if sys.stderr.isatty():
                print(f"\rround {round_number + 1}/{arguments.rounds}, row {row + 1}/{len(rows)}: "
                      f"{cell} T={count} {contender.name:<24}", end="", file=sys.stderr)
            disturbance = machine.Disturbance(contender.used)
            measured = contender.measure(cell, count, arguments.seconds, arguments.warm_up)
            others, stolen = disturbance.share()
            result["measurements"].append({"round": round_number, "cell": cell, "threads": count,
                                           "contender": contender.name, **measured,
                                           "others_share": others, "stolen_share": stolen})
    if sys.stderr.isatty():
        print("\r" + " " * 78 + "\r", end="", file=sys.stderr)


def _finish(arguments, result):
    text = report.markdown(result)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    else:
        print(text, end="")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.require is None:
        return 0
    below = [point for point in result["points"]
             if point["ratio"] is None or point["ratio"] < arguments.require]
    for point in below:
        print(f"compare.py: {point['cell']} T={point['threads']}: ratio {point['ratio']}, "
              f"required {arguments.require}", file=sys.stderr)
    return 1 if below else 0
