#!/usr/bin/env python3
"""usage: trees.py [LIBHEDDLE]     needs onnxruntime, numpy, scikit-learn, skl2onnx

Forests of 100 trees of depth 8 over 30 features: Heddle, through its C functions, and onnxruntime in one process, in turn, on the
same rows; each round's ratio is of calls that follow one another. Of each the best round is told, too, since on a busy machine the
others tell more of what else runs. Both write to memory of the caller's.
"""
import ctypes
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

ROUNDS = 31
LIBRARY = sys.argv[1] if len(sys.argv) > 1 else str(
    Path(__file__).resolve().parents[2] / "build/release/libheddle.so")
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}


class Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_uint32),
                ("dims", ctypes.c_int64 * 8), ("data", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("place", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 480)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("thread_count", ctypes.c_uint32),
                ("rest", ctypes.c_uint8 * 36)]


def tensor(array):
    dims = (ctypes.c_int64 * 8)(*array.shape)
    return Tensor(None, TYPES[array.dtype], array.ndim, dims, array.ctypes.data, array.nbytes, 0)


class Heddle:
    def __init__(self, model, threads, x, outputs):
        self.library, self.error = ctypes.CDLL(LIBRARY), Error()
        device, made = ctypes.c_void_p(), ctypes.c_void_p()
        options = Options(struct_size=16, thread_count=threads)
        self.check(self.library.hd_device_open(b"cpu", ctypes.byref(options), ctypes.byref(device),
                                               ctypes.byref(self.error)))
        self.check(self.library.hd_model_load_memory(device, model, ctypes.c_size_t(len(model)), None,
                                                     ctypes.byref(made), ctypes.byref(self.error)))
        self.model, self.inputs = made, (Tensor * 1)(tensor(x))
        self.outputs = (Tensor * len(outputs))(*map(tensor, outputs))

    def check(self, status):
        if status != 0:
            raise SystemExit(self.error.message.decode())

    def run(self):
        self.check(self.library.hd_model_run(self.model, self.inputs, ctypes.c_size_t(1), self.outputs,
                                             ctypes.c_size_t(len(self.outputs)), ctypes.byref(self.error)))


class Peer:
    def __init__(self, model, threads, x, outputs):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options)
        self.binding = self.session.io_binding()
        self.binding.bind_input("X", "cpu", 0, x.dtype, x.shape, x.ctypes.data)
        for entry, array in zip(self.session.get_outputs(), outputs):
            self.binding.bind_output(entry.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self):
        self.session.run_with_iobinding(self.binding)


def measure(run, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls


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
                    outputs = [np.zeros((rows, 1), np.float32)] if classes is None else [
                        np.zeros(rows, np.int64), np.zeros((rows, classes), np.float32)]
                    sides.append((side(model.SerializeToString(), threads, x, outputs), outputs))
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
