"""Case: one file with a model, its inputs and the outputs expected, as test_opset.c reads them: for the model, then for
each input and each output, a line "KIND SIZE" and that many bytes, of a ModelProto or of a TensorProto."""
import pathlib
import shutil

import numpy as np
from onnx import numpy_helper


def write_all(folder, cases):
    """cases: name -> (model, arrays of inputs, arrays of outputs). Replaces the folder."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size = 0
    for name, (model, inputs, expected) in sorted(cases.items()):
        records = [("model", model)]
        for kind, arrays in (("input", inputs), ("output", expected)):
            records += [(kind, numpy_helper.from_array(np.asarray(array))) for array in arrays]
        data = b""
        for kind, message in records:
            encoded = message.SerializeToString()
            data += f"{kind} {len(encoded)}\n".encode() + encoded
        (folder / f"{name}.case").write_bytes(data)
        size += len(data)
    print(f"{len(cases)} cases, {size} bytes")
