"""Heddle, through its C functions, and onnxruntime in one process, on the same arrays: both read inputs and write outputs of the
caller's."""
import ctypes
import time
from pathlib import Path

import numpy as np
import onnxruntime

LIBRARY = str(Path(__file__).resolve().parents[2] / "build/release/libheddle.so")
TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6,
         np.dtype(np.int64): 7}


class Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_uint32),
                ("dims", ctypes.c_int64 * 8), ("data", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("place", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 480)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("thread_count", ctypes.c_uint32),
                ("rest", ctypes.c_uint8 * 36)]


def tensor(name, array):
    dims = (ctypes.c_int64 * 8)(*array.shape)
    return Tensor(name.encode(), TYPES[array.dtype], array.ndim, dims, array.ctypes.data, array.nbytes, 0)


class Heddle:
    """model: bytes of an ONNX file; inputs, outputs: arrays by name."""

    def __init__(self, model, threads, inputs, outputs, library=LIBRARY):
        self.library, self.error = ctypes.CDLL(library), Error()
        device, made = ctypes.c_void_p(), ctypes.c_void_p()
        options = Options(struct_size=16, thread_count=threads)
        self.check(self.library.hd_device_open(b"cpu", ctypes.byref(options), ctypes.byref(device),
                                               ctypes.byref(self.error)))
        self.check(self.library.hd_model_load_memory(device, model, ctypes.c_size_t(len(model)), None,
                                                     ctypes.byref(made), ctypes.byref(self.error)))
        self.model, self.arrays = made, (inputs, outputs)
        self.inputs, self.outputs = (
            (Tensor * len(arrays))(*(tensor(*entry) for entry in arrays.items())) for arrays in (inputs, outputs))

    def check(self, status):
        if status != 0:
            raise SystemExit(self.error.message.decode())

    def run(self):
        self.check(self.library.hd_model_run(self.model, self.inputs, ctypes.c_size_t(len(self.inputs)),
                                             self.outputs, ctypes.c_size_t(len(self.outputs)),
                                             ctypes.byref(self.error)))


class Peer:
    def __init__(self, model, threads, inputs, outputs):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options)
        self.binding, self.arrays = self.session.io_binding(), (inputs, outputs)
        for bind, arrays in ((self.binding.bind_input, inputs), (self.binding.bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self):
        self.session.run_with_iobinding(self.binding)


def measure(run, calls, clock=time.perf_counter):
    begin = clock()
    for _ in range(calls):
        run()
    return (clock() - begin) / calls
