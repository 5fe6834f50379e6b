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


def one(name, op, inputs, constants=None, outputs=("y",), order=None, expected=None, domain="com.microsoft", version=17,
        free=True, **attributes):
    """One node; order: the node's inputs where they are not the inputs and then the constants."""
    operands = order if order is not None else list(inputs) + list(constants or {})
    node = helper.make_node(op, operands, list(outputs), domain=domain, **attributes)
    case(name, node, inputs, constants, [o for o in outputs if o], expected, version, free)


def activations():
    x, b = floats(2, 3, 16), floats(16)
    one("BiasGelu", "BiasGelu", {"x": x}, {"b": b})
    one("Gelu", "Gelu", {"x": 3 * x})
    one("FastGelu", "FastGelu", {"x": 3 * x})
    one("FastGelu_bias", "FastGelu", {"x": x}, {"b": b})
    one("QuickGelu", "QuickGelu", {"x": x})
    one("QuickGelu_alpha", "QuickGelu", {"x": x}, alpha=-0.5)


def products():
    a, b = floats(2, 3, 4, 5), floats(2, 3, 5, 6)
    one("FusedMatMul", "FusedMatMul", {"a": a, "b": b}, alpha=0.125)
    one("FusedMatMul_constant", "FusedMatMul", {"a": a}, {"b": floats(6, 5)}, transB=1, alpha=2.0)
    one("FusedMatMul_trans", "FusedMatMul", {"a": a.swapaxes(2, 3), "b": b.swapaxes(2, 3)}, transA=1, transB=1)
    for rank, lead in ((3, (2,)), (4, (2, 3)), (5, (2, 3, 2))):
        left, right = floats(4, *lead, 5), floats(5, *lead, 6)
        one(f"FusedMatMul_batch_{rank}", "FusedMatMul", {"a": left, "b": right}, transBatchA=1, transBatchB=1)
        left, right = floats(5, *lead, 4), floats(6, *lead, 5)
        one(f"FusedMatMul_batch_both_{rank}", "FusedMatMul", {"a": left, "b": right}, transBatchA=1, transBatchB=1,
            transA=1, transB=1)
    one("TransposeMatMul", "TransposeMatMul", {"a": a}, {"b": floats(6, 5)}, transB=1)
    x, w = floats(3, 4), floats(4, 5)
    for name, parameters in (("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("LeakyRelu", {"activation_alpha": 0.2}),
                             ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4})):
        one(f"FusedGemm_{name}", "FusedGemm", {"x": x}, {"w": w, "c": floats(5)}, activation=name, alpha=0.5, beta=2.0,
            **parameters)
    one("FusedGemm_trans", "FusedGemm", {"x": x.T}, {"w": w.T}, transA=1, transB=1, activation="Relu")
    bias = floats(5)
    y = x @ w + bias
    one("GemmFastGelu", "GemmFastGelu", {"x": x}, {"w": w, "b": bias},
        expected=[(y / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y ** 3)))).astype(np.float32)])


def convolutions():
    x, w, b = floats(1, 4, 7, 6), floats(8, 2, 3, 3), floats(8)
    plain = {"pads": [1, 1, 1, 1], "group": 2, "kernel_shape": [3, 3]}
    for name, parameters in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.1]),
                             ("Clip", [-0.5, 1.5]), ("HardSigmoid", [0.2, 0.6])):
        given = {} if parameters is None else {"activation_params": parameters}
        one(f"FusedConv_{name}", "FusedConv", {"x": x}, {"w": w, "b": b}, activation=name, **plain, **given)
    z = floats(1, 8, 7, 6)
    one("FusedConv_sum", "FusedConv", {"x": x, "z": z}, {"w": w, "b": b}, order=["x", "w", "b", "z"], activation="Relu",
        **plain)
    one("FusedConv_plain", "FusedConv", {"x": x}, {"w": w}, auto_pad="SAME_UPPER", group=2, strides=[2, 2])


def norms():
    x, skip, g, b, sum_bias = floats(2, 3, 16), floats(2, 3, 16), floats(16), floats(16), floats(16)
    one("SkipLayerNormalization", "SkipLayerNormalization", {"x": x, "s": skip}, {"g": g, "b": b})
    one("SkipLayerNormalization_all", "SkipLayerNormalization", {"x": x, "s": skip}, {"g": g, "b": b, "c": sum_bias},
        outputs=["y", "", "", "sum"], epsilon=1e-3)
    one("SkipLayerNormalization_few", "SkipLayerNormalization", {"x": x, "s": floats(1, 3, 16)}, {"g": g})
    one("SkipLayerNormalization_flat", "SkipLayerNormalization", {"x": x[0], "s": skip[0]}, {"g": g, "c": sum_bias},
        order=["x", "s", "g", "", "c"])
    one("SkipSimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", {"x": x, "s": skip}, {"g": g},
        epsilon=1e-5)
    one("SkipSimplifiedLayerNormalization_all", "SkipSimplifiedLayerNormalization", {"x": x, "s": skip},
        {"g": g, "c": sum_bias}, outputs=["y", "", "", "sum"])
    one("SimplifiedLayerNormalization", "SimplifiedLayerNormalization", {"x": x}, {"g": g}, domain="", axis=-1,
        epsilon=1e-6)
    one("LayerNormalization_11", "LayerNormalization", {"x": x}, {"g": g, "b": b}, domain="", axis=-1, epsilon=1e-3,
        version=11)
    one("SimplifiedLayerNormalization_axis", "SimplifiedLayerNormalization", {"x": x}, {"g": floats(3, 16)}, domain="",
        axis=1)
    ids, segments = random.integers(0, 9, (2, 4), np.int32), random.integers(0, 2, (2, 4), np.int32)
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32)
    tables = {"w": floats(9, 8), "p": floats(6, 8), "t": floats(2, 8), "g": floats(8), "b": floats(8)}
    one("EmbedLayerNormalization", "EmbedLayerNormalization", {"ids": ids, "segments": segments, "mask": mask}, tables,
        order=["ids", "segments", "w", "p", "t", "g", "b", "mask"], outputs=["y", "index"])
    few = {n: tables[n] for n in "wpgb"}
    one("EmbedLayerNormalization_few", "EmbedLayerNormalization", {"ids": ids}, few, outputs=["y", "index"],
        order=["ids", "", "w", "p", "", "g", "b"], epsilon=1e-2)
    places = random.integers(0, 6, (2, 4), np.int32)
    one("EmbedLayerNormalization_places", "EmbedLayerNormalization", {"ids": ids, "segments": segments, "places": places},
        tables, order=["ids", "segments", "w", "p", "t", "g", "b", "", "places"], outputs=["y", "", "sum"])


def attentions():
    b, s, n, d, p = 2, 5, 2, 4, 3
    h = n * d
    x, w, c = floats(b, s, h), floats(h, 3 * h), floats(3 * h)

    def attend(name, inputs=(), order=(), outputs=("y",), constants=None, **attributes):
        one(f"Attention_{name}", "Attention", {"x": x, **dict(inputs)}, {"w": w, "c": c} | (constants or {}),
            order=["x", "w", "c", *order], outputs=outputs, num_heads=n, **attributes)
    attend("plain")
    attend("causal", unidirectional=1)
    attend("scale", scale=0.7)
    past = {"past": floats(2, b, n, p, d)}
    attend("past", past, ["", "past"], ["y", "present"])
    attend("past_causal", past, ["", "past"], ["y", "present"], unidirectional=1)
    attend("present", outputs=["y", "present"])
    ends = np.array([3, 5], np.int32)
    raw = random.integers(0, 2, (b, s)).astype(np.int32)
    raw[:, 0] = 1
    masks = {"ends": ends, "ranges": np.array([3, 5, 1, 2], np.int32), "raw": raw,
             "raw3": np.tril(np.ones((b, s, s), np.int32))}
    for kind, mask in masks.items():
        attend(f"mask_{kind}", {"m": mask}, ["m"])
        attend(f"mask_{kind}_causal", {"m": mask}, ["m"], unidirectional=1, mask_filter_value=-3.0)
    attend("bias", {"a": floats(b, n, s, s)}, ["", "", "a"])
    attend("mask_past", {**past, "m": np.ones((b, s + p), np.int32)}, ["m", "past"],
           ["y", "present"])
    one("Attention_sizes", "Attention", {"x": x}, {"w": floats(h, 8 + 8 + 12), "c": floats(28)}, num_heads=n,
        qkv_hidden_sizes=[8, 8, 12])
    one("Attention_weights", "Attention", {"x": x, "w": w, "c": c}, num_heads=n)
    one("Attention_weights_sizes", "Attention", {"x": x, "w": floats(h, 28), "c": floats(28)}, num_heads=n,
        qkv_hidden_sizes=[8, 8, 12])

    names = ["query", "key", "value", "bias", "mask", "attention_bias", "past_key", "past_value"]

    def multi(name, inputs, outputs=("y",), constants=None, **attributes):
        given = [n if n in inputs or n in (constants or {}) else "" for n in names]
        while given[-1] == "":
            given.pop()
        one(f"MultiHeadAttention_{name}", "MultiHeadAttention", inputs, constants, outputs, given, num_heads=n,
            **attributes)
    t = 6
    q, k, v = floats(b, s, h), floats(b, t, h), floats(b, t, h)
    whole = {"query": q, "key": k, "value": v}
    bias = {"bias": floats(3 * h)}
    multi("plain", whole)
    multi("bias", whole, constants=bias)
    multi("present", whole, ["y", "k", "v"], bias)
    multi("value_size", {**whole, "value": floats(b, t, 6)}, constants={"bias": floats(22)})
    multi("scale", whole, scale=0.3)
    multi("causal", {"query": q, "key": floats(b, s, h), "value": floats(b, s, h)}, unidirectional=1)
    def softmax_attention(q, k, v):
        scores = np.einsum("bsnd,btnd->bnst", q, k) / np.sqrt(d)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        y = np.einsum("bnst,btnd->bsnd", weights / weights.sum(-1, keepdims=True), v)
        return [y.reshape(b, s, h).astype(np.float32)]
    kv, qkv = floats(b, t, n, 2, d), floats(b, s, n, 3, d)
    multi("packed_kv", {"query": q, "key": kv},
          expected=softmax_attention(q.reshape(b, s, n, d), kv[..., 0, :], kv[..., 1, :]))
    multi("packed_qkv", {"query": qkv}, expected=softmax_attention(*(qkv[..., i, :] for i in range(3))))
    multi("cross", {"query": q, "key": floats(b, n, t, d), "value": floats(b, n, t, d)})
    multi("attention_bias", {**whole, "attention_bias": floats(1, n, s, t)})
    raw = np.ones((b, t), np.int32)
    raw[0, 4:] = 0
    multi("mask", {**whole, "mask": raw})
    multi("mask_bias", {**whole, "mask": raw, "attention_bias": floats(b, n, s, t)}, constants=bias)
    cache = {"past_key": floats(b, n, p, d), "past_value": floats(b, n, p, d)}
    multi("past", {**whole, **cache}, ["y", "k", "v"])
    multi("past_all", {**whole, **cache, "mask": np.ones((b, t + p), np.int32)}, ["y", "k", "v"], bias)


def tables(size, count=16):
    angles = np.arange(count)[:, None] * 10.0 ** (-np.arange(size) / size)
    return {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}


def rotations():
    b, s, n, d = 2, 5, 3, 8
    x3, x4 = floats(b, s, n * d), floats(b, n, s, d)
    places = random.integers(0, 16, (b, s), np.int64)
    for interleaved in (0, 1):
        more = {"interleaved": interleaved}
        name = f"RotaryEmbedding_{interleaved}"
        one(f"{name}_3", "RotaryEmbedding", {"x": x3, "p": places}, tables(d // 2), **more)
        one(f"{name}_4", "RotaryEmbedding", {"x": x4, "p": places}, tables(d // 2), **more)
        one(f"{name}_begin", "RotaryEmbedding", {"x": x4, "p": np.array([2], np.int64)}, tables(d // 2), **more)
        one(f"{name}_part", "RotaryEmbedding", {"x": x3, "p": places}, tables(2), num_heads=n, rotary_embedding_dim=4,
            **more)


def group_queries():
    n, k, d = 2, 1, 32
    names = ["query", "key", "value", "past_key", "past_value", "lengths", "total", "cos", "sin", "places", "bias"]

    def group(name, batch, new, lengths, total, cache=None, constants=None, packed=False, **attributes):
        """lengths: of each entry with its new tokens; cache: tokens that the cache has room for."""
        inputs = {"query": floats(batch, new, (n + 2 * k if packed else n) * d)}
        if not packed:
            inputs |= {"key": floats(batch, new, k * d), "value": floats(batch, new, k * d)}
        if cache is not None:
            inputs |= {"past_key": floats(batch, k, cache, d), "past_value": floats(batch, k, cache, d)}
            for entry, length in enumerate(lengths): # what lies behind the tokens of a shared cache is anything
                for kept in ("past_key", "past_value"):
                    inputs[kept][entry, :, max(length - new, 0):] = 0
        inputs |= {"lengths": np.array(lengths, np.int32) - 1, "total": np.array(total, np.int32)}
        more = constants or {}
        inputs |= {key: more.pop(key) for key in ("bias",) if key in more}
        given = [key if key in inputs or key in more else "" for key in names]
        while given[-1] == "":
            given.pop()
        one(f"GroupQueryAttention_{name}", "GroupQueryAttention", inputs, more, ("y", "k", "v"), given, num_heads=n,
            kv_num_heads=k, **attributes)
    group("prompt", 2, 5, [5, 5], 5)
    group("prompt_rotary", 2, 5, [5, 5], 5, constants=tables(d // 2), do_rotary=1)
    group("prompt_padded", 2, 5, [3, 5], 5, 8, tables(d // 2), do_rotary=1)
    group("packed", 1, 4, [4], 4, constants=tables(d // 2), packed=True, do_rotary=1, rotary_interleaved=1)
    group("next", 2, 1, [6, 6], 6, 5, tables(d // 2), do_rotary=1)
    group("next_shared", 2, 1, [4, 6], 6, 9, tables(d // 2), do_rotary=1)
    group("part", 1, 3, [3], 3, constants=tables(8), do_rotary=1)
    group("more", 1, 3, [7], 7, 4, tables(d // 2), do_rotary=1)
    group("window", 1, 6, [6], 6, local_window_size=2)
    group("window_next", 1, 1, [7], 7, 6, local_window_size=3)
    group("softcap", 1, 4, [4], 4, softcap=2.0, scale=0.9)
    group("bias", 2, 4, [4, 4], 4, constants={"bias": floats(2, n, 4, 4)})
    group("bias_one", 2, 4, [4, 4], 4, constants={"bias": floats(1, 1, 4, 4)})


def quantized(*shape, dtype=np.uint8):
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max + 1, shape).astype(dtype)


def scale_and_zero(name, scale, zero, dtype=np.uint8):
    return {f"{name}_scale": np.array(scale, np.float32), f"{name}_zero": np.array(zero, dtype)}


def quantized_products():
    x, wide = floats(2, 3, 16), floats(16, 8)
    bias = floats(8)
    for kind in (np.uint8, np.int8):
        name, b = kind.__name__, quantized(16, 8, dtype=kind)
        many = {"b_scale": np.abs(floats(8)) / 50, "b_zero": quantized(8, dtype=kind)}
        single = scale_and_zero("b", 0.02, 3, kind)
        for which, given in (("one", single), ("columns", many)):
            one(f"DynamicQuantizeMatMul_{name}_{which}", "DynamicQuantizeMatMul", {"x": x}, {"b": b} | given)
            one(f"DynamicQuantizeMatMul_{name}_{which}_bias", "DynamicQuantizeMatMul", {"x": x},
                {"b": b} | given | {"c": bias})
            one(f"MatMulIntegerToFloat_{name}_{which}", "MatMulIntegerToFloat", {"a": quantized(2, 3, 16)},
                {"b": b, "a_scale": np.float32(0.1), **given, "a_zero": np.uint8(120), "c": bias},
                order=["a", "b", "a_scale", "b_scale", "a_zero", "b_zero", "c"])
    one("DynamicQuantizeMatMul_few", "DynamicQuantizeMatMul", {"x": x}, {"b": quantized(16, 8, dtype=np.int8),
                                                                        "b_scale": np.float32(0.1)})
    a, b, c = quantized(3, 16), quantized(8, 16), random.integers(-9999, 9999, 8).astype(np.int32)
    factors = scale_and_zero("a", 0.02, 100) | {"b": b} | scale_and_zero("b", 0.01, 130)
    order = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero"]
    y = scale_and_zero("y", 0.07, 111)
    one("QGemm", "QGemm", {"a": a}, factors | {"c": c} | y, order=[*order, "c", "y_scale", "y_zero"], transB=1)
    one("QGemm_float", "QGemm", {"a": a}, factors | {"c": c}, order=[*order, "c"], transB=1, alpha=0.5)
    one("QGemm_few", "QGemm", {"a": a.T}, factors | {"b": b.T} | y, order=[*order, "", "y_scale", "y_zero"], transA=1)
    columns = {"a": a} | scale_and_zero("a", 0.02, 100) | {"b": quantized(16, 8, dtype=np.int8), "b_scale": np.abs(floats(8)) / 99,
                                                           "b_zero": np.zeros(8, np.int8)}
    one("QGemm_columns", "QGemm", {"a": a}, {n: v for n, v in (columns | {"c": c} | y).items() if n != "a"},
        order=[*order, "c", "y_scale", "y_zero"])


def quantized_elementwise():
    for kind in (np.uint8, np.int8):
        name = kind.__name__
        middle = 128 if kind == np.uint8 else 0
        a, b = quantized(2, 3, 40, dtype=kind), quantized(3, 40, dtype=kind)
        given = scale_and_zero("a", 0.031, middle + 5, kind) | scale_and_zero("b", 0.017, middle - 9, kind) \
            | scale_and_zero("y", 0.043, middle + 1, kind)
        order = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
        for op in ("QLinearAdd", "QLinearMul"):
            one(f"{op}_{name}", op, {"a": a, "b": b}, given, order=order)
            one(f"{op}_{name}_scalar", op, {"a": a}, given | {"b": quantized(1, dtype=kind)}, order=order)
        x = {"x": quantized(2, 3, 40, dtype=kind)}
        given = scale_and_zero("x", 0.05, middle + 3, kind) | scale_and_zero("y", 0.0041, middle - 90, kind)
        order = ["x", "x_scale", "x_zero", "y_scale", "y_zero"]
        one(f"QLinearSigmoid_{name}", "QLinearSigmoid", x, given, order=order)
        wide = scale_and_zero("x", 0.05, middle + 3, kind) | scale_and_zero("y", 0.037, middle - 9, kind)
        one(f"QLinearLeakyRelu_{name}", "QLinearLeakyRelu", x, wide, order=order, alpha=0.2)
        for opset, axis in ((13, -1), (13, 1), (11, 1)):
            one(f"QLinearSoftmax_{name}_{opset}_{axis % 3}", "QLinearSoftmax", x,
                scale_and_zero("x", 0.02, middle, kind) | scale_and_zero("y", 1 / 256, middle - 128, kind), order=order,
                opset=opset, axis=axis)
        image = {"x": quantized(1, 3, 7, 8, dtype=kind)}
        one(f"QLinearGlobalAveragePool_{name}", "QLinearGlobalAveragePool", image,
            scale_and_zero("x", 0.05, middle + 3, kind) | scale_and_zero("y", 0.0067, middle, kind), order=order)
        for include in (0, 1):
            one(f"QLinearAveragePool_{name}_{include}", "QLinearAveragePool", image, wide, order=order,
                kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], count_include_pad=include)
        last = {"x": quantized(1, 7, 8, 3, dtype=kind)}
        one(f"QLinearGlobalAveragePool_{name}_last", "QLinearGlobalAveragePool", last,
            scale_and_zero("x", 0.05, middle + 3, kind) | scale_and_zero("y", 0.0067, middle, kind), order=order,
            channels_last=1)
        one(f"QLinearAveragePool_{name}_last", "QLinearAveragePool", last, wide, order=order, channels_last=1,
            kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
        one(f"QLinearWhere_{name}", "QLinearWhere", {"c": random.integers(0, 2, (2, 3, 40)).astype(bool),
                                                     "a": a, "b": b},
            scale_and_zero("a", 0.03, middle, kind) | scale_and_zero("b", 0.02, middle + 7, kind)
            | scale_and_zero("y", 0.025, middle + 1, kind),
            order=["c", "a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"])
        parts = {"p": quantized(2, 3, 4, dtype=kind), "q": quantized(2, 5, 4, dtype=kind)}
        one(f"QLinearConcat_{name}", "QLinearConcat", parts,
            scale_and_zero("y", 0.025, middle, kind) | scale_and_zero("q", 0.031, middle + 2, kind),
            order=["y_scale", "y_zero", "p", "y_scale", "y_zero", "q", "q_scale", "q_zero"], axis=1)
    x = floats(2, 3, 8)
    for kind in (np.uint8, np.int8, np.uint16, np.int16):
        given = {"s": np.float32(0.02), "z": np.array(7, kind)}
        one(f"QuantizeLinear_{kind.__name__}", "QuantizeLinear", {"x": x}, given)
        one(f"DequantizeLinear_{kind.__name__}", "DequantizeLinear", {"x": quantized(2, 3, 8, dtype=kind)}, given)
        lists = {"s": np.abs(floats(3)) / 9, "z": quantized(3, dtype=kind)}
        one(f"QuantizeLinear_{kind.__name__}_axis", "QuantizeLinear", {"x": x}, lists, axis=1)
    data = quantized(2, 4, 8)
    mean = (data.astype(np.float64) - 120).mean((1,), keepdims=True) * 0.05
    one("QLinearReduceMean", "QLinearReduceMean", {"x": data}, scale_and_zero("x", 0.05, 120) | scale_and_zero("y", 0.0317, 100),
        order=["x", "x_scale", "x_zero", "y_scale", "y_zero"], axes=[1], keepdims=1,
        expected=[np.clip(np.rint(mean / np.float32(0.0317)) + 100, 0, 255).astype(np.uint8)])


def few_bits():
    for bits in (2, 4, 8):
        for block in (16, 32, 128):
            k, n = 40, 6
            blocks = -(-k // block)
            b = quantized(n, blocks, block * bits // 8)
            given = {"b": b, "s": np.abs(floats(n * blocks)) / 9}
            shape = {"K": k, "N": n, "bits": bits, "block_size": block}
            x = floats(2, 3, k)
            name = f"MatMulNBits_{bits}_{block}"
            zeros = quantized(n * -(-blocks * bits // 8))
            # bits behind a row's last zero point are nobody's
            one(name, "MatMulNBits", {"x": x}, given | {"z": zeros}, **shape)
            if block == 16:
                one(f"{name}_plain", "MatMulNBits", {"x": x}, given, **shape)
                if bits == 4:
                    one(f"{name}_float", "MatMulNBits", {"x": x}, given | {"z": np.abs(floats(n * blocks))}, **shape)
                one(f"{name}_bias", "MatMulNBits", {"x": x}, given | {"c": floats(n)}, order=["x", "b", "s", "", "", "c"],
                    **shape)


def sinks():
    n, k, d, s = 4, 2, 32, 3
    inputs = {"q": floats(1, s, n * d), "k": floats(1, s, k * d), "v": floats(1, s, k * d)}
    lengths = {"lengths": np.array([s - 1], np.int32), "total": np.array(s, np.int32)}
    one("GroupQueryAttention_smooth", "GroupQueryAttention", inputs, lengths, ("y", "new_k", "new_v"),
        ["q", "k", "v", "", "", "lengths", "total"], num_heads=n, kv_num_heads=k, smooth_softmax=1)
    one("GroupQueryAttention_sink", "GroupQueryAttention", inputs, lengths | {"sink": floats(n)}, ("y", "new_k", "new_v"),
        ["q", "k", "v", "", "", "lengths", "total", "", "", "", "", "sink"], num_heads=n, kv_num_heads=k)


def few_bits_of_halves():
    k, n, block = 32, 4, 16
    b, scales, x = quantized(n, 2, 8), np.abs(floats(n * 2, dtype=np.float16)) / 9, floats(3, k, dtype=np.float16)
    elements = np.stack([b & 15, b >> 4], -1).reshape(n, 2, block).astype(np.float32) - 8
    weights = (elements * scales.astype(np.float32).reshape(n, 2, 1)).reshape(n, k)
    one("MatMulNBits_half", "MatMulNBits", {"x": x}, {"b": b, "s": scales.astype(np.float16)}, K=k, N=n, bits=4,
        block_size=block, expected=[(x.astype(np.float32) @ weights.T).astype(np.float16)])


def run(op, inputs, outputs, version=17, **attributes):
    """What onnxruntime computes for a node of ONNX's own."""
    node = helper.make_node(op, list(inputs), outputs, **attributes)
    graph = helper.make_graph([node], op, [declare(n, a, False) for n, a in inputs.items()],
                              [onnx.ValueInfoProto(name=n) for n in outputs])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", version)])
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)


def quantized_networks():
    b, s, n, d, p = 2, 5, 2, 4, 3
    h = n * d
    for kind in (np.uint8, np.int8):
        w, c = quantized(h, 3 * h, dtype=kind), floats(3 * h)
        middle = 128 if kind == np.uint8 else 0
        many = {"ws": np.abs(floats(3 * h)) / 99 + np.float32(0.001), "wz": np.full(3 * h, middle, kind)}
        for which, scale in (("one", {"ws": np.float32(0.01), "wz": np.array(middle + 3, kind)}), ("many", many)):
            inputs = {"x": quantized(b, s, h)}
            given = {"w": w, "c": c, "xs": np.float32(0.02), "xz": np.uint8(120), **scale}
            name = f"QAttention_{kind.__name__}_{which}"
            if which == "many" and kind == np.uint8:
                continue
            one(name, "QAttention", inputs, given, order=["x", "w", "c", "xs", "ws", "", "xz", "wz"], num_heads=n)
            mask = np.array([3, 5], np.int32)
            one(f"{name}_mask", "QAttention", inputs | {"m": mask}, given, num_heads=n, unidirectional=1,
                order=["x", "w", "c", "xs", "ws", "m", "xz", "wz"])
            one(f"{name}_past", "QAttention", inputs | {"past": floats(2, b, n, p, d)}, given, ("y", "present"),
                order=["x", "w", "c", "xs", "ws", "", "xz", "wz", "past"], num_heads=n, unidirectional=1)
        x, steps, width, size = floats(4, b, 6), 4, 6, 5
        for directions in (1, 2):
            w, r = quantized(directions, width, 4 * size, dtype=kind), quantized(directions, size, 4 * size, dtype=kind)
            ws, rs = np.abs(floats(directions)) / 99, np.abs(floats(directions, 4 * size)) / 99
            wz, rz = quantized(directions, dtype=kind), quantized(directions, 4 * size, dtype=kind)
            bias = floats(directions, 8 * size)
            full = [((q.astype(np.float32) - z.astype(np.float32)) * z_scale).swapaxes(1, 2)
                    for q, z, z_scale in ((w, wz.reshape(-1, 1, 1), ws.reshape(-1, 1, 1)), (r, rz[:, None], rs[:, None]))]
            attributes = {"hidden_size": size, "direction": ("forward", "bidirectional")[directions - 1]}
            outputs = ("y", "y_h", "y_c")
            expected = run("LSTM", {"x": x, "w": np.ascontiguousarray(full[0]), "r": np.ascontiguousarray(full[1]),
                                    "b": bias}, outputs, **attributes)
            one(f"DynamicQuantizeLSTM_{kind.__name__}_{directions}", "DynamicQuantizeLSTM", {"x": x},
                {"w": w, "r": r, "b": bias, "ws": ws, "wz": wz, "rs": rs, "rz": rz}, outputs,
                ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"], expected, **attributes)
    ids, segments = random.integers(0, 9, (2, 4), np.int32), random.integers(0, 2, (2, 4), np.int32)
    given = {"w": quantized(9, 8), "p": quantized(6, 8), "t": quantized(2, 8), "g": quantized(8), "b": quantized(8)}
    scales = {f"{k}s": np.float32(0.01 * (i + 1)) for i, k in enumerate("wptgb")}
    zeros = {f"{k}z": np.uint8(120 + i) for i, k in enumerate("wptgb")}
    one("QEmbedLayerNormalization", "QEmbedLayerNormalization",
        {"ids": ids, "segments": segments, "m": np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32)}, given | scales | zeros,
        ("y", "index"), ["ids", "segments", *"wptgb", "m", *scales, *zeros])
    few = {k: v for k, v in (given | scales | zeros).items() if k[0] != "t"}
    one("QEmbedLayerNormalization_few", "QEmbedLayerNormalization", {"ids": ids}, few, ("y", "index"),
        ["ids", "", "w", "p", "", "g", "b", "", "ws", "ps", "", "gs", "bs", "wz", "pz", "", "gz", "bz"])
    image = {"x": quantized(1, 5, 6, 4)}
    conv = {"xs": np.float32(0.02), "xz": np.uint8(120), "w": quantized(6, 2, 3, 3, dtype=np.int8),
            "ws": np.abs(floats(6)) / 99, "wz": np.zeros(6, np.int8), "ys": np.float32(0.05), "yz": np.uint8(110),
            "b": random.integers(-999, 999, 6).astype(np.int32)}
    one("QLinearConv_last", "QLinearConv", image, conv, channels_last=1, group=2, pads=[1, 1, 1, 1])
    one("QLinearConv_first", "QLinearConv", {"x": quantized(1, 4, 5, 6)}, conv, group=2, strides=[2, 1])


def helpers():
    x = floats(2, 3, 8)
    one("BiasAdd", "BiasAdd", {"x": x, "s": 2 * x}, {"b": np.ones(8, np.float32)}, order=["x", "b", "s"],
        expected=[3 * x + 1])
    one("BiasDropout", "BiasDropout", {"x": x, "r": x}, {"b": np.ones(8, np.float32)}, order=["x", "b", "r"],
        expected=[2 * x + 1])
    one("BiasSplitGelu", "BiasSplitGelu", {"x": x}, {"b": np.full(8, 9, np.float32)},
        expected=[((x + 9)[..., :4] * (x + 9)[..., 4:]).astype(np.float32)])
    one("ExpandDims", "ExpandDims", {"x": x}, {"a": np.array(-2, np.int32)})
    one("GatherND", "GatherND", {"x": x}, {"i": np.array([[1, 2], [0, 1]], np.int32)})
    one("Trilu", "Trilu", {"x": floats(2, 4, 5)}, {"k": np.array(1, np.int64)}, upper=0)
    one("Range", "Range", {"x": np.array([2], np.int64)}, {"e": np.array([7], np.int64)})
    one("Range_step", "Range", {"x": np.array(2, np.float32)}, {"e": np.float32(-3), "d": np.float32(-1.5)})
    one("Pad", "Pad", {"x": floats(3, 4)}, {"p": np.array([1, 0, 2, 1], np.int64), "v": np.array([0.5], np.float32)})
    one("Pad_reflect", "Pad", {"x": floats(3, 4)}, {"p": np.array([1, 0, 2, 1], np.int64)}, mode="reflect")
    one("Unique", "Unique", {"x": np.array([3, 1, 3, 2, 1], np.float32)}, outputs=("y", "i", "c"))
    x = quantized(1, 6, 7, 4)
    one("NhwcMaxPool", "NhwcMaxPool", {"x": x}, kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1])
    x, w, b = floats(1, 6, 7, 4), floats(8, 2, 3, 3), floats(8)
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    y = run("Conv", {"x": first, "w": w, "b": b}, ["y"], group=2, pads=[1, 1, 0, 0])[0]
    one("NhwcConv", "NhwcConv", {"x": x}, {"w": w, "b": b}, group=2, pads=[1, 1, 0, 0],
        expected=[np.ascontiguousarray(y.transpose(0, 2, 3, 1))])

    def group_norm(x, g, b, groups, silu):
        parts = x.reshape(*x.shape[:3], groups, -1).astype(np.float64)
        mean, deviation = (f(parts, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.std))
        y = ((parts - mean) / np.sqrt(deviation ** 2 + 1e-5)).reshape(x.shape) * g + b
        return (y / (1 + np.exp(-y)) if silu else y).astype(np.float32)
    x, g, b = floats(2, 3, 4, 8), floats(8), floats(8)
    for silu in (0, 1):
        one(f"GroupNorm_{silu}", "GroupNorm", {"x": x}, {"g": g, "b": b}, groups=4, activation=silu,
            expected=[group_norm(x, g, b, 4, silu)])
    skip, c = floats(2, 8), floats(8)
    total = x + skip[:, None, None] + c
    one("SkipGroupNorm", "SkipGroupNorm", {"x": x, "s": skip}, {"g": g, "b": b, "c": c}, ("y", "sum"),
        ["x", "g", "b", "s", "c"], [group_norm(total, g, b, 4, 1), total], groups=4, activation=1)


def blocks():
    """A layer of an encoder as the optimizer leaves it, and one of a decoder with its cache."""
    h, n, t = 16, 2, 6
    ids = random.integers(0, 9, (2, t)).astype(np.int32)
    mask = np.array([[1] * t, [1] * (t - 2) + [0] * 2], np.int32)

    def node(op, inputs, outputs, domain="com.microsoft", **attributes):
        return helper.make_node(op, inputs, outputs, domain=domain, **attributes)
    weights = {"words": floats(9, h), "places": floats(8, h), "g": 1 + floats(h) / 9, "b": floats(h) / 9,
               "w": floats(h, 3 * h) / 4, "c": floats(3 * h), "o": floats(h, h) / 4, "oc": floats(h),
               "u": floats(h, 32) / 4, "uc": floats(32), "d": floats(32, h) / 6, "dc": floats(h)}
    case("block_encoder", [
        node("EmbedLayerNormalization", ["ids", "", "words", "places", "", "g", "b", "mask"], ["x", "index"]),
        node("Attention", ["x", "w", "c", "index"], ["a"], num_heads=n),
        node("MatMul", ["a", "o"], ["p"], ""), node("SkipLayerNormalization", ["p", "x", "g", "b", "oc"], ["s"]),
        node("MatMul", ["s", "u"], ["v"], ""), node("BiasGelu", ["v", "uc"], ["z"]), node("MatMul", ["z", "d"], ["q"], ""),
        node("SkipLayerNormalization", ["q", "s", "g", "b", "dc"], ["y"])], {"ids": ids, "mask": mask}, weights)
    h, d, past = 64, 32, 4

    def bits(name, rows, size):
        return {name: quantized(rows, size // 32, 16), f"{name}_s": np.abs(floats(rows * size // 32)) / 90}

    def product(x, name, rows, size, y):
        return node("MatMulNBits", [x, name, f"{name}_s"], [y], N=rows, K=size, bits=4, block_size=32)
    weights = {"g": 1 + floats(h) / 9, "lengths": np.array([past, past], np.int32),
               "total": np.array(past + 1, np.int32)} | tables(d // 2)
    for name, rows in (("q", h), ("k", d), ("v", d), ("o", h)):
        weights |= bits(name, rows, h)
    case("block_decoder", [
        node("SimplifiedLayerNormalization", ["x", "g"], ["n"], "", epsilon=1e-6),
        product("n", "q", h, h, "qx"), product("n", "k", d, h, "kx"), product("n", "v", d, h, "vx"),
        node("GroupQueryAttention", ["qx", "kx", "vx", "past_k", "past_v", "lengths", "total", "cos", "sin"],
             ["a", "new_k", "new_v"], num_heads=h // d, kv_num_heads=1, do_rotary=1),
        product("a", "o", h, h, "p"), node("SkipSimplifiedLayerNormalization", ["x", "p", "g"], ["y"], epsilon=1e-6)],
         {"x": floats(2, 1, h), "past_k": floats(2, 1, past, d), "past_v": floats(2, 1, past, d)}, weights,
         ("y", "new_k", "new_v"))


def main():
    for make in (activations, products, convolutions, norms, attentions, rotations, group_queries, quantized_products,
                 quantized_elementwise, few_bits,
                 quantized_networks, helpers, blocks, few_bits_of_halves, sinks):
        make()
    write_all(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "microsoft", cases)


main()
