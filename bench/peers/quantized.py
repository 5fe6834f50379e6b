#!/usr/bin/env python3
"""usage: quantized.py FOLDER [ROUNDS [LIBHEDDLE]]     needs onnx, onnxruntime, numpy

A CNN (112x112 image; 3x3, 1x1 and depthwise convolutions, sums with residuals, fixed random weights) and one of inverted residuals, by onnxruntime's
static quantization tool, uint8 activations and int8 weights of a scale a channel or a tensor: as QLinearConv and its kin (qoperator), as
DequantizeLinear and QuantizeLinear around float32 (qdq), and in float32; the models are left in FOLDER. Heddle, with as many threads as onnxruntime, and onnxruntime in one process, in turn, on
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

IMAGES = {"cnn": (1, 3, 112, 112), "residuals": (1, 3, 160, 160)}


class Network:
    """A graph as it grows; weights are random."""

    def __init__(self):
        self.random, self.nodes, self.constants = np.random.default_rng(0), [], []

    def constant(self, array):
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def add(self, op, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}{len(self.nodes)}", **attributes))
        return name

    def conv(self, x, channels, outputs, kernel, stride=1, group=1):
        fan = channels // group * kernel * kernel
        weight = self.random.standard_normal((outputs, channels // group, kernel, kernel)) * (2 / fan) ** 0.5
        bias = self.random.standard_normal(outputs) * 0.1
        return self.add("Conv", [x, self.constant(weight), self.constant(bias)], kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[kernel // 2] * 4, group=group)

    def finish(self, x, channels, image, path):
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        weight = self.random.standard_normal((channels, 100)) * 0.04
        self.add("Gemm", [x, self.constant(weight), self.constant(np.zeros(100))])
        self.nodes[-1].output[0] = "y"
        graph = helper.make_graph(self.nodes, "cnn", [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 100))], self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def make_cnn(path):
    net = Network()

    def conv(*sizes, **more):
        return net.add("Relu", [net.conv(*sizes, **more)])

    x = conv("x", 3, 32, 3, 2)
    x = conv(x, 32, 64, 3)
    for channels, stride in ((64, 1), (64, 2), (128, 2)):
        outputs = channels if stride == 1 else 2 * channels
        y = conv(x, channels, channels, 3, stride)
        y = net.conv(y, channels, outputs, 3)
        x = net.conv(x, channels, outputs, 1, stride) if stride > 1 else x
        x = net.add("Relu", [net.add("Add", [x, y])])
    x = conv(x, 256, 256, 3, group=256)
    net.finish(conv(x, 256, 512, 1), 512, IMAGES["cnn"], path)


def make_residuals(path):
    """MobileNetV2's kind: 1x1 to six times the channels, depthwise, 1x1 back."""
    net = Network()
    limits = [net.constant(0.0), net.constant(6.0)]

    def conv(*sizes, **more):
        return net.add("Clip", [net.conv(*sizes, **more), *limits])

    x, channels = conv("x", 3, 32, 3, 2), 32
    for times, outputs, repeats, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 3, 2), (6, 96, 2, 1),
                                           (6, 160, 2, 2)):
        for i in range(repeats):
            stride, inner = first if i == 0 else 1, channels * times
            y = conv(x, channels, inner, 1) if times > 1 else x
            y = net.conv(conv(y, inner, inner, 3, stride, inner), inner, outputs, 1)
            x = net.add("Add", [x, y]) if stride == 1 and channels == outputs else y
            channels = outputs
    net.finish(conv(x, channels, 640, 1), 640, IMAGES["residuals"], path)


class Images(CalibrationDataReader):
    def __init__(self, shape):
        random = np.random.default_rng(1)
        self.images = iter([{"x": random.standard_normal(shape).astype(np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.images, None)


FORMS = {"qoperator": (QuantFormat.QOperator, True), "qdq": (QuantFormat.QDQ, True),
         "qoperator_tensor": (QuantFormat.QOperator, False), "qdq_tensor": (QuantFormat.QDQ, False)}


def make_models(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for model, make in (("cnn", make_cnn), ("residuals", make_residuals)):
        make(folder / "plain.onnx")
        quant_pre_process(str(folder / "plain.onnx"), str(folder / f"{model}_float32.onnx"))
        for name, (form, per_channel) in FORMS.items():
            quantize_static(str(folder / f"{model}_float32.onnx"), str(folder / f"{model}_{name}.onnx"),
                            Images(IMAGES[model]), quant_format=form, activation_type=QuantType.QUInt8,
                            weight_type=QuantType.QInt8, per_channel=per_channel)


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
    print("| form | threads | Heddle, ms, median | onnxruntime, ms, median | ratio of the rounds, median | range | "
          "largest difference |\n|---|---|---|---|---|---|---|")
    for form in [f"{model}_{name}" for model in IMAGES for name in (*FORMS, "float32")]:
        image = np.random.default_rng(2).standard_normal(IMAGES[form.split("_")[0]]).astype(np.float32)
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
