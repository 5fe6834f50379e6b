#!/usr/bin/env python3
"""Makes tests/opset/newer/: models of one node for every operator that appeared or changed in opsets 22 to 28, with
inputs and the outputs expected, as case_file.py writes them.

usage: make_newer.py [FOLDER]         needs onnx 1.23 and numpy

Small ones are node tests of the package onnx itself, under their names. The others are made here, and onnx's reference
evaluator says what is expected; the model's doc_string tells them apart.
"""
import pathlib
import re
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from case_file import write_all

FLOAT, INT32, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
SIZE_LIMIT = 1250  # bytes of a node test that is taken
TAKEN = re.compile(
    r"test_(attention_|bitcast_|bitshift_(left|right)_int|causal_conv|cumprod|mod_float|mod_mixed|range_|rms_norm"
    r"|rotary|scan9|spacetodepth_crd|swiglu|swish|tensorscatter|cast_.*(FLOAT[468]|INT[24]|e8m0)"
    r"|castlike_(no_saturate_FLOAT_|FLOAT_to_(FLOAT8|INT)|.*INT4_to_FLOAT$)"
    r"|(de)?quantizelinear_(e|float4|int|uint))")
random = np.random.default_rng(2228)
cases = {}


def floats(*shape, dtype=np.float32):
    return random.standard_normal(shape).astype(dtype)


def node_tests():
    """Of the package, those whose name says that they are about what is new."""
    for test in collect_testcases(None):
        if not TAKEN.match(test.name) or test.name.endswith("_expanded"):
            continue
        inputs, outputs = test.data_sets[0]
        arrays = [numpy_helper.to_array(a) if isinstance(a, TensorProto) else np.asarray(a) for a in inputs + outputs]
        if any(a.dtype.name == "bfloat16" for a in arrays):
            continue  # the evaluator rounds at every step
        if test.model.ByteSize() + sum(numpy_helper.from_array(a).ByteSize() for a in arrays) <= SIZE_LIMIT:
            test.model.doc_string = f"node test of onnx {onnx.__version__}"
            test.model.producer_name = ""
            cases[test.name[len("test_"):]] = (test.model, arrays[:len(inputs)], arrays[len(inputs):])


def one(name, opset, op, inputs, outputs=("y",), dtype=FLOAT, constants=None, **attributes):
    """One node, its inputs by name ("" is left out); outputs likewise."""
    constants = constants or {}
    operands = [n if not n.startswith("-") else "" for n in [*inputs, *constants]]
    node = helper.make_node(op, operands, list(outputs), **attributes)
    given = {n: a for n, a in inputs.items() if not n.startswith("-")}
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), [None] * a.ndim)
             for n, a in given.items()]
    results = [helper.make_tensor_value_info(n, dtype, None) for n in outputs if n]
    initializers = [numpy_helper.from_array(a, n) for n, a in constants.items()]
    model = helper.make_model(helper.make_graph([node], name, infos, results, initializers),
                              opset_imports=[helper.make_opsetid("", opset)], ir_version=13)
    model.doc_string = f"expected by the reference evaluator of onnx {onnx.__version__}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ReferenceEvaluator(model).run(None, given)
    cases[f"{name}_{opset}"] = (model, given.values(), expected)


def attentions():
    flat = {"q": floats(2, 3, 8), "k": floats(2, 4, 4), "v": floats(2, 4, 6)}
    deep = {"q": floats(1, 4, 2, 3), "k": floats(1, 2, 3, 3), "v": floats(1, 2, 3, 2)}
    past = {"pk": floats(1, 2, 2, 3), "pv": floats(1, 2, 2, 2)}
    all_outputs = ("y", "ok", "ov", "s")
    for opset in (23, 24, 25):
        one("Attention_flat", opset, "Attention", flat, q_num_heads=4, kv_num_heads=2, is_causal=1)
        one("Attention_past", opset, "Attention", {**deep, "-mask": None, **past}, all_outputs, is_causal=1)
    for mode in range(4):
        # of mode 0 ONNX says that nothing is capped, which the evaluator does
        cap = {"softcap": 1.5} if mode > 0 else {}
        one(f"Attention_scores_{mode}", 24, "Attention", {**deep, "m": floats(2, 5), **past}, all_outputs,
            qk_matmul_output_mode=mode, **cap)
    one("Attention_mask_bool", 24, "Attention", {**deep, "m": random.random((1, 4, 1, 2)) > 0.3})
    one("Attention_lengths", 24, "Attention", {**deep, "-m": None, "-a": None, "-b": None, "n": np.array([2])},
        is_causal=1, scale=0.5)
    one("Attention_windows", 25, "Attention", {**deep, "m": floats(3)}, left_window_size=1, right_window_size=0)
    one("Attention_flat_past", 25, "Attention",
        {"q": floats(1, 2, 12), "k": floats(1, 3, 6), "v": floats(1, 3, 4), "-mask": None, **past}, ("y", "", "ov"),
        q_num_heads=4, kv_num_heads=2, left_window_size=2)


def decoders():
    angles = {"c": floats(2, 3, 2), "s": floats(2, 3, 2)}
    caches = {"c": floats(7, 1), "s": floats(7, 1)}
    places = {"p": np.array([[0, 6, 2], [5, 5, 1]])}
    for interleaved in (0, 1):
        one(f"RotaryEmbedding_deep_{interleaved}", 23, "RotaryEmbedding", {"x": floats(2, 2, 3, 4), **angles},
            interleaved=interleaved)
        one(f"RotaryEmbedding_flat_{interleaved}", 23, "RotaryEmbedding",
            {"x": floats(2, 3, 10), **caches, **places}, interleaved=interleaved, num_heads=2, rotary_embedding_dim=2)
    operands = {"q": floats(2, 3, 8), "k": floats(2, 3, 4), "v": floats(2, 3, 6)}
    state, decay, beta = floats(2, 2, 2, 3), -np.abs(floats(2, 3, 2)), np.abs(floats(2, 3, 1))
    heads = {"q_num_heads": 4, "kv_num_heads": 2}
    one("LinearAttention_linear", 27, "LinearAttention", operands, ("y", "s"), update_rule="linear", **heads)
    one("LinearAttention_gated", 27, "LinearAttention", {**operands, "-s": None, "d": -np.abs(floats(2, 3, 4))},
        ("y", "s"), update_rule="gated", **heads)
    one("LinearAttention_delta", 27, "LinearAttention", {**operands, "-s": None, "-d": None, "b": beta}, ("y",),
        update_rule="delta", scale=0.5, **heads)
    one("LinearAttention_both", 27, "LinearAttention", {**operands, "p": state, "d": decay, "b": beta}, ("y", "s"),
        **heads)


def the_rest():
    for op in ("CumProd", "CumSum"):
        one(f"{op}_middle", 26, op, {"x": floats(2, 3, 2, dtype=np.float64)}, constants={"a": np.array(1)},
            dtype=TensorProto.DOUBLE)
    half = floats(3, 4, dtype=np.float16)
    one("BitCast_half", 26, "BitCast", {"x": half}, dtype=TensorProto.INT16, to=TensorProto.INT16)
    one("TensorScatter_int4", 24, "TensorScatter", {"x": random.integers(-8, 8, (2, 1, 4, 2)).astype(np.int8),
                                                    "u": random.integers(-8, 8, (2, 1, 2, 2)).astype(np.int8),
                                                    "i": np.array([0, 2])}, dtype=TensorProto.INT8)
    one("QuantizeLinear_blocks", 25, "QuantizeLinear",
        {"x": 9 * floats(2, 6), "s": np.abs(floats(2, 2)) + 0.5}, dtype=TensorProto.INT4, axis=1, block_size=3,
        output_dtype=TensorProto.INT4)
    one("DequantizeLinear_half", 23, "DequantizeLinear",
        {"x": random.integers(-9, 9, (2, 3)).astype(np.int8), "s": np.abs(floats(3))}, dtype=TensorProto.FLOAT16,
        axis=1, output_dtype=TensorProto.FLOAT16)
    one("Celu_double", 28, "Celu", {"x": floats(2, 3, dtype=np.float64)}, dtype=TensorProto.DOUBLE, alpha=0.5)
    one("Elu_half", 22, "Elu", {"x": half}, dtype=TensorProto.FLOAT16)
    one("AveragePool_ceil", 22, "AveragePool", {"x": floats(1, 1, 6, 6)}, kernel_shape=[3, 3], strides=[2, 2],
        pads=[1, 1, 1, 1], ceil_mode=1)
    one("MaxPool_ceil", 22, "MaxPool", {"x": floats(1, 1, 6, 6)}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "newer")
    for make in (node_tests, attentions, decoders, the_rest):
        make()
    write_all(folder, cases)


main()
