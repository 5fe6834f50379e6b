"""Cells (one set of input shapes) and the inputs that every contender gets for them."""

import zlib

import numpy as np
import onnx

SEED = 20


class Input:
    """One input of a model: its name, numpy type and dimensions (None where unknown)."""

    def __init__(self, value):
        tensor = value.type.tensor_type
        self.name = value.name
        self.dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        self.dims = [d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim]


def model_inputs(path):
    """The inputs that a caller must give: those without an initializer."""
    graph = onnx.load(path, load_external_data=False).graph
    initialized = {tensor.name for tensor in graph.initializer}
    return [Input(value) for value in graph.input if value.name not in initialized]


def parse_shape(text):
    """'2x1x128' is three dimensions, the empty text a scalar."""
    return tuple(int(dim) for dim in text.split("x")) if text else ()


def cell_shapes(cell, inputs):
    """The shape of every input in a cell.

    A cell is one shape for all inputs of that rank ('8x128'), or 'NAME=SHAPE' joined by '+'.
    An input that the cell leaves out must have fixed dimensions in the model.
    """
    named, common = {}, None
    for part in cell.split("+"):
        name, equals, shape = part.rpartition("=")
        if equals:
            named[name] = parse_shape(shape)
        else:
            common = parse_shape(part)
    unknown = set(named) - {entry.name for entry in inputs}
    if unknown:
        raise ValueError(f"cell {cell}: the model has no input {', '.join(sorted(unknown))}")
    shapes = {}
    for entry in inputs:
        if entry.name in named:
            shapes[entry.name] = named[entry.name]
        elif common is not None and len(common) == len(entry.dims):
            shapes[entry.name] = common
        elif None not in entry.dims:
            shapes[entry.name] = tuple(entry.dims)
        else:
            raise ValueError(f"cell {cell} gives no shape for input {entry.name}")
    return shapes


def cell_arrays(cell, inputs, constants, integers_below):
    """Random inputs from a fixed seed, the same for every contender and on every machine.

    Masks are ones and token types zeros, as a sentence without padding has them; `constants`
    fixes an input to one value (a sample rate, say).
    """
    arrays = {}
    shapes = cell_shapes(cell, inputs)
    for entry in inputs:
        shape = shapes[entry.name]
        generator = np.random.default_rng([SEED, zlib.crc32(entry.name.encode())])
        kind = np.dtype(entry.dtype).kind
        if entry.name in constants:
            array = np.full(shape, constants[entry.name])
        elif "mask" in entry.name:
            array = np.ones(shape)
        elif "token_type" in entry.name:
            array = np.zeros(shape)
        elif kind in "iu":
            array = generator.integers(0, integers_below, shape)
        elif kind == "b":
            array = generator.integers(0, 2, shape)
        else:
            array = generator.standard_normal(shape)
        arrays[entry.name] = np.ascontiguousarray(array, dtype=entry.dtype).reshape(shape)
    return arrays


def parse_constants(entries):
    """['sr=16000'] as a dictionary."""
    constants = {}
    for entry in entries:
        name, equals, value = entry.rpartition("=")
        if not equals:
            raise ValueError(f"--value {entry}: expected NAME=NUMBER")
        constants[name] = float(value) if "." in value or "e" in value else int(value)
    return constants
