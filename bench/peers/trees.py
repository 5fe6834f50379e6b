#!/usr/bin/env python3
"""usage: trees.py [LIBHEDDLE]     needs onnxruntime, numpy, scikit-learn, skl2onnx

Forests of 100 trees of depth 8 over 30 features: Heddle, through its C functions, and onnxruntime in one process, in turn, on the
same rows; each round's ratio is of calls that follow one another. Of each the best round is told, too, since on a busy machine the
others tell more of what else runs. Both write to memory of the caller's.
"""
import statistics
import sys

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from in_process import LIBRARY, Heddle, Peer, measure

ROUNDS = 31


def models():
    random = np.random.default_rng(0)
    x = random.standard_normal((5000, 30)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2] ** 2 + random.standard_normal(5000)
    forest = {"n_estimators": 100, "max_depth": 8, "random_state": 0}
    yield "regressor", to_onnx(RandomForestRegressor(**forest).fit(x, y), x[:1]), None
    classes = (y > 1).astype(np.int64) + (y > 2)
    yield "classifier", to_onnx(RandomForestClassifier(**forest).fit(x, classes), x[:1],
                                options={"zipmap": False}), 3


def main():
    random = np.random.default_rng(1)
    print("| forest | rows | threads | Heddle us, best | onnxruntime us, best | ratio of the best | of the rounds |\n"
          "|---|---|---|---|---|---|---|")
    for name, model, classes in models():
        for rows in (1, 1024, 100000):
            x = random.standard_normal((rows, 30)).astype(np.float32)
            for threads in (1, 2):
                sides = []
                for side in (Heddle, Peer):
                    names = [entry.name for entry in model.graph.output]
                    arrays = [np.zeros((rows, 1), np.float32)] if classes is None else [
                        np.zeros(rows, np.int64), np.zeros((rows, classes), np.float32)]
                    more = (sys.argv[1] if len(sys.argv) > 1 else LIBRARY,) if side is Heddle else ()
                    made = side(model.SerializeToString(), threads, {"X": x}, dict(zip(names, arrays)), *more)
                    sides.append((made, arrays))
                calls = max(1, 3000 // rows)
                times = []
                for _ in range(ROUNDS if rows < 100000 else 5):
                    times.append([measure(side.run, calls) for side, _ in sides])
                for a, b in zip(sides[0][1], sides[1][1]):
                    assert np.allclose(a, b, 1e-4, 1e-5)
                ratio = [peer / own for own, peer in times]
                own, peer = (min(t[i] for t in times) * 1e6 for i in (0, 1))
                print(f"| {name} | {rows:,} | {threads} | {own:,.1f} | {peer:,.1f} | {peer / own:.2f} | "
                      f"{statistics.median(ratio):.2f} ({min(ratio):.2f}..{max(ratio):.2f}) |", flush=True)


main()
