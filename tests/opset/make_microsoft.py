#!/usr/bin/env python3
"""Makes tests/opset/microsoft/: models of one or a few nodes for the operators that onnxruntime's optimizer and
quantization tools leave in files (domain com.microsoft), with inputs and the outputs expected; case_file.py says what a
case is.

usage: make_microsoft.py [FOLDER]               needs onnx, onnxruntime, numpy

onnxruntime gives what is expected, unoptimized; where its CPU provider has no kernel, what is expected is computed here,
and the model's doc_string says so.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from case_file import write_all

FLOAT, FLOAT16, INT32, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64
random = np.random.default_rng(17)
cases = {}


def floats(*shape, dtype=np.float32):
    return random.standard_normal(shape).astype(dtype)


def declare(name, array, free):
    shape = [None] * array.ndim if free else array.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)


def case(name, nodes, inputs, constants=None, outputs=("y",), expected=None, opset=17, free=True):
    """inputs, constants: by name; expected: where onnxruntime does not say; free: no dimension is declared."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    initializers = [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, [declare(n, np.asarray(a), free) for n, a in inputs.items()],
                              [onnx.ValueInfoProto(name=n) for n in outputs], initializers)
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if expected is None:
        model.doc_string = f"expected by onnxruntime {onnxruntime.__version__}"
        try:
            expected = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)
        except Exception as problem:
            raise SystemExit(f"{name}: {problem}") from problem
    else:
        model.doc_string = "expected by its definition"
    assert name not in cases, name
    cases[name] = (model, inputs.values(), expected)


def one(name, op, inputs, constants=None, outputs=("y",), order=None, expected=None, domain="com.microsoft", opset=17,
        free=True, **attributes):
    """One node; order: the node's inputs where they are not the inputs and then the constants."""
    operands = order if order is not None else list(inputs) + list(constants or {})
    node = helper.make_node(op, operands, list(outputs), domain=domain, **attributes)
    case(name, node, inputs, constants, [o for o in outputs if o], expected, opset, free)


def activations():
    x, b = floats(2, 3, 16), floats(16)
    one("BiasGelu", "BiasGelu", {"x": x}, {"b": b})
    one("Gelu", "Gelu", {"x": 3 * x})
    one("FastGelu", "FastGelu", {"x": 3 * x})
    one("FastGelu_bias", "FastGelu", {"x": x}, {"b": b})
    one("QuickGelu", "QuickGelu", {"x": x})
    one("QuickGelu_alpha", "QuickGelu", {"x": x}, alpha=-0.5)


def main():
    activations()
    write_all(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "microsoft", cases)


main()
