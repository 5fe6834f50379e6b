"""ONNX models and .npy files, made byte by byte, so that the tests need Python alone."""

import ast
import math
import struct

FLOAT, INT64 = 1, 7
NUMPY_TYPES = {"<f4": "f", "<i8": "q", "<i4": "i", "|b1": "?"}


def varint(number):
    number &= (1 << 64) - 1
    data = b""
    while number >= 0x80:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


def field(number, value):
    """One field of a protobuf message: an int, or bytes, or a str."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def value_info(name, element_type, dims):
    shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim))
                     for dim in dims)
    tensor = field(1, element_type) + field(2, shape)
    return field(1, name) + field(2, field(1, tensor))


def node(operator, inputs, outputs):
    return (b"".join(field(1, name) for name in inputs) +
            b"".join(field(2, name) for name in outputs) + field(4, operator))


def model(nodes, inputs, outputs, opset=17, tensors=(), values=()):
    """inputs and outputs: (name, element type, dims); a dim that is a str is symbolic. tensors:
    (name, TensorProto), the initializers. values: as inputs, what is declared of values inside."""
    graph = (b"".join(field(1, entry) for entry in nodes) + field(2, "graph") +
             b"".join(field(5, data + field(8, name)) for name, data in tensors) +
             b"".join(field(11, value_info(*entry)) for entry in inputs) +
             b"".join(field(12, value_info(*entry)) for entry in outputs) +
             b"".join(field(13, value_info(*entry)) for entry in values))
    return field(1, 8) + field(7, graph) + field(8, field(2, opset))


def doubling_functions(depth, width, kind):
    """y = f0(x), where each function calls the next one twice, and the last has `width` of
    something that nothing needs: "inputs", "nodes", "attributes", or one "constant" of so many
    numbers."""
    def call(name, source, target):
        return node(name, [source], [target]) + field(7, "local")

    def function(name, nodes, inputs=()):
        return field(25, field(1, name) + field(10, "local") +
                     b"".join(field(4, entry) for entry in ("x", *inputs)) + field(5, "y") +
                     b"".join(field(7, entry) for entry in nodes) + field(9, field(2, 17)))

    data = model([call("f0", "x", "y")], [("x", FLOAT, [2])], [("y", FLOAT, [2])])
    for level in range(depth):
        data += function(f"f{level}", [call(f"f{level + 1}", "x", "t"),
                                       call(f"f{level + 1}", "t", "y")])
    names = [f"u{i}" for i in range(width)]
    last = node("Abs", ["x"], ["y"])
    if kind == "attributes":
        last += b"".join(field(5, field(1, "__" + name) + field(3, 1) + field(20, 2))
                         for name in names)
    nodes = [last]
    if kind == "nodes":
        nodes += [node("Abs", ["x"], [name]) for name in names]
    if kind == "constant":
        values = field(1, "value") + field(20, 4) + field(5, tensor(FLOAT, [width], [1] * width))
        nodes = [node("Constant", [], ["k"]) + field(5, values), node("Size", ["k"], ["n"]),
                 node("Cast", ["n"], ["c"]) + field(5, field(1, "to") + field(3, 1) + field(20, 2)),
                 node("Add", ["x", "c"], ["y"])]
    return data + function(f"f{depth}", nodes, names if kind == "inputs" else ())


def tensor(element_type, dims, values):
    """A TensorProto."""
    code = {FLOAT: "f", INT64: "q"}[element_type]
    return (b"".join(field(1, dim) for dim in dims) + field(2, element_type) +
            field(9, struct.pack(f"<{len(values)}{code}", *values)))


def npy(type_name, dims, values):
    header = repr({"descr": type_name, "fortran_order": False, "shape": tuple(dims)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = struct.pack(f"<{len(values)}{NUMPY_TYPES[type_name]}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def read_npy(data):
    """(type, dims, values) of a file of version 1.0."""
    if data[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("not .npy 1.0")
    length, = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + length].decode())
    if header["fortran_order"]:
        raise ValueError("column-major")
    count = math.prod(header["shape"])
    values = struct.unpack(f"<{count}{NUMPY_TYPES[header['descr']]}", data[10 + length:])
    return header["descr"], list(header["shape"]), list(values)
