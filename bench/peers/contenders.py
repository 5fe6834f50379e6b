"""The peers and their settings: `prepare` once a cell, `runner` once a caller thread."""

import os
import sys

import numpy as np


def core_count():
    return len(os.sched_getaffinity(0))


def peer_settings():
    """All settings that are compared, as PEER:SETTING. 'Heddle ahead' means ahead of each one."""
    settings = ["onnxruntime:intra=1", f"onnxruntime:intra={core_count()}",
                "openvino:latency", "openvino:throughput"]
    return list(dict.fromkeys(settings))


class OnnxRuntime:
    """One session that all threads share, default options except the number of threads.

    Each thread has an I/O binding of its own with inputs and outputs that it owns, as Heddle's
    benchmark has: session.run() would allocate outputs, which is slower on small models.
    """

    def __init__(self, model, setting):
        import onnxruntime

        self.runtime = onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(setting.split("=")[1])
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"])
        self.cells = {}

    def describe(self):
        return {"version": self.runtime.__version__, "model": "one session",
                "outputs": [output.name for output in self.session.get_outputs()]}

    def prepare(self, cell, arrays):
        outputs = self.session.run(None, arrays)
        self.cells[cell] = (arrays, outputs)
        return outputs

    def runner(self, cell):
        arrays, outputs = self.cells[cell]
        value = self.runtime.OrtValue.ortvalue_from_numpy
        binding = self.session.io_binding()
        for name, array in arrays.items():
            binding.bind_ortvalue_input(name, value(array))
        for output, array in zip(self.session.get_outputs(), outputs):
            binding.bind_ortvalue_output(output.name, value(np.array(array)))
        run = self.session.run_with_iobinding
        return lambda: run(binding)


class OpenVino:
    """One compiled model that all threads share, an infer request a thread, float32.

    The model is compiled for the cell's shapes: that is 5 to 30 % faster than with dynamic ones.
    Without INFERENCE_PRECISION_HINT it would compute in bfloat16 where the processor can.
    """

    def __init__(self, model, setting):
        # Its usage reports fork this process and send data. As if the package were not installed:
        sys.modules["openvino_telemetry"] = None
        import openvino

        self.openvino = openvino
        self.core = openvino.Core()
        self.model = str(model)
        self.hint = setting.upper()
        self.cells = {}

    def describe(self):
        name = self.core.get_property("CPU", "FULL_DEVICE_NAME")
        return {"version": self.openvino.get_version(), "model": "compiled per cell",
                "device": name}

    def prepare(self, cell, arrays):
        model = self.core.read_model(self.model)
        model.reshape({name: list(array.shape) for name, array in arrays.items()})
        compiled = self.core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": self.hint, "INFERENCE_PRECISION_HINT": "f32"})
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
        if precision != self.openvino.Type.f32:
            raise RuntimeError(f"OpenVINO computes in {precision}, not float32")
        self.cells[cell] = (compiled, arrays)
        request = self._request(cell)
        request.infer()
        return [np.array(request.get_output_tensor(index).data)
                for index in range(len(compiled.outputs))]

    def _request(self, cell):
        compiled, arrays = self.cells[cell]
        request = compiled.create_infer_request()
        for name, array in arrays.items():
            request.set_tensor(name, self.openvino.Tensor(array))
        return request

    def runner(self, cell):
        request = self._request(cell)
        # Without arguments it runs on the tensors set before; shared outputs are not copied.
        return lambda: request.infer(share_outputs=True)


PEERS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
