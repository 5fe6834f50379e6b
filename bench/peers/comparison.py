"""Runs the comparison: prepares each contender, measures in shuffled rounds, reports."""

import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import cells
import machine
import outputs
import report
from contenders import peer_settings
from processes import HeddleBatchProcess, HeddleProcess, PeerProcess


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what follows is cleaned up
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
              "cells": list(arrays), "rounds": 0, "contenders": {}, "left_out": {},
              "agreement": [], "measurements": []}
    peak = arguments.heddle.parent / "bench" / "profile" / "peak"
    result["machine"]["peak_gflops"] = {count: machine.peak_gflops(peak, count)
                                        for count in {1, result["machine"]["cores"]}}
    for setting in peer_settings():
        contenders.append(PeerProcess(setting, arguments.model, folder))
    if not arguments.peers_only:
        contenders.append(HeddleProcess(arguments.heddle, arguments.model, folder))
    if arguments.batch and not arguments.peers_only:
        contenders.append(HeddleBatchProcess(arguments.heddle, arguments.model, folder))
    answers = _prepare(contenders, arrays, result)
    result["agreement"] = _agree(contenders, arrays, answers, arguments.tolerance)
    for contender in contenders:
        if isinstance(contender, PeerProcess):
            contender.note_idle_cpu()
        result["contenders"][contender.name] = contender.description
    order = random.Random(arguments.seed)
    for round_number in range(arguments.rounds):
        try:
            _measure_round(arguments, result, contenders, list(arrays), threads, order,
                           round_number)
        except KeyboardInterrupt:
            # The rounds that are complete still make a table.
            result["measurements"] = [entry for entry in result["measurements"]
                                      if entry["round"] < round_number]
            if round_number == 0:
                raise
            break
        result["rounds"] = round_number + 1
    result["points"] = report.points(result)
    return result


def _prepare(contenders, arrays, result):
    """Lets each contender compute each cell once; returns the outputs by contender and cell.

    A peer that cannot run the model is left out, which the report says. The first peer must run it,
    since the others are compared with it; so must Heddle.
    """
    answers = {}
    for contender in list(contenders):
        try:
            answers[contender.name] = {cell: contender.prepare(cell, values)
                                       for cell, values in arrays.items()}
        except RuntimeError as error:
            if contender is contenders[0] or isinstance(contender, HeddleProcess):
                raise
            contenders.remove(contender)
            contender.close()
            result["left_out"][contender.name] = str(error)
    return answers


def _agree(contenders, arrays, answers, tolerance):
    """Compares every contender's outputs with those of the first peer.

    A contender that computes something else, or at less precision, is not worth timing.
    """
    reference = contenders[0]
    names = reference.description["outputs"]
    agreement = []
    for contender in contenders[1:]:
        for cell in arrays:
            actual = answers[contender.name][cell]
            if isinstance(actual, dict):
                actual = outputs.in_order(actual, names)
            errors = [outputs.difference(*pair) for pair in
                      zip(actual, answers[reference.name][cell], strict=True)]
            worst = max(relative for _, relative in errors)
            agreement.append({"cell": cell, "contender": contender.name,
                              "max_absolute": max(absolute for absolute, _ in errors),
                              "max_relative": worst})
            if worst > tolerance:
                raise Disagreement(
                    f"{contender.name} differs from {reference.name} by {worst:g} in cell "
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
