#!/usr/bin/env python3
"""Makes tests/opset/cases/: models of one or a few nodes for every operator that appeared or changed in
opsets 18 to 21, with inputs and the outputs expected. A case is one file: for the model, then for each
input and each output, a line "KIND SIZE" and that many bytes, of a ModelProto or of a TensorProto.

usage: make.py [FOLDER]               needs onnx, onnxruntime, numpy

onnxruntime gives what is expected; where it has no kernel for a type or operator, onnx's reference
evaluator does, and the model's doc_string says so. Strings, sequences, optionals, images, text and
quantization are outside what Heddle is for, and left out here.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from case_file import write_all

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
random = np.random.default_rng(1821)
cases = {}
defined = {}


def floats(*shape, dtype=np.float32):
    return random.standard_normal(shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


def info(name, array_or_type, rank=None):
    if isinstance(array_or_type, np.ndarray):
        rank = array_or_type.ndim
        array_or_type = helper.np_dtype_to_tensor_dtype(array_or_type.dtype)
    return helper.make_tensor_value_info(name, array_or_type, None if rank is None else [None] * rank)


def case(name, opset, nodes, inputs, outputs, constants=None, expected=None):
    """outputs: {name: element type, or a pair of it and the rank}; expected: of the first, by its definition."""
    if isinstance(nodes, onnx.NodeProto):
        nodes = [nodes]
    initializers = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    declared = [info(n, *(t if isinstance(t, tuple) else (t,))) for n, t in outputs.items()]
    graph = helper.make_graph(nodes, name, [info(n, a) for n, a in inputs.items()], declared, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    full_name = f"{name}_{opset}"
    assert full_name not in cases, full_name
    cases[full_name] = (model, inputs)
    if expected is not None:
        model.doc_string = "expected by its definition"
        defined[full_name] = [expected]


def one(name, opset, op, inputs, constants=None, output=FLOAT, outputs=("y",), order=None, expected=None,
        **attributes):
    """One node. inputs and constants by name; order: the node's inputs where it is not this order."""
    operands = order or list(inputs) + list(constants or {})
    types = output if isinstance(output, (list, tuple)) else [output] * len(outputs)
    node = helper.make_node(op, operands, list(outputs), **attributes)
    case(name, opset, node, inputs, dict(zip([o for o in outputs if o], types)), constants, expected)


# For a dilated kernel, onnxruntime 1.32 and onnx's evaluator each pad SAME_* otherwise than ONNX defines
# (output = ceil(input / stride)), so these are asked with the padding that follows from it.
PADS_OF_SAME = {"AveragePool_dilations_same": [2, 2, 2, 2]}


def explicit(model):
    """The model with the padding of PADS_OF_SAME in the place of auto_pad."""
    if model.graph.name not in PADS_OF_SAME:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    node = copy.graph.node[0]
    kept = [a for a in node.attribute if a.name != "auto_pad"]
    del node.attribute[:]
    node.attribute.extend(kept + [helper.make_attribute("pads", PADS_OF_SAME[model.graph.name])])
    return copy


def expect(model, inputs):
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(explicit(model).SerializeToString(), options)
        model.doc_string = f"expected by onnxruntime {onnxruntime.__version__}"
        return session.run(None, inputs)
    except Exception as problem:  # of many kinds: no kernel, no type, no opset
        model.doc_string = f"expected by the reference evaluator of onnx {onnx.__version__}"
        print(f"{model.graph.name}: onnxruntime: {str(problem).splitlines()[0][:150]}")
        return ReferenceEvaluator(explicit(model)).run(None, inputs)


# --- 18 ------------------------------------------------------------------------------------------------
def reductions():
    x = floats(2, 3, 4)
    names = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    for name in names:
        data = np.abs(x) + 0.1 if name == "LogSum" else x
        op = "Reduce" + name
        if name != "Sum":  # its axes became an input in 13
            one(f"{op}_axes", 18, op, {"x": data}, {"axes": ints(1, -1)}, keepdims=0)
            one(f"{op}_all", 18, op, {"x": data})
            one(f"{op}_noop", 18, op, {"x": data}, {"axes": ints()}, noop_with_empty_axes=1)
            one(f"{op}_axes_given", 18, op, {"x": data, "axes": ints(0)})
        if name in ("Max", "Min"):
            one(f"{op}_int8", 18, op, {"x": random.integers(-90, 90, (3, 5)).astype(np.int8)},
                {"axes": ints(0)}, output=TensorProto.INT8)
            one(f"{op}_axes", 20, op, {"x": x}, {"axes": ints(1)})
            one(f"{op}_bool", 20, op, {"x": x > 0}, {"axes": ints(1)}, output=BOOL)
            one(f"{op}_bool_all", 20, op, {"x": x > -9}, {}, output=BOOL, keepdims=0)
        if name in ("Sum", "Mean", "Prod"):
            one(f"{op}_int32", 18, op, {"x": random.integers(-9, 9, (2, 3, 2)).astype(np.int32)},
                {"axes": ints(1)}, output=TensorProto.INT32)
        one(f"{op}_float64", 18, op, {"x": data.astype(np.float64)}, {"axes": ints(0, 2)},
            output=TensorProto.DOUBLE)


def splits():
    x = floats(7, 6)
    one("Split_num_outputs", 18, "Split", {"x": x}, outputs=("a", "b", "c"), num_outputs=3)
    one("Split_num_outputs_axis", 18, "Split", {"x": x}, outputs=("a", "b"), num_outputs=2, axis=-1)
    one("Split_sizes", 18, "Split", {"x": x}, {"s": ints(2, 5)}, outputs=("a", "b"), axis=0)


def resizes():
    x = floats(1, 2, 7, 9)
    for mode in ("linear", "cubic"):
        for sizes in ((4, 5), (3, 14)):
            one(f"Resize_antialias_{mode}_{sizes[0]}x{sizes[1]}", 18, "Resize", {"x": x},
                {"sizes": ints(1, 2, *sizes)}, order=["x", "", "", "sizes"], mode=mode, antialias=1)
    one("Resize_antialias_scales", 18, "Resize", {"x": x}, {"s": np.array([1, 1, 0.6, 0.4], np.float32)},
        order=["x", "", "s"], mode="linear", antialias=1)
    one("Resize_antialias_exclude", 18, "Resize", {"x": x}, {"s": np.array([1, 1, 0.6, 0.4], np.float32)},
        order=["x", "", "s"], mode="cubic", antialias=1, exclude_outside=1)
    one("Resize_axes_scales", 18, "Resize", {"x": x}, {"s": np.array([2, 0.5], np.float32)},
        order=["x", "", "s"], mode="linear", axes=[2, 3])
    one("Resize_axes_swapped", 18, "Resize", {"x": x}, {"sizes": ints(4, 11)},
        order=["x", "", "", "sizes"], mode="nearest", axes=[3, 2])
    for policy in ("stretch", "not_larger", "not_smaller"):
        for opset in (18, 19):
            one(f"Resize_{policy}", opset, "Resize", {"x": x}, {"sizes": ints(5, 12)},
                order=["x", "", "", "sizes"], mode="linear", axes=[2, 3], keep_aspect_ratio_policy=policy)
    one("Resize_not_larger_nearest", 18, "Resize", {"x": x}, {"sizes": ints(12, 12)},
        order=["x", "", "", "sizes"], mode="nearest", axes=[2, 3], keep_aspect_ratio_policy="not_larger")
    one("Resize_half_pixel_symmetric", 19, "Resize", {"x": x},
        {"s": np.array([1, 1, 1.7, 0.45], np.float32)}, order=["x", "", "s"], mode="linear",
        coordinate_transformation_mode="half_pixel_symmetric")
    one("Resize_half_pixel_symmetric_up", 19, "Resize", {"x": x},
        {"s": np.array([1, 1, 2.3, 1.3], np.float32)}, order=["x", "", "s"], mode="nearest",
        coordinate_transformation_mode="half_pixel_symmetric")
    one("Resize_crop", 19, "Resize", {"x": x}, {"roi": np.array([0.1, 0.2, 0.8, 0.9], np.float32),
        "sizes": ints(5, 6)}, order=["x", "roi", "", "sizes"], mode="linear", axes=[2, 3],
        coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.0)
    one("Resize_sizes_given", 19, "Resize", {"x": x, "sizes": ints(1, 2, 4, 4)},
        order=["x", "", "", "sizes"], mode="nearest", nearest_mode="floor")
    one("Resize_uint8", 18, "Resize", {"x": random.integers(0, 255, (1, 1, 4, 4)).astype(np.uint8)},
        {"sizes": ints(1, 1, 6, 3)}, order=["x", "", "", "sizes"], mode="nearest",
        output=TensorProto.UINT8)


def pads():
    x = floats(3, 4, 5)
    for mode in ("constant", "reflect", "edge"):
        one(f"Pad_axes_{mode}", 18, "Pad", {"x": x}, {"p": ints(1, 2, 2, 1), "v": np.float32([7])[0].reshape(()),
            "a": ints(2, 0)}, mode=mode)
    one("Pad_axes_given", 18, "Pad", {"x": x, "a": ints(-1)}, {"p": ints(-1, 3)}, order=["x", "p", "", "a"])
    for opset in (19, 21):
        one("Pad_wrap", opset, "Pad", {"x": x}, {"p": ints(2, 0, 3, 1, 3, 2)}, mode="wrap")
        one("Pad_wrap_axes", opset, "Pad", {"x": x}, {"p": ints(2, 3), "a": ints(1)},
            order=["x", "p", "", "a"], mode="wrap")
    one("Pad_int32", 21, "Pad", {"x": random.integers(0, 9, (2, 3)).astype(np.int32)},
        {"p": ints(0, 1, 1, 0)}, output=TensorProto.INT32)


def group_normalizations():
    x = floats(2, 6, 4, 3)
    for opset, count in ((18, 3), (21, 6)):
        for epsilon in (1e-5, 0.1):
            one(f"GroupNormalization_{epsilon:g}", opset, "GroupNormalization", {"x": x},
                {"scale": floats(count), "bias": floats(count)}, num_groups=3, epsilon=epsilon)
    one("GroupNormalization_sequence", 21, "GroupNormalization", {"x": floats(2, 4, 9)},
        {"scale": floats(4), "bias": floats(4)}, num_groups=2)


def bitwise():
    for kind in ("uint8", "int8", "int32", "uint32", "int64", "uint16"):
        limits = np.iinfo(kind)
        a = random.integers(limits.min, limits.max, (3, 4), dtype=kind)
        b = random.integers(limits.min, limits.max, (4,), dtype=kind)
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        for op in ("And", "Or", "Xor"):
            one(f"Bitwise{op}_{kind}", 18, "Bitwise" + op, {"a": a, "b": b}, output=element)
        one(f"BitwiseNot_{kind}", 18, "BitwiseNot", {"a": a}, output=element)


def of_18():
    one("Mish", 18, "Mish", {"x": 4 * floats(3, 17)})
    one("Mish_ends", 18, "Mish", {"x": np.float32([-100, -20, -1, 0, 1, 20, 100, np.inf])})
    blocks = floats(2, 8, 12)
    one("Col2Im", 18, "Col2Im", {"x": blocks}, {"image": ints(4, 5), "block": ints(2, 2)})
    one("Col2Im_strides", 18, "Col2Im", {"x": floats(1, 9, 4)}, {"image": ints(5, 5), "block": ints(3, 3)},
        strides=[2, 2])
    one("Col2Im_pads", 18, "Col2Im", {"x": floats(1, 5, 15)}, {"image": ints(5, 5), "block": ints(1, 5)},
        pads=[0, 1, 0, 1])
    one("Col2Im_dilations", 18, "Col2Im", {"x": floats(1, 4, 5)}, {"image": ints(6, 6), "block": ints(2, 2)},
        dilations=[1, 5])
    one("Col2Im_3d", 18, "Col2Im", {"x": floats(1, 10, 12)}, {"image": ints(3, 4, 5), "block": ints(1, 1, 5)})
    x = floats(5, 6, 3)
    one("CenterCropPad_crop", 18, "CenterCropPad", {"x": x}, {"s": ints(2, 3, 3)})
    one("CenterCropPad_both", 18, "CenterCropPad", {"x": x}, {"s": ints(8, 3, 4)})
    one("CenterCropPad_axes", 18, "CenterCropPad", {"x": x}, {"s": ints(9, 4)}, axes=[2, -3])
    one("CenterCropPad_given", 18, "CenterCropPad", {"x": x, "s": ints(3, 9)}, axes=[0, 1])
    data, indices = floats(4, 3), np.array([[0, 2, 1], [3, 0, 1]], np.int64)
    for reduction in ("none", "add", "mul", "max", "min"):
        one(f"ScatterElements_{reduction}", 18, "ScatterElements",
            {"x": data, "i": indices, "u": floats(2, 3)}, reduction=reduction)
        places = np.array([[1], [3]] if reduction == "none" else [[1], [1]], np.int64)
        one(f"ScatterND_{reduction}", 18, "ScatterND", {"x": data, "i": places, "u": floats(2, 3)},
            reduction=reduction)
    grid = (floats(2, 3, 4, 2) * 0.8).astype(np.float32)
    one("LpPool_dilations", 18, "LpPool", {"x": floats(1, 2, 7, 8)}, kernel_shape=[2, 3], dilations=[2, 2], p=3)
    one("LpPool_ceil", 18, "LpPool", {"x": floats(1, 2, 7, 8)}, kernel_shape=[3, 3], strides=[2, 2],
        ceil_mode=1)
    one("GridSample_16_form", 18, "GridSample", {"x": floats(2, 3, 5, 6), "g": grid}, mode="bilinear")


# --- 19 ------------------------------------------------------------------------------------------------
def pools():
    x = floats(1, 3, 9, 10)
    one("AveragePool_dilations", 19, "AveragePool", {"x": x}, kernel_shape=[3, 2], dilations=[2, 3])
    one("AveragePool_dilations_padded", 19, "AveragePool", {"x": x}, kernel_shape=[3, 3], dilations=[2, 2],
        pads=[2, 1, 1, 2], strides=[2, 1])
    one("AveragePool_dilations_counted", 19, "AveragePool", {"x": x}, kernel_shape=[3, 3],
        dilations=[2, 2], pads=[2, 2, 2, 2], count_include_pad=1)
    one("AveragePool_dilations_same", 19, "AveragePool", {"x": x}, kernel_shape=[3, 3], dilations=[2, 2],
        auto_pad="SAME_UPPER")
    one("AveragePool_ceil", 19, "AveragePool", {"x": x}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    one("AveragePool_1d", 19, "AveragePool", {"x": floats(2, 2, 11)}, kernel_shape=[3], dilations=[2])
    one("AveragePool_3d", 19, "AveragePool", {"x": floats(1, 2, 5, 6, 5)}, kernel_shape=[2, 2, 2],
        dilations=[1, 2, 2])


def deformable():
    x, w = floats(1, 4, 6, 6), floats(4, 4, 3, 3) * 0.3
    offset = floats(1, 18, 4, 4) * 0.5
    one("DeformConv", 19, "DeformConv", {"x": x, "o": offset}, {"w": w}, order=["x", "w", "o"],
        kernel_shape=[3, 3])
    one("DeformConv_mask", 19, "DeformConv", {"x": x, "o": offset, "m": np.abs(floats(1, 9, 4, 4))},
        {"w": w, "b": floats(4)}, order=["x", "w", "o", "b", "m"], kernel_shape=[3, 3])
    one("DeformConv_groups", 19, "DeformConv", {"x": x, "o": floats(1, 36, 6, 6) * 0.5},
        {"w": floats(4, 2, 3, 3)}, order=["x", "w", "o"], kernel_shape=[3, 3], group=2, offset_group=2,
        pads=[1, 1, 1, 1])


def control(opset):
    """If, Loop and Scan with blocks that read outer values."""
    x = floats(3, 4)
    then = helper.make_graph([helper.make_node("Add", ["x", "x"], ["t"])], "then", [], [info("t", FLOAT, 2)])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [info("e", FLOAT, 2)])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    for value in (True, False):
        case(f"If_{str(value).lower()}", opset, branch, {"c": np.array(value), "x": x}, {"y": (FLOAT, 2)})
    body = helper.make_graph(
        [helper.make_node("Mul", ["s", "x"], ["next"]), helper.make_node("Identity", ["go"], ["on"]),
         helper.make_node("ReduceSum", ["next"], ["total"], keepdims=0)], "body",
        [info("i", INT64, 0), info("go", BOOL, 0), info("s", FLOAT, 2)],
        [info("on", BOOL, 0), info("next", FLOAT, 2), info("total", FLOAT, 0)])
    case("Loop_trips", opset, helper.make_node("Loop", ["n", "", "s0"], ["y", "totals"], body=body),
         {"n": np.array(3, np.int64), "x": x, "s0": floats(3, 4)}, {"y": (FLOAT, 2), "totals": (FLOAT, 1)})
    until = helper.make_graph(
        [helper.make_node("Add", ["s", "one"], ["next"]), helper.make_node("Less", ["next", "limit"], ["on"])],
        "until", [info("i", INT64, 0), info("go", BOOL, 0), info("s", FLOAT, 0)],
        [info("on", BOOL, 0), info("next", FLOAT, 0)])
    case("Loop_while", opset, helper.make_node("Loop", ["", "true", "s0"], ["y"], body=until),
         {"s0": np.array(0.5, np.float32), "limit": np.array(3.2, np.float32)}, {"y": (FLOAT, 0)},
         {"one": np.array(1, np.float32), "true": np.array(True)})
    scan_body = helper.make_graph(
        [helper.make_node("Add", ["s", "v"], ["next"]), helper.make_node("Mul", ["next", "v"], ["out"])],
        "scanned", [info("s", FLOAT, 1), info("v", FLOAT, 1)], [info("next", FLOAT, 1), info("out", FLOAT, 1)])
    for name, attributes in (("forward", {}), ("backward", {"scan_input_directions": [1]}),
                             ("axis", {"scan_input_axes": [1], "scan_output_axes": [1]})):
        width = 3 if name == "axis" else 4
        case(f"Scan_{name}", opset,
             helper.make_node("Scan", ["s0", "x"], ["y", "z"], body=scan_body, num_scan_inputs=1, **attributes),
             {"s0": floats(width), "x": x}, {"y": (FLOAT, 1), "z": (FLOAT, 2)})


def types_of(opset):
    """What was only defined anew for more element types: 19 (float 8) and 21 (int4, more of the old)."""
    x = floats(3, 4)
    for a, b in (("float32", "int32"), ("int64", "float32"), ("bool", "float32"), ("float32", "bool"),
                 ("float64", "float32"), ("uint8", "int8"), ("float32", "float16"), ("float16", "float32"),
                 ("int32", "float64"), ("int16", "uint16")):
        data = (3 * np.abs(x)).astype(a)
        element = helper.np_dtype_to_tensor_dtype(np.dtype(b))
        one(f"Cast_{a}_{b}", opset, "Cast", {"x": data}, to=element, output=element)
        one(f"CastLike_{a}_{b}", opset, "CastLike", {"x": data, "like": np.zeros(1, b)}, output=element)
    for kind in ("float32", "int32", "bool", "float16", "float64", "uint8"):
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        data = (4 * np.abs(x)).astype(kind)
        one(f"ConstantOfShape_{kind}", opset, "ConstantOfShape", {"s": ints(2, 3)}, output=element,
            value=numpy_helper.from_array(np.array([1], kind)))
        one(f"Identity_{kind}", opset, "Identity", {"x": data}, output=element)
        one(f"Reshape_{kind}", opset, "Reshape", {"x": data}, {"s": ints(2, -1)}, output=element)
        one(f"Transpose_{kind}", opset, "Transpose", {"x": data}, output=element)
        one(f"Shape_{kind}", opset, "Shape", {"x": data}, output=INT64)
        one(f"Size_{kind}", opset, "Size", {"x": data}, output=INT64)
        one(f"Flatten_{kind}", opset, "Flatten", {"x": data}, axis=0, output=element)
        one(f"Squeeze_{kind}", opset, "Squeeze", {"x": data.reshape(3, 1, 4)}, {"a": ints(1)}, output=element)
        one(f"Unsqueeze_{kind}", opset, "Unsqueeze", {"x": data}, {"a": ints(0, -1)}, output=element)
        if opset == 19 and kind != "float16":
            one(f"Equal_{kind}", opset, "Equal", {"a": data, "b": data[::-1].copy()}, output=BOOL)
    one("Reshape_allowzero", opset, "Reshape", {"x": floats(0, 3)}, {"s": ints(3, 0)}, allowzero=1)
    one("Shape_range", opset, "Shape", {"x": floats(2, 3, 4)}, output=INT64, start=1, end=-1)
    case("Constant_values", opset,
         [helper.make_node("Constant", [], ["c"], value_floats=[1.5, 2.5]),
          helper.make_node("Constant", [], ["d"], value=numpy_helper.from_array(np.float32([[2], [3]]))),
          helper.make_node("Constant", [], ["e"], value_float=0.5),
          helper.make_node("Mul", ["c", "d"], ["f"]), helper.make_node("Add", ["f", "e"], ["g"]),
          helper.make_node("Add", ["g", "x"], ["y"])], {"x": floats(2, 2)}, {"y": FLOAT})


# --- 20 ------------------------------------------------------------------------------------------------
def of_20():
    for approximate in ("none", "tanh"):
        one(f"Gelu_{approximate}", 20, "Gelu", {"x": 3 * floats(3, 17)}, approximate=approximate)
    one("Gelu_ends", 20, "Gelu", {"x": np.float32([-50, -6, -1, 0, 1, 6, 50])})
    odd = np.float32([1, np.nan, np.inf, -np.inf, 0])
    for kind in ("float32", "float64", "float16"):
        one(f"IsNaN_{kind}", 20, "IsNaN", {"x": odd.astype(kind)}, output=BOOL)
        one(f"IsInf_{kind}", 20, "IsInf", {"x": odd.astype(kind)}, output=BOOL)
    one("IsInf_negative", 20, "IsInf", {"x": odd}, output=BOOL, detect_positive=0)
    one("IsInf_positive", 20, "IsInf", {"x": odd}, output=BOOL, detect_negative=0)
    image, volume = floats(2, 2, 5, 6), floats(1, 2, 4, 5, 3)
    grid, space = floats(2, 4, 3, 2) * 0.9, floats(1, 3, 2, 4, 3) * 0.9
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (0, 1):
                one(f"GridSample_{mode}_{padding}_{corners}", 20, "GridSample", {"x": image, "g": grid},
                    mode=mode, padding_mode=padding, align_corners=corners)
                if mode != "cubic":
                    one(f"GridSample_3d_{mode}_{padding}_{corners}", 20, "GridSample",
                        {"x": volume, "g": space}, mode=mode, padding_mode=padding, align_corners=corners)
    for corners in (0, 1):
        one(f"AffineGrid_2d_{corners}", 20, "AffineGrid", {"t": floats(2, 2, 3)}, {"s": ints(2, 3, 4, 5)},
            align_corners=corners)
        one(f"AffineGrid_3d_{corners}", 20, "AffineGrid", {"t": floats(1, 3, 4)}, {"s": ints(1, 2, 3, 4, 2)},
            align_corners=corners)
    one("AffineGrid_given", 20, "AffineGrid", {"t": floats(1, 2, 3), "s": ints(1, 1, 3, 3)})
    signal = floats(2, 10, 1)
    one("DFT_axis", 20, "DFT", {"x": floats(2, 5, 4, 1)}, {"axis": np.array(1, np.int64)}, order=["x", "", "axis"])
    one("DFT_default", 20, "DFT", {"x": signal})
    one("DFT_onesided", 20, "DFT", {"x": signal}, onesided=1)
    one("DFT_length", 20, "DFT", {"x": signal}, {"n": np.array(8, np.int64)})
    one("DFT_longer", 20, "DFT", {"x": signal}, {"n": np.array(13, np.int64)})
    one("DFT_complex", 20, "DFT", {"x": floats(2, 8, 2)})
    one("DFT_inverse", 20, "DFT", {"x": floats(2, 8, 2)}, inverse=1)
    one("DFT_negative_axis", 20, "DFT", {"x": floats(3, 4, 6, 2)}, {"axis": np.array(-3, np.int64)},
        order=["x", "", "axis"])


# --- numbers that other engines once got wrong ---------------------------------------------------------
def scatter_reductions():
    """Of float16, which moves without conversion elsewhere; some indices come twice."""
    x, places = floats(3, 5, dtype=np.float16), np.array([[0, 2, 2], [1, 0, 2]])
    rows = np.array([[1], [0], [1]])
    for reduction in ("add", "mul", "max", "min"):
        one(f"ScatterElements_half_{reduction}", 18, "ScatterElements",
            {"x": x, "i": places, "u": floats(2, 3, dtype=np.float16)}, output=TensorProto.FLOAT16, reduction=reduction)
        one(f"ScatterND_half_{reduction}", 18, "ScatterND", {"x": x, "i": rows, "u": floats(3, 5, dtype=np.float16)},
            output=TensorProto.FLOAT16, reduction=reduction)


def signals():
    """Signals without a dimension of parts, the lengths that are left out, and half a spectrum turned back."""
    step, length = np.array(4, np.int64), np.array(8, np.int64)
    flat, window = floats(2, 30), floats(8)
    whole = {"x": floats(2, 30, 1)}
    one("STFT_flat", 17, "STFT", {"x": flat}, {"step": step, "w": window}, expected=frames(flat, window, 4))
    one("STFT_flat_length", 17, "STFT", {"x": flat}, {"step": step, "n": length}, order=["x", "step", "", "n"],
        expected=frames(flat, np.ones(8), 4))
    one("STFT_whole", 17, "STFT", whole, {"step": step}, expected=frames(whole["x"][..., 0], np.ones(30), 4))
    half = floats(2, 6, 3, 2)
    spectrum = half[..., 0] + 1j * half[..., 1]
    for name, points in (("", 10), ("_odd", 7), ("_longer", 15)):
        constants = {} if name == "" else {"n": np.array(points, np.int64)}
        one(f"DFT_back{name}", 17, "DFT", {"x": half}, constants, onesided=1, inverse=1,
            expected=np.fft.irfft(spectrum, n=points, axis=1)[..., None].astype(np.float32))


def frames(signal, window, step):
    """The short-time transform by its definition."""
    count = (signal.shape[1] - len(window)) // step + 1
    parts = np.stack([signal[:, i * step:i * step + len(window)] * window for i in range(count)], 1)
    bins = np.fft.fft(parts)[..., :len(window) // 2 + 1]
    return np.stack([bins.real, bins.imag], -1).astype(np.float32)


def wide():
    """More operands than anyone had thought of, some of them broadcast."""
    x = floats(4, 5)
    some = {f"c{i}": floats(*((4, 5), (5,), (4, 1), ())[i % 4]) for i in range(299)}
    for op in ("Sum", "Max", "Min", "Mean"):
        one(f"{op}_wide", 13, op, {"x": x}, some)
    names = [f"p{i}" for i in range(300)]
    nodes = [helper.make_node("Split", ["x"], names, axis=1, num_outputs=300),
             helper.make_node("Concat", names[::-1], ["y"], axis=1)]
    factors = {f"c{i}": 1 + floats(*((4, 5), (1, 5))[i % 2]) / 40 for i in range(39)}
    one("Einsum_wide", 13, "Einsum", {"x": x}, factors, equation=",".join(["ij"] * 40) + "->j",
        expected=np.prod([np.broadcast_to(f, (4, 5)) for f in (x, *factors.values())], 0).sum(0))
    case("Split_wide", 18, nodes, {"x": floats(2, 600)}, {"y": FLOAT})


# --- all of a network ----------------------------------------------------------------------------------
def blocks():
    """What exporters of today write: a GELU block, group norm in a CNN, an upsampler, an axes chain."""
    for opset in (20, 21):
        nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "b"], ["c"]),
                 helper.make_node("Gelu", ["c"], ["d"]), helper.make_node("MatMul", ["d", "v"], ["e"]),
                 helper.make_node("Add", ["e", "x"], ["f"]),
                 helper.make_node("LayerNormalization", ["f", "g"], ["y"])]
        case("block_gelu", opset, nodes, {"x": floats(2, 5, 16)}, {"y": FLOAT},
             {"w": floats(16, 32) / 4, "b": floats(32), "v": floats(32, 16) / 6, "g": floats(16)})
    for opset, count in ((18, 2), (21, 8)):
        nodes = [helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
                 helper.make_node("GroupNormalization", ["a", "s", "b"], ["c"], num_groups=2),
                 helper.make_node("Mish", ["c"], ["d"]),
                 helper.make_node("Resize", ["d", "", "", "sizes"], ["e"], axes=[2, 3], mode="linear"),
                 helper.make_node("ReduceMean", ["e", "axes"], ["y"], keepdims=0)]
        case("block_group_norm", opset, nodes, {"x": floats(1, 3, 7, 6)}, {"y": FLOAT},
             {"w": floats(8, 3, 3, 3) / 4, "s": floats(count), "b": floats(count), "sizes": ints(9, 12),
              "axes": ints(2, 3)})


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "cases")
    for make in (reductions, splits, resizes, pads, group_normalizations, bitwise, of_18, pools, deformable,
                 of_20, blocks):
        make()
    for opset in (19, 21):
        control(opset)
        types_of(opset)
    scatter_reductions()
    signals()
    wide()
    write_all(folder, {name: (model, inputs.values(), defined[name] if name in defined else expect(model, inputs))
                       for name, (model, inputs) in sorted(cases.items())})


main()
