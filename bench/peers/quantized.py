#!/usr/bin/env python3
"""usage: quantized.py FOLDER [ROUNDS [LIBHEDDLE]]     needs onnx, onnxruntime, numpy

A CNN (112x112 image; 3x3, 1x1 and depthwise convolutions, sums with residuals, fixed random weights) by onnxruntime's static quantization tool,
uint8 activations and int8 weights: as QLinearConv and its kin (qoperator), as DequantizeLinear and QuantizeLinear around float32 (qdq), and
in float32; the models are left in FOLDER. Heddle, with as many threads as onnxruntime, and onnxruntime in one process, in turn, on
the same image. One thread is timed by its own clock, so that what else the machine does hardly counts. The last column compares what both
computed; onnxruntime's sums of bytes saturate on AVX2.
"""
import logging
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from in_process import LIBRARY, Heddle, Peer, measure

IMAGE = (1, 3, 112, 112)


def make_cnn(path):
    random = np.random.default_rng(0)
    nodes, constants = [], []

    def constant(array):
        constants.append(numpy_helper.from_array(np.asarray(array, np.float32), f"c{len(constants)}"))
        return constants[-1].name

    def add(op, inputs, **attributes):
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name=f"{op}{len(nodes)}", **attributes))
        return name

    def conv(x, channels, outputs, kernel, stride=1, group=1, relu=True):
        fan = channels // group * kernel * kernel
        weight = constant(random.standard_normal((outputs, channels // group, kernel, kernel)) * (2 / fan) ** 0.5)
        y = add("Conv", [x, weight, constant(random.standard_normal(outputs) * 0.1)], kernel_shape=[kernel, kernel],
                strides=[stride, stride], pads=[kernel // 2] * 4, group=group)
        return add("Relu", [y]) if relu else y

    x = conv("x", 3, 32, 3, 2)
    x = conv(x, 32, 64, 3)
    for channels, stride in ((64, 1), (64, 2), (128, 2)):
        outputs = channels if stride == 1 else 2 * channels
        y = conv(x, channels, channels, 3, stride)
        y = conv(y, channels, outputs, 3, relu=False)
        x = conv(x, channels, outputs, 1, stride, relu=False) if stride > 1 else x
        x = add("Relu", [add("Add", [x, y])])
    x = conv(x, 256, 256, 3, group=256)
    x = conv(x, 256, 512, 1)
    x = add("Flatten", [add("GlobalAveragePool", [x])])
    y = add("Gemm", [x, constant(random.standard_normal((512, 100)) * 0.04), constant(np.zeros(100))])
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(nodes, "cnn", [helper.make_tensor_value_info("x", TensorProto.FLOAT, IMAGE)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 100))], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Images(CalibrationDataReader):
    def __init__(self):
        random = np.random.default_rng(1)
        self.images = iter([{"x": random.standard_normal(IMAGE).astype(np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.images, None)


def make_models(folder):
    folder.mkdir(parents=True, exist_ok=True)
    make_cnn(folder / "plain.onnx")
    quant_pre_process(str(folder / "plain.onnx"), str(folder / "float32.onnx"))
    for name, form in (("qoperator", QuantFormat.QOperator), ("qdq", QuantFormat.QDQ)):
        quantize_static(str(folder / "float32.onnx"), str(folder / f"{name}.onnx"), Images(), quant_format=form,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)


def timed(side, threads, clock):
    if threads > 1:
        time.sleep(0.05)  # until the other side's threads spin no more
        side.run()
    return measure(side.run, 2 if threads == 1 else 10, clock)


def main():
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 15
    library = sys.argv[3] if len(sys.argv) > 3 else LIBRARY
    logging.disable(logging.WARNING)
    make_models(folder)
    image = np.random.default_rng(2).standard_normal(IMAGE).astype(np.float32)
    print("| form | threads | Heddle, ms, median | onnxruntime, ms, median | ratio of the rounds, median | range | "
          "largest difference |\n|---|---|---|---|---|---|---|")
    for form in ("qoperator", "qdq", "float32"):
        model = (folder / f"{form}.onnx").read_bytes()
        for threads in (1, 2):
            outputs = [np.zeros((1, 100), np.float32) for _ in range(2)]
            sides = [Heddle(model, threads, {"x": image}, {"y": outputs[0]}, library),
                     Peer(model, threads, {"x": image}, {"y": outputs[1]})]
            clock = time.thread_time if threads == 1 else time.perf_counter
            times = [[timed(side, threads, clock) for side in sides] for _ in range(rounds + 1)][1:]
            ratio = [peer / own for own, peer in times]
            own, peer = (statistics.median(t[i] for t in times) * 1e3 for i in (0, 1))
            difference = np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[1]).max()
            print(f"| {form} | {threads} | {own:.1f} | {peer:.1f} | {statistics.median(ratio):.2f} | "
                  f"{min(ratio):.2f}..{max(ratio):.2f} | {difference:.1e} |", flush=True)


main()
