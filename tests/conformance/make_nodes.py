#!/usr/bin/env python3
"""usage: make_nodes.py FOLDER

Writes the node tests that the installed Python package onnx carries as code, each with its inputs
and expected outputs, to FOLDER/node/, where `HEDDLE_ONNX_DATA=FOLDER conformance_test_conformance`
finds them. Newer versions of the package bring the tests of newer opsets than the distribution's
data has. The package's own script for this leaves the node tests out.
"""
import os
import sys

import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def message(value, info):
    if isinstance(value, onnx.TensorProto):
        return value
    kind = info.type.WhichOneof("value")
    make = {"map_type": numpy_helper.from_dict, "sequence_type": numpy_helper.from_list,
            "optional_type": numpy_helper.from_optional}.get(kind, numpy_helper.from_array)
    return make(value, info.name)


def write(path, item):
    with open(path, "wb") as file:
        file.write(item.SerializeToString())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    count = 0
    for case in collect_testcases(None):
        folder = os.path.join(sys.argv[1], "node", case.name)
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "model.onnx"), case.model)
        for number, (inputs, outputs) in enumerate(case.data_sets):
            place = os.path.join(folder, f"test_data_set_{number}")
            os.makedirs(place, exist_ok=True)
            for kind, values, infos in (("input", inputs, case.model.graph.input),
                                        ("output", outputs, case.model.graph.output)):
                for i, value in enumerate(values):
                    write(os.path.join(place, f"{kind}_{i}.pb"), message(value, infos[i]))
        count += 1
    print(f"onnx {onnx.__version__}: {count} node tests")


main()
