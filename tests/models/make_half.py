#!/usr/bin/env python3
"""Makes tests/models/half/: small models of half precision, their inputs and the outputs expected.

usage: make_half.py [FOLDER]          needs onnx, onnxruntime, ml_dtypes, numpy

Each network is written down once, in float32, over weights and inputs that are halves already. It is
then stored in one of these styles, and onnxruntime's answer to the float32 form is what is expected:
  full        weights, inputs, outputs and everything between are of the half type
  keep_io     the same between a Cast of each input and one of each output
  weight_cast only weights are of the half type, each with a Cast behind it
"""
import pathlib
import shutil
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HALF_TYPES = {TensorProto.FLOAT16: np.float16, TensorProto.BFLOAT16: ml_dtypes.bfloat16}
FLOAT = TensorProto.FLOAT
FLOAT32_ALWAYS = ("scales",)  # Resize takes no halves for these
random = np.random.default_rng(18)


def weight(*shape, scale=None):
    scale = scale or 1.0 / np.sqrt(shape[-1] if len(shape) == 1 else np.prod(shape[1:]))
    return (random.standard_normal(shape) * scale).astype(np.float32)


def rounded(array, half):
    return array.astype(HALF_TYPES[half]).astype(np.float32) if array.dtype == np.float32 else array


class Network:
    """A float32 graph: nodes, named weights, inputs (name, example), outputs (name, rank)."""

    def __init__(self, nodes, weights, inputs, outputs, opset=17):
        self.nodes, self.weights, self.outputs, self.opset = nodes, weights, outputs, opset
        self.inputs = inputs


def half_tensor(name, array, half):
    if half == TensorProto.FLOAT16:
        return numpy_helper.from_array(array.astype(np.float16), name)
    raw = array.astype(ml_dtypes.bfloat16).tobytes()
    return helper.make_tensor(name, half, array.shape, raw, raw=True)


def store_tensor(name, array, half, is_half):
    if is_half and array.dtype == np.float32:
        return half_tensor(name, array, half)
    return numpy_helper.from_array(array, name)


def node_in(node, half):
    """A copy whose attributes and blocks name the half type for float32."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if copy.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
            attribute.i = half
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == FLOAT:
            attribute.t.CopyFrom(half_tensor(attribute.t.name, numpy_helper.to_array(attribute.t), half))
        if attribute.type == onnx.AttributeProto.GRAPH:
            for value in list(attribute.g.input) + list(attribute.g.output):
                if value.type.tensor_type.elem_type == FLOAT:
                    value.type.tensor_type.elem_type = half
            inner = [node_in(n, half) for n in attribute.g.node]
            del attribute.g.node[:]
            attribute.g.node.extend(inner)
    return copy


def to_model(network, style, half):
    """The network in a style; style None is the float32 form."""
    in_half = style in ("full", "keep_io")
    nodes, casts_behind = [], []
    inputs, outputs, initializers = [], [], []
    for name, array in network.weights.items():
        array = rounded(array, half)
        if name in FLOAT32_ALWAYS:
            initializers.append(numpy_helper.from_array(array, name))
        elif style == "weight_cast" and array.dtype == np.float32:
            initializers.append(half_tensor(name + "_half", array, half))
            nodes.append(helper.make_node("Cast", [name + "_half"], [name], to=FLOAT))
        else:
            initializers.append(store_tensor(name, array, half, in_half))
    for name, array in network.inputs.items():
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        if element == FLOAT and style == "full":
            element = half
        public = name
        if element == FLOAT and style == "keep_io":
            public = name + "_public"
            nodes.append(helper.make_node("Cast", [public], [name], to=half))
        inputs.append(helper.make_tensor_value_info(public, element, [None] * array.ndim))
    for name, rank in network.outputs.items():
        public = name
        if style == "keep_io":
            public = name + "_public"
            casts_behind.append(helper.make_node("Cast", [name], [public], to=FLOAT))
        element = half if style == "full" else FLOAT
        outputs.append(helper.make_tensor_value_info(public, element, [None] * rank))
    nodes += [node_in(n, half) if in_half else n for n in network.nodes] + casts_behind
    graph = helper.make_graph(nodes, "half", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", network.opset)], ir_version=8)


def write(folder, name, network, style, half, example_sets=None):
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    model = to_model(network, style, half)
    onnx.save(model, target / "model.onnx")
    reference = onnxruntime.InferenceSession(to_model(network, None, half).SerializeToString())
    for index, inputs in enumerate(example_sets or [network.inputs]):
        data = target / f"set_{index}"
        data.mkdir()
        inputs = {key: rounded(array, half) for key, array in inputs.items()}
        expected = reference.run(None, inputs)
        for i, array in enumerate(inputs.values()):
            tensor = store_tensor("", array, half, style == "full")
            (data / f"input_{i}.pb").write_bytes(tensor.SerializeToString())
        for i, array in enumerate(expected):
            tensor = store_tensor("", array, half, style == "full")
            (data / f"output_{i}.pb").write_bytes(tensor.SerializeToString())
    print(f"{name}: {(target / 'model.onnx').stat().st_size} bytes")


def mlp():
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h1"], transB=1),
             helper.make_node("Relu", ["h1"], ["h2"]),
             helper.make_node("MatMul", ["h2", "w2"], ["h3"]),
             helper.make_node("Add", ["h3", "b2"], ["h4"]),
             helper.make_node("Tanh", ["h4"], ["h5"]),
             helper.make_node("Gemm", ["h5", "w3"], ["h6"], alpha=0.5),
             helper.make_node("Softmax", ["h6"], ["y"], axis=-1)]
    weights = {"w1": weight(40, 24), "b1": weight(40), "w2": weight(40, 32), "b2": weight(32),
               "w3": weight(32, 10, scale=1.0)}
    return Network(nodes, weights, {"x": weight(5, 24, scale=1.0)}, {"y": 2})


def cnn():
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
             helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
             helper.make_node("Relu", ["b"], ["c"]),
             helper.make_node("Conv", ["c", "w2"], ["d"], pads=[1, 1, 1, 1], group=12),
             helper.make_node("HardSwish", ["d"], ["e"]),
             helper.make_node("Conv", ["e", "w3"], ["f"]),
             helper.make_node("Add", ["f", "c"], ["g"]),
             helper.make_node("MaxPool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("ConvTranspose", ["h", "w4"], ["i"], strides=[2, 2]),
             helper.make_node("Resize", ["i", "", "scales"], ["j"], mode="linear"),
             helper.make_node("GlobalAveragePool", ["j"], ["k"]),
             helper.make_node("Flatten", ["k"], ["l"]),
             helper.make_node("Gemm", ["l", "w5", "b5"], ["y"], transB=1)]
    weights = {"w1": weight(12, 3, 3, 3), "b1": weight(12), "scale": 1 + 0.1 * weight(12),
               "shift": weight(12), "mean": 0.1 * weight(12), "var": np.abs(weight(12)) + 0.5,
               "w2": weight(12, 1, 3, 3), "w3": weight(12, 12, 1, 1), "w4": weight(12, 6, 2, 2),
               "scales": np.array([1, 1, 2, 2], np.float32), "w5": weight(7, 6, scale=1.0),
               "b5": weight(7)}
    return Network(nodes, weights, {"x": weight(2, 3, 18, 14, scale=1.0)}, {"y": 2})


def transformer():
    """One layer as exporters spell it out: mask arithmetic, layer norm, erf, ConstantOfShape, CastLike."""
    width, heads, hidden = 24, 3, 40
    nodes = []

    def add(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    add("Gather", ["table", "ids"], "embedded")
    add("Unsqueeze", ["mask", "axes12"], "mask4")
    add("Cast", ["mask4"], "maskf", to=FLOAT)
    add("Sub", ["one", "maskf"], "masked")
    add("Mul", ["masked", "low"], "bias")
    for name in "qkv":
        add("MatMul", ["embedded", "w" + name], name + "0")
        add("Add", [name + "0", "b" + name], name + "1")
        add("Reshape", [name + "1", "split"], name + "2")
        add("Transpose", [name + "2"], name, perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])
    add("MatMul", ["q", "k"], "s0")
    add("Div", ["s0", "root"], "s1")
    add("Add", ["s1", "bias"], "s2")
    add("Softmax", ["s2"], "p", axis=-1)
    add("MatMul", ["p", "v"], "c0")
    add("Transpose", ["c0"], "c1", perm=[0, 2, 1, 3])
    add("Reshape", ["c1", "join"], "c2")
    add("MatMul", ["c2", "wo"], "o0")
    add("Add", ["o0", "embedded"], "r")
    add("ReduceMean", ["r"], "mu", axes=[-1], keepdims=1)
    add("Sub", ["r", "mu"], "d")
    add("Mul", ["d", "d"], "dd")
    add("ReduceMean", ["dd"], "variance", axes=[-1], keepdims=1)
    add("Add", ["variance", "epsilon"], "variance1")
    add("Sqrt", ["variance1"], "deviation")
    add("Div", ["d", "deviation"], "n0")
    add("Mul", ["n0", "gamma"], "n1")
    add("Add", ["n1", "beta"], "n")
    add("MatMul", ["n", "w1"], "f0")
    add("Div", ["f0", "sqrt2"], "f1")
    add("Erf", ["f1"], "f2")
    add("Add", ["f2", "one"], "f3")
    add("Mul", ["f0", "f3"], "f4")
    add("Mul", ["f4", "half"], "f5")
    add("MatMul", ["f5", "w2"], "f6")
    add("Add", ["f6", "n"], "g")
    add("LayerNormalization", ["g", "gamma", "beta"], "l", axis=-1)
    add("Shape", ["l"], "shape")
    add("ConstantOfShape", ["shape"], "zeros", value=numpy_helper.from_array(np.zeros(1, np.float32)))
    add("CastLike", ["flag", "zeros"], "flagf")
    add("Greater", ["l", "zeros"], "positive")
    add("Where", ["positive", "l", "zeros"], "kept")
    add("Add", ["kept", "flagf"], "y")
    weights = {"table": weight(20, width, scale=1.0), "gamma": 1 + weight(width), "beta": weight(width),
               "w1": weight(width, hidden), "w2": weight(hidden, width), "wo": weight(width, width)}
    for name in "qkv":
        weights["w" + name], weights["b" + name] = weight(width, width), weight(width)
    for name, value in (("one", 1), ("low", -10000), ("root", np.sqrt(width / heads)), ("half", 0.5),
                        ("sqrt2", np.sqrt(2)), ("epsilon", 1e-3)):
        weights[name] = np.array(value, np.float32)
    weights["split"] = np.array([0, 0, heads, width // heads], np.int64)
    weights["join"] = np.array([0, 0, width], np.int64)
    weights["axes12"] = np.array([1, 2], np.int64)
    ids = random.integers(0, 20, (2, 7))
    mask = np.ones((2, 7), np.int64)
    mask[1, 4:] = 0
    return Network(nodes, weights, {"ids": ids, "mask": mask, "flag": np.array([1], np.int32)}, {"y": 3})


def branch(name, hidden, half_type):
    """An If branch with an LSTM whose half weights are Constant nodes with a Cast, as in speech models."""
    nodes = []
    shapes = {"w": (1, 4 * hidden, 10), "r": (1, 4 * hidden, hidden), "b": (1, 8 * hidden)}
    for key, shape in shapes.items():
        value = half_tensor("", weight(*shape, scale=0.3), half_type)
        nodes.append(helper.make_node("Constant", [], [f"{name}_{key}_half"], value=value))
        nodes.append(helper.make_node("Cast", [f"{name}_{key}_half"], [f"{name}_{key}"], to=FLOAT))
    weights = [f"{name}_{key}" for key in shapes]
    nodes.append(helper.make_node("LSTM", ["x"] + weights, [f"{name}_all", f"{name}_last", ""],
                                  hidden_size=hidden))
    nodes.append(helper.make_node("ReduceMean", [f"{name}_all"], [f"{name}_out"], axes=[0, 3], keepdims=0))
    out = helper.make_tensor_value_info(f"{name}_out", FLOAT, [None, None])
    return helper.make_graph(nodes, name, [], [out])


def lstm_if(half_type):
    nodes = [helper.make_node("Equal", ["rate", "rate16"], ["wide"]),
             helper.make_node("If", ["wide"], ["y"], then_branch=branch("wide_branch", 8, half_type),
                              else_branch=branch("narrow_branch", 5, half_type))]
    weights = {"rate16": np.array(16000, np.int64)}
    x = weight(6, 2, 10, scale=1.0)
    network = Network(nodes, weights, {"rate": np.array(16000, np.int64), "x": x}, {"y": 2})
    return network, [{"rate": np.array(rate, np.int64), "x": x} for rate in (16000, 8000)]


def lstm():
    nodes = [helper.make_node("LSTM", ["x", "w", "r", "b"], ["all", "last", "cell"], hidden_size=8,
                              direction="bidirectional"),
             helper.make_node("GRU", ["x", "gw", "gr"], ["", "gy"], hidden_size=6),
             helper.make_node("Identity", ["all"], ["y"]), helper.make_node("Neg", ["gy"], ["z"])]
    weights = {"w": weight(2, 32, 10, scale=0.3), "r": weight(2, 32, 8, scale=0.3), "b": weight(2, 64),
               "gw": weight(1, 18, 10, scale=0.3), "gr": weight(1, 18, 6, scale=0.3)}
    return Network(nodes, weights, {"x": weight(6, 2, 10, scale=1.0)}, {"y": 4, "z": 3})


def loop():
    body_nodes = [helper.make_node("MatMul", ["state", "w"], ["s0"]),
                  helper.make_node("Tanh", ["s0"], ["next"]),
                  helper.make_node("Identity", ["go"], ["go_on"]),
                  helper.make_node("Cast", ["step"], ["stepf"], to=FLOAT),
                  helper.make_node("Add", ["next", "stepf"], ["scanned"])]
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        body_nodes, "body",
        [info("step", TensorProto.INT64, []), info("go", TensorProto.BOOL, []),
         info("state", FLOAT, [None, None])],
        [info("go_on", TensorProto.BOOL, []), info("next", FLOAT, [None, None]),
         info("scanned", FLOAT, [None, None])])
    nodes = [helper.make_node("Loop", ["trips", "", "x"], ["y", "z"], body=body)]
    weights = {"w": weight(8, 8), "trips": np.array(4, np.int64)}
    return Network(nodes, weights, {"x": weight(3, 8, scale=1.0)}, {"y": 2, "z": 3})


def moves():
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
             helper.make_node("Concat", ["t", "c"], ["u"], axis=1),
             helper.make_node("Slice", ["u", "starts", "ends"], ["y"]),
             helper.make_node("Identity", ["x"], ["z"])]
    weights = {"c": weight(6, 3), "starts": np.array([1, 2], np.int64), "ends": np.array([6, 7], np.int64)}
    return Network(nodes, weights, {"x": weight(5, 6, scale=1.0)}, {"y": 2, "z": 2})


def write_rounding(folder):
    """Cast to a half and back rounds, also beside arithmetic. numpy is the reference, to the bit."""
    for name, half in (("rounding_float16", TensorProto.FLOAT16), ("rounding_bfloat16", TensorProto.BFLOAT16)):
        info = helper.make_tensor_value_info
        nodes = [helper.make_node("Cast", ["x"], ["h"], to=half),
                 helper.make_node("Add", ["h", "zero"], ["s"]),
                 helper.make_node("Cast", ["s"], ["y"], to=FLOAT),
                 helper.make_node("CastLike", ["n", "zero"], ["m0"]),
                 helper.make_node("Neg", ["m0"], ["m"])]
        zero = half_tensor("zero", np.zeros(1, np.float32), half)
        graph = helper.make_graph(nodes, name, [info("x", FLOAT, [None]), info("n", TensorProto.INT32, [None])],
                                  [info("y", FLOAT, [None]), info("m", half, [None])], [zero])
        x = np.concatenate([weight(40, scale=100.0), [1 / 3, 65504, 1e-7, 2049, 2051, 4097.5, -0.1]])
        x = x.astype(np.float32)
        n = np.array([2049, 2051, 257, 259, -65519, 3, 0], np.int32)
        target = folder / name / "set_0"
        shutil.rmtree(target.parent, ignore_errors=True)
        target.mkdir(parents=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, target.parent / "model.onnx")
        negated = -n.astype(HALF_TYPES[half]).astype(np.float32)
        tensors = {"input_0": numpy_helper.from_array(x), "input_1": numpy_helper.from_array(n),
                   "output_0": numpy_helper.from_array(rounded(x, half)),
                   "output_1": half_tensor("", negated, half)}
        for key, tensor in tensors.items():
            (target / f"{key}.pb").write_bytes(tensor.SerializeToString())


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "half")
    half, brain = TensorProto.FLOAT16, TensorProto.BFLOAT16
    for name, network in (("mlp", mlp()), ("cnn", cnn()), ("transformer", transformer()), ("lstm", lstm())):
        for style in ("full", "keep_io", "weight_cast"):
            write(folder, f"{name}_{style}", network, style, half)
    write(folder, "loop_full", loop(), "full", half)
    write(folder, "moves_full", moves(), "full", half)
    write(folder, "moves_bfloat16_full", moves(), "full", brain)
    write(folder, "mlp_bfloat16_full", mlp(), "full", brain)
    write(folder, "transformer_bfloat16_weight_cast", transformer(), "weight_cast", brain)
    network, sets = lstm_if(half)
    write(folder, "lstm_if_weight_cast", network, "weight_cast", half, sets)
    write(folder, "lstm_if_keep_io", network, "keep_io", half, sets)
    write_rounding(folder)


main()
