#!/usr/bin/env python3
"""Makes the seeds of fuzz_graph in tests/fuzz/corpus/graph/, all but those that are named found_*: a model for each
row of tests/support/operator_rows.c, with all of its operators, and models of what has more than one node: blocks,
functions, what fusion looks for, shapes that are computed. Where an input's name is "x=2,3", a run gives it these
elements; a symbolic size "n=3" is 3.

usage: make_graphs.py [FOLDER]               needs onnx, numpy
"""
import pathlib
import re
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
F, D, L, I, U, B, H = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT32,
                       TensorProto.BOOL, TensorProto.FLOAT16)
TYPES = {"f": F, "d": D, "L": L, "I": I, "U": U, "B": B}
random = np.random.default_rng(14)
made = {}


def tensor(name, elements, dtype=None):
    return numpy_helper.from_array(np.asarray(elements, dtype or helper.tensor_dtype_to_np_dtype(F)), name)


def floats(name, *shape):
    return tensor(name, np.round(random.standard_normal(shape) * 8) / 8)


def ints(name, *elements):
    return tensor(name, elements, np.int64)


def value(name, dtype=F, *dims):
    return helper.make_tensor_value_info(name, dtype, dims)


def open_value(name, dtype=None):
    return helper.make_tensor_value_info(name, dtype, None) if dtype else helper.make_empty_tensor_value_info(name)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def graph(nodes, inputs, outputs, constants=(), name="g"):
    return helper.make_graph(nodes, name, inputs, [open_value(o) for o in outputs.split()], constants)


def save(name, nodes, inputs, outputs, constants=(), opset=21, functions=()):
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("local", 1)] if functions else [])
    made[name] = helper.make_model(graph(nodes, inputs, outputs, constants), opset_imports=imports, ir_version=10,
                                   functions=functions, producer_name="")


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), opset=21):
    made_function = helper.make_function("local", name, inputs.split(), outputs.split(), nodes,
                                         [helper.make_opsetid("", opset)], attributes)
    made_function.attribute_proto.extend(helper.make_attribute(n, v) for n, v in defaults)
    return made_function


# --- rows of the operators' table
def read_operand(word, name):
    """An operand as an input or a constant; None: it is left out."""
    if word == "-":
        return None
    dtype, rest = TYPES[word[0]], word[1:]
    numpy_type = helper.tensor_dtype_to_np_dtype(dtype)
    if rest.startswith("["):
        return tensor(name, [float(e) for e in rest[1:-1].split(",")], numpy_type)
    if rest.startswith("="):
        return tensor(name, float(rest[1:]), numpy_type)
    return value(name, dtype, *(int(d) for d in rest.split("x") if d))


def read_attribute(word):
    name, text = word.split("=", 1)
    number = float if "." in text else int
    if text.startswith("'"):
        return name, text[1:-1]
    if text.startswith("["):
        return name, [number(e) for e in text[1:-1].split(",")]
    return name, number(text)


def rows():
    source = (HERE / "../support/operator_rows.c").read_text(encoding="utf-8")
    source = source[source.index("operator_rows[] = {"):source.index("operator_row_count")]
    source = re.sub(r'"\s*\n\s*"', "", re.sub(r"/\*.*?\*/", "", source))
    pattern = r'\{"([^"]+)",\s*"([^"]+)",\s*(NULL|"[^"]+"),\s*(\d+),\s*(\d+)\}'
    for index, (types, inputs, attributes, outputs, opset) in enumerate(re.findall(pattern, source)):
        operands = [read_operand(word, f"x{i}") for i, word in enumerate(inputs.split())]
        given = dict(read_attribute(w) for w in ([] if attributes == "NULL" else attributes.strip('"').split()))
        names = " ".join(o.name if o is not None else "-" for o in operands)
        nodes, results = [], []
        for n, op in enumerate(types.split()):
            outputs_of = [f"y{n}_{i}" for i in range(max(1, int(outputs)))]
            nodes.append(helper.make_node(op, ["" if w == "-" else w for w in names.split()], outputs_of, **given))
            results += outputs_of
        size = 14  # outputs that a run may have
        for part, begin in enumerate(range(0, len(nodes), size)):
            kept = nodes[begin:begin + size]
            save(f"row_{index:03}_{kept[0].op_type}{part or ''}", kept,
                 [o for o in operands if o is not None and not isinstance(o, TensorProto)],
                 " ".join(o for k in kept for o in k.output), [o for o in operands if isinstance(o, TensorProto)],
                 int(opset) or 21)


# --- what fusion looks for
def patterns():
    x = value("x", F, 2, 4, 12)
    save("attention", [
        node("MatMul", "x wq", "q0"), node("MatMul", "x wk", "k0"), node("MatMul", "x wv", "v0"),
        node("Reshape", "q0 heads", "q1"), node("Reshape", "k0 heads", "k1"), node("Reshape", "v0 heads", "v1"),
        node("Transpose", "q1", "q", perm=[0, 2, 1, 3]), node("Transpose", "k1", "k", perm=[0, 2, 3, 1]),
        node("Transpose", "v1", "v", perm=[0, 2, 1, 3]), node("MatMul", "q k", "s0"), node("Div", "s0 scale", "s1"),
        node("Add", "s1 mask", "s2"), node("Softmax", "s2", "p", axis=-1), node("MatMul", "p v", "o0"),
        node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]), node("Reshape", "o1 whole", "y")],
        [x, value("mask", F, 2, 1, 1, 4)], "y",
        [floats("wq", 12, 12), floats("wk", 12, 12), floats("wv", 12, 12), ints("heads", 0, -1, 3, 4),
         ints("whole", 0, -1, 12), tensor("scale", np.float32(2))], 17)
    save("attention_inputs", [node("MatMul", "q k", "s"), node("Mul", "s scale", "t"), node("Softmax", "t", "p"),
                              node("MatMul", "p v", "y")],
         [value("q", F, 2, 3, 4, 5), value("k", F, 2, 3, 5, 6), value("v", F, 2, 3, 6, 5)], "y",
         [tensor("scale", np.float32(0.5))])
    norm = [node("ReduceMean", "x axes", "m"), node("Sub", "x m", "d"), node("Pow", "d two", "d2"),
            node("ReduceMean", "d2 axes", "v"), node("Add", "v epsilon", "ve"), node("Sqrt", "ve", "s"),
            node("Div", "d s", "n"), node("Mul", "n scale", "ns"), node("Add", "ns bias", "y")]
    save("layer_norm", norm, [x], "y", [ints("axes", -1), tensor("two", np.float32(2)), tensor("epsilon", np.float32(1e-5)),
                                        floats("scale", 12), floats("bias", 12)])
    save("gelu", [node("Div", "x root", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"), node("Mul", "x f", "g"),
                  node("Mul", "g half", "y"), node("Sigmoid", "x", "s"), node("Mul", "x s", "z"), node("HardSigmoid", "x", "h"),
                  node("Mul", "h x", "w")], [x], "y z w",
         [tensor("root", np.float32(2**0.5)), tensor("one", np.float32(1)), tensor("half", np.float32(0.5))])
    save("linear", [node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Relu", "c", "d"), node("Add", "d x", "e"),
                    node("Gemm", "u v t", "f", transB=1, alpha=0.5), node("Tanh", "f", "y")],
         [x, value("u", F, 3, 5)], "e y", [floats("w", 12, 12), floats("b", 12), floats("v", 4, 5), floats("t", 4)])
    save("convolutions", [
        node("Conv", "x w1 b1", "a", pads=[1, 1, 1, 1]), node("BatchNormalization", "a s t m v", "n"), node("Relu", "n", "r"),
        node("Conv", "r w2", "c", group=4, pads=[1, 1, 1, 1], strides=[2, 2]), node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "c - scales", "u", mode="nearest"), node("Concat", "u r", "j", axis=1), node("Conv", "j w3", "k"),
        node("Add", "k r", "y"), node("GlobalAveragePool", "y", "z"), node("Transpose", "p", "q", perm=[0, 2, 3, 1])],
        [value("x", F, 2, 3, 6, 8)], "y z q",
        [floats("w1", 4, 3, 3, 3), floats("b1", 4), floats("s", 4), floats("t", 4), floats("m", 4), tensor("v", [1, 2, 3, 4]),
         floats("w2", 4, 1, 3, 3), tensor("scales", [1, 1, 2, 2]), floats("w3", 4, 8, 1, 1)])
    made["convolutions"].graph.node[5].input[1] = ""
    save("signals", [node("Conv", "x w1", "a", pads=[1, 1]), node("Relu", "a", "b"), node("ConvTranspose", "b w2", "c", strides=[2]),
                     node("Slice", "c begin end axis", "d"), node("InstanceNormalization", "d s t", "y")],
         [value("x", F, 2, 3, 9)], "y",
         [floats("w1", 4, 3, 3), floats("w2", 4, 5, 2), ints("begin", 1), ints("end", 9), ints("axis", 2), floats("s", 5), floats("t", 5)])
    save("chain", [node("Add", "x b", "a"), node("Mul", "a a", "c"), node("Clip", "c lo hi", "d"), node("Where", "m d x", "e"),
                   node("Sqrt", "e", "f"), node("Sub", "f b", "g"), node("Cast", "g", "h", to=L), node("Less", "g x", "y")],
         [x, value("m", B, 4, 1)], "h y", [floats("b", 12), tensor("lo", np.float32(0.1)), tensor("hi", np.float32(3))])
    save("half", [node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Softmax", "c", "d"), node("LayerNormalization", "d s", "y"),
                  node("Cast", "y", "z", to=F)],
         [value("x", H, 2, 3, 8)], "y z", [tensor("w", np.eye(8), np.float16), tensor("b", np.ones(8), np.float16),
                                           tensor("s", np.ones(8), np.float16)])
    save("double", [node("MatMul", "x w", "a"), node("Softmax", "a", "b"), node("ReduceSum", "b", "y"), node("CumSum", "b axis", "z")],
         [value("x", D, 3, 4)], "y z", [tensor("w", np.ones((4, 4)), np.float64), ints("axis", 1)])


# --- shapes that follow from inputs, or from what is computed
def shapes():
    x = value("x", F, "n=3", 4)
    save("shape_of", [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axes", "u"),
                      node("Concat", "u rest", "t", axis=0), node("Reshape", "x t", "y"), node("ConstantOfShape", "s", "z"),
                      node("Range", "zero n one", "r"), node("Expand", "r t2", "e")],
         [x], "y z e", [tensor("zero", 0, np.int64), tensor("one", 1, np.int64), ints("axes", 0), ints("rest", 2, 2), ints("t2", 2, 1)])
    save("steered", [node("Reshape", "x a=4,3", "y"), node("Slice", "x b=1 c=3", "z"), node("Tile", "x d=2,1", "w"), node("TopK", "x k=2", "v i")],
         [value("x", F, 3, 4), value("a=4,3", L, 2), value("b=1", L, 1), value("c=3", L, 1), value("d=2,1", L, 2), value("k=2", L, 1)],
         "y z w v i")
    save("computed", [node("NonZero", "x", "i"), node("Transpose", "i", "t"), node("GatherND", "x t", "v"), node("Unique", "v", "u"),
                      node("Shape", "u", "s"), node("ConstantOfShape", "s", "z"), node("Add", "z u", "y"),
                      node("Compress", "x m", "c", axis=0), node("ReduceSum", "c", "r")],
         [value("x", F, 3, 4), value("m=1,0,1", B, 3)], "y r")
    made["computed"].graph.node[7].input[1] = "m=1,0,1"
    save("boxes", [node("NonMaxSuppression", "b s k", "i"), node("Shape", "i", "n"), node("Cast", "i", "y", to=F)],
         [value("b", F, 1, 6, 4), value("s", F, 1, 2, 6)], "y n", [tensor("k", 3, np.int64)])
    save("empty", [node("Slice", "x lo lo", "e"), node("Concat", "e x", "c", axis=0), node("ReduceMax", "e", "m"), node("Softmax", "e", "s"),
                   node("MatMul", "t e", "p")],
         [value("x", F, 3, 4), value("t", F, 2, "n=0")], "c m s p", [ints("lo", 1)])


# --- blocks
def blocks():
    x, y = value("x", F, 2, 3), open_value("y")

    def branch(op, result):
        return graph([node(op, "x", result)], [], result)

    save("if_given", [node("If", "c=1", "y", then_branch=branch("Relu", "a"), else_branch=branch("Neg", "b"))], [x, value("c=1", B)], "y")
    save("if_computed", [node("ReduceMax", "x", "m", keepdims=0), node("Less", "m zero", "c"),
                         node("If", "c", "y", then_branch=branch("Exp", "a"), else_branch=branch("Softmax", "b"))],
         [x], "y", [tensor("zero", np.float32(0))])
    body = graph([node("Mul", "v x", "w"), node("Add", "w one", "next"), node("Identity", "go", "going"), node("ReduceSum", "next", "sum")],
                 [value("i", L), value("go", B), open_value("v")], "going next sum", [tensor("one", np.float32(1))])
    for name, trips, inputs in (("loop_fixed", "ten", []), ("loop_given", "t=3", [value("t=3", L)])):
        save(name, [node("Loop", f"{trips} true x", "y s", body=body)], [x] + inputs, "y s",
             [tensor("ten", 10, np.int64), tensor("true", True, np.bool_)])
    until = graph([node("Add", "v x", "next"), node("ReduceMax", "next", "m", keepdims=0), node("Less", "m most", "going"),
                   node("Mod", "i two", "row"), node("Gather", "x row", "part")],
                  [value("i", L), value("go", B), open_value("v")], "going next part",
                  [tensor("most", np.float32(9)), tensor("two", 2, np.int64)])
    save("loop_until", [node("Abs", "x", "a"), node("Loop", "most - a", "y s", body=until)], [x], "y s", [tensor("most", 12, np.int64)])
    made["loop_until"].graph.node[1].input[1] = ""
    inner = graph([node("Less", "i two", "c"), node("If", "c", "w", then_branch=graph([node("Relu", "v", "p")], [], "p"),
                                                    else_branch=graph([node("MatMul", "v k", "q")], [], "q")),
                   node("Loop", "two go w", "next", body=graph([node("Tanh", "u", "z"), node("Identity", "g", "g2")],
                                                               [value("j", L), value("g", B), open_value("u")], "g2 z"))],
                  [value("i", L), value("go", B), open_value("v")], "go next")
    save("loop_nested", [node("Loop", "nine true x", "y", body=inner)], [x], "y",
         [tensor("two", 2, np.int64), tensor("nine", 9, np.int64), tensor("true", True, np.bool_), floats("k", 3, 3)])
    grows = graph([node("Concat", "v x", "next", axis=0), node("Identity", "go", "going")],
                  [value("i", L), value("go", B), open_value("v")], "going next")
    save("loop_grows", [node("Loop", "t=4 true x", "y", body=grows)], [x, value("t=4", L)], "y", [tensor("true", True, np.bool_)])
    scan = graph([node("Add", "v e", "next"), node("Identity", "next", "s")], [open_value("v"), open_value("e")], "next s")
    save("scan", [node("Scan", "z x", "y s", body=scan, num_scan_inputs=1)], [x, value("z", F, 3)], "y s")


# --- functions, overrides
def functions():
    x = value("x", F, 2, 3)
    leaky = node("LeakyRelu", "a", "b")
    reference = leaky.attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "alpha", "alpha", 1
    default = function("Default", "a", "b", [leaky], defaults=[("alpha", 0.5)])
    given = function("Given", "a", "c", [node("Default", "a", "b", domain="local"), node("Add", "a b", "c")], opset=13)
    old = function("Old", "a k", "b", [node("Unsqueeze", "a", "u", axes=[0]), node("Mul", "u k", "b")], opset=11)
    for f in (given,):
        f.opset_import.append(helper.make_opsetid("local", 1))
    save("functions", [node("Default", "x", "a", domain="local"), node("Default", "x", "b", domain="local", alpha=0.25),
                       node("Given", "a", "c", domain="local"), node("Old", "c two", "d", domain="local")],
         [x], "a b c d", [tensor("two", np.float32(2))], functions=[default, given, old])
    first = function("Over", "a", "b", [node("Relu", "a", "b")])
    second = function("Over", "a", "b", [node("If", "c", "b", then_branch=graph([node("Neg", "a", "n")], [], "n"),
                                              else_branch=graph([node("Exp", "a", "e")], [], "e")),
                                         node("Constant", "", "c", value=tensor("", True, np.bool_))])
    second.overload = "other"
    nodes = [node("Over", "x", "a", domain="local"), node("Over", "x", "b", domain="local")]
    nodes[1].overload = "other"
    save("overloads", nodes, [x], "a b", functions=[first, second])
    save("overrides", [node("MatMul", "x o0", "a"), node("Add", "a o1", "b"), node("Reshape", "b o2", "y"), node("Clip", "y o3", "z")],
         [x, value("o0", F, 3, 4), value("o1", F, 4), value("o2", L, 2), value("o3", F)], "y z",
         [floats("o0", 3, 4), floats("o1", 4), ints("o2", 4, 2), tensor("o3", np.float32(0))])
    save("many", [node("Sum", "x " * 40, "a"), node("Concat", "a " * 40, "b", axis=1), node("Max", "x a " * 20, "c"), node("Split", "x", "p q r", axis=1, num_outputs=3),
                  node("Einsum", "x x x", "e", equation="ij,ik,il->jkl")], [x], "b c p q r e x")


def main(folder):
    for part in (rows, patterns, shapes, blocks, functions):
        part()
    for file in folder.glob("*.onnx"):
        if not file.name.startswith("found_"):
            file.unlink()
    for name, model in made.items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    print(f"{len(made)} models, {sum(len(m.SerializeToString()) for m in made.values())} bytes")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus/graph")
