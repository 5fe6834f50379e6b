#!/usr/bin/env python3
"""usage: program_test.py GROUP [TEST]   with HEDDLE_PROGRAM, and HEDDLE_DISTURB for some tests

Exit codes, sentences, files and JSON of the program heddle, as outside programs rely on them.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import onnx_files
from onnx_files import FLOAT, INT64

PROGRAM = os.environ.get("HEDDLE_PROGRAM", "build/release/heddle")
DISTURB = os.environ.get("HEDDLE_DISTURB", "")
SANITIZED = os.environ.get("HEDDLE_SANITIZED", "") not in ("", "OFF")
COMMANDS = ["info", "inspect", "run", "bench model", "bench cases", "bench queues", "bench pipeline",
            "bench batch", "bench alloc", "bench memory", "verify"]
LIMIT_S = 300


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="heddle-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def call(self, *words, disturb=None):
        environment = dict(os.environ)
        if disturb:
            environment.update(LD_PRELOAD=DISTURB, DISTURB=disturb)
        return subprocess.run([PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT_S, env=environment)

    def succeed(self, *words, disturb=None):
        done = self.call(*words, disturb=disturb)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{words}: {done.stderr}")
        return done.stdout

    def refuse(self, code, *words, says="heddle", disturb=None):
        """The command ends with this code and one sentence, which matches `says`."""
        done = self.call(*words, disturb=disturb)
        self.assertEqual(done.returncode, code, f"{words}: {done.stderr}")
        self.assertRegex(done.stderr, r"\Aheddle: [^\n]+\n\Z", words)
        self.assertRegex(done.stderr, says, words)
        return done.stdout

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def relu(self):
        """y = relu(x), x float [batch, 3]."""
        return self.write("relu.onnx", onnx_files.model(
            [onnx_files.node("Relu", ["x"], ["y"])],
            [("x", FLOAT, ["batch", 3])], [("y", FLOAT, ["batch", 3])]))

    def input(self, values=(-1.0, 2.0, -3.0)):
        return self.write("x.npy", onnx_files.npy("<f4", [len(values) // 3, 3], values))

    def report(self, path, command):
        data = json.loads(path if isinstance(path, str) else path.read_text())
        self.assertEqual((data["schema_version"], data["command"], data["device"]),
                         (1, command, "cpu"))
        return data


class Usage(ProgramTest):
    def test_help_of_each_command_has_options_and_examples(self):
        for command in COMMANDS:
            text = self.succeed(*command.split(), "--help")
            self.assertIn(f"usage: heddle {command}", text)
            for word in ("--json FILE", "--device DEVICE", "examples:\n  heddle " + command):
                self.assertIn(word, text)

    def test_overview_lists_the_commands_that_there_are(self):
        text = self.succeed("--help")
        for command in COMMANDS:
            self.assertIn(f"  {command} ", text)
        listed = re.findall(r"^  (\w+(?: \w+)?)  ", self.succeed("bench", "--help"), re.MULTILINE)
        self.assertEqual(listed, [name for name in COMMANDS if name.startswith("bench ")])

    def test_version(self):
        for words in (["--version"], ["run", "--version"]):
            self.assertRegex(self.succeed(*words), r"\Aheddle \d+\.\d+\.\d+\n\Z")

    def test_wrong_command_lines_are_refused(self):
        model = self.relu()
        for words, says in [
                ([], "command"), (["bench"], "bench --help"), (["fly"], "no command 'fly'"),
                (["bench", "fly"], "no command 'bench fly'"), (["--fly"], "--fly"),
                (["run"], "MODEL"), (["run", model, "again"], "again"),
                (["run", model, "--fly"], "--fly"), (["info", "extra"], "extra"),
                (["run", model, "--input"], "--input"), (["run", model, "--input="], "--input"),
                (["run", model, "--input", "x"], "NAME=FILE"),
                (["run", model, "--input", "=x"], "NAME=FILE"),
                (["run", model, "--input", "x="], "NAME=FILE"),
                (["run", model, "--check=yes"], "--check"),
                (["run", model, "--threads", "2", "--threads", "3"], "twice"),
                (["run", model, "--threads", "1,2"], "--threads"),
                (["bench", "cases", "--case", "fly"], "fly"),
                (["bench", "cases", "--via", "batch-3"], "--via"),
                (["info", "--device", "tpu"], "tpu"), (["info", "--device", "cuda:"], "cuda:")]:
            with self.subTest(words):
                self.refuse(2, *words, says=re.escape(says))

    def test_wrong_numbers_are_refused(self):
        model = self.relu()
        for option, values in {"--threads": ["0", "-1", "1,", ",1", "1,,2", "2000", "x", "1x"],
                               "--seconds": ["0", "-1", "nan", "inf", "x", "1s"],
                               "--shape": ["x", "x=", "x=1y2", "x=-1", "x=1x", "x=axb",
                                           "x=" + "x".join("1" * 9)]}.items():
            for value in values:
                with self.subTest(option, value=value):
                    self.refuse(2, "bench", "model", model, option, value, says=option)
        self.refuse(2, "run", model, "--repeat", "0", says="--repeat")

    def test_an_option_may_be_joined_to_its_value(self):
        self.succeed("run", self.relu(), f"--input=x={self.input()}", "--threads=2")

    def test_after_two_dashes_all_is_positional(self):
        self.refuse(3, "run", "--", "--no-such-model", says="--no-such-model")

    def test_standard_output_that_is_full_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "info"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, "standard output")


class Info(ProgramTest):
    def test_json_describes_each_device(self):
        data = self.report(self.succeed("info", "--json", "-"), "info")
        self.assertNotIn("points", data)
        self.assertIn("cpu", [device["name"] for device in data["devices"]])
        for device in data["devices"]:
            self.assertEqual(set(device), {"name", "kind", "description", "driver", "cores",
                                           "queues", "memory_bytes"})
            self.assertGreaterEqual(device["cores"], 1)
            self.assertGreater(device["memory_bytes"], 1 << 20)

    def test_table_names_system_device_and_version(self):
        text = self.succeed("info")
        self.assertIn("Linux", text)
        self.assertIn("cpu", text)

    def test_json_file_is_written_beside_the_table(self):
        path = self.folder / "info.json"
        path.write_text("x" * 100000)
        self.assertIn("cpu", self.succeed("info", "--json", path))
        self.report(path, "info")

    def test_json_file_that_cannot_be_written_is_an_error(self):
        self.refuse(3, "info", "--json", self.folder / "no" / "x.json", says="no/x.json")
        self.refuse(3, "info", "--json", self.folder, says="cannot be written")

    def test_absent_device_is_unavailable(self):
        if self.call("info", "--device", "cuda:99").returncode == 0:
            self.skipTest("there are a hundred GPUs")
        self.refuse(4, "info", "--device", "cuda:99")


class Inspect(ProgramTest):
    def inspect(self, model, *words, code=0):
        """The JSON; with code 3 the sentence says that something is not supported."""
        words = ("inspect", model, "--device", "cpu", "--json", "-", *words)
        text = self.succeed(*words) if code == 0 else self.refuse(code, *words, says="supported")
        data = self.report(text, "inspect")
        self.assertEqual(data["supported"], code == 0)
        return data

    def test_json_tells_what_a_model_is(self):
        weights = onnx_files.tensor(FLOAT, [3, 5], [0.5] * 15)
        model = self.write("linear.onnx", onnx_files.model(
            [onnx_files.node("MatMul", ["x", "w"], ["t"]), onnx_files.node("Relu", ["t"], ["y"]),
             onnx_files.node("Relu", ["x"], ["unused"])],
            [("x", FLOAT, ["batch", 3])], [("y", FLOAT, ["batch", 5])], tensors=[("w", weights)])
            + onnx_files.field(2, "maker") + onnx_files.field(3, "1.5"))
        data = self.inspect(model)
        self.assertEqual((data["ir_version"], data["producer"], data["producer_version"],
                          data["graph"]), (8, "maker", "1.5", "graph"))
        self.assertEqual(data["opsets"], [{"domain": "ai.onnx", "version": 17}])
        self.assertEqual(data["inputs"], [{"name": "x", "type": "float32", "dims": ["batch", 3]}])
        self.assertEqual(data["outputs"], [{"name": "y", "type": "float32", "dims": ["batch", 5]}])
        self.assertEqual(data["parameters"], {"tensors": 1, "count": 15, "bytes": 60})
        self.assertGreaterEqual(data["memory"]["weight_bytes"], 60)
        self.assertTrue(data["memory"]["open_dims"])
        self.assertEqual({entry["operator"]: entry["count"] for entry in data["operators"]},
                         {"MatMul": 1, "Relu": 1})
        self.assertEqual([(node["name"], node["operator"], node["device"])
                          for node in data["nodes"]],
                         [("t", "MatMul", "cpu"), ("y", "Relu", "cpu")])
        small, large = (self.inspect(model, "--shape", f"x={rows}x3")["memory"]
                        for rows in (1, 1000))
        self.assertFalse(large["open_dims"])
        self.assertGreaterEqual(large["run_bytes"] - small["run_bytes"], 999 * 5 * 4)

    def test_all_that_is_missing_is_listed(self):
        fly = [onnx_files.node("Fly", ["x"], [name]) for name in ("a", "b")]
        swim = onnx_files.node("Swim", ["a"], ["c"]) + onnx_files.field(7, "com.example")
        strange = onnx_files.node("Relu", ["x"], ["d"]) + onnx_files.field(
            5, onnx_files.field(1, "wings") + onnx_files.field(3, 1) + onnx_files.field(20, 2))
        wrong = onnx_files.node("And", ["x", "x"], ["e"])
        outputs = ["b", "c", "d", "e", "s", "z"]
        model = self.write("missing.onnx", onnx_files.model(
            [*fly, swim, strange, wrong, onnx_files.node("Identity", ["p"], ["s"]),
             onnx_files.node("Relu", ["x"], ["z"])],
            [("x", FLOAT, [2]), ("p", 14, [2])],
            [(name, 14 if name == "s" else 9 if name == "e" else FLOAT, [2]) for name in outputs]))
        data = self.inspect(model, code=3)
        found = {(entry["operator"], entry["count"]): entry for entry in data["unsupported"]}
        self.assertIn("no such operator", found["Fly", 2]["reason"])
        self.assertEqual(found["Fly", 2]["node"], "a")
        self.assertIn("no such operator", found["com.example.Swim", 1]["reason"])
        self.assertIn("wings", found["Relu", 1]["reason"])
        self.assertIn("float32", found["And", 1]["reason"])
        self.assertTrue(any("complex64" in entry["reason"] for entry in data["unsupported"]))
        devices = {node["name"]: node["device"] for node in data["nodes"]}
        self.assertEqual(devices, {"a": "none", "b": "none", "c": "none", "d": "none", "e": "none",
                                   "s": "unknown", "z": "cpu"})
        known = {entry["operator"]: entry["supported"] for entry in data["operators"]}
        self.assertEqual(known, {"Fly": False, "Swim": False, "Relu": True, "And": True,
                                 "Identity": True})
        text = self.refuse(3, "inspect", model, "--device", "cpu", says="missing.onnx: 6 things")
        for words in ("Fly x 2", "com.example.Swim x 1", "wings", "complex64"):
            self.assertIn(words, text)

    def test_a_file_that_does_not_load_is_inspected_as_far_as_it_goes(self):
        model = self.write("open.onnx", onnx_files.model(
            [onnx_files.node("Relu", ["nowhere"], ["t"]), onnx_files.node("Fly", ["t"], ["y"])],
            [("x", FLOAT, [2])], [("y", FLOAT, [2])], opset=99))
        data = self.inspect(model, code=3)
        reasons = " ".join(entry["reason"] for entry in data["unsupported"])
        for words in ("opset 99", "nowhere", "no such operator"):
            self.assertIn(words, reasons)
        self.assertEqual([entry["operator"] for entry in data["operators"]], ["Relu", "Fly"])

    def test_what_stands_behind_an_unknown_operator_is_inspected_where_types_are_declared(self):
        nodes = [onnx_files.node("Fly", ["x"], ["t"]), onnx_files.node("And", ["t", "t"], ["y"])]
        for values, device in ((), "unknown"), ([("t", FLOAT, [2])], "none"):
            model = self.write("behind.onnx", onnx_files.model(
                nodes, [("x", FLOAT, [2])], [("y", 9, [2])], values=values))
            data = self.inspect(model, code=3)
            self.assertEqual(data["nodes"][1]["device"], device)
            self.assertEqual([entry["operator"] for entry in data["unsupported"]],
                             ["Fly", "And"] if values else ["Fly"])

    def test_what_is_no_model_is_refused(self):
        self.refuse(3, "inspect", self.folder / "absent.onnx", says="absent.onnx")
        self.refuse(3, "inspect", self.write("text.onnx", b"no model"), says="text.onnx")
        self.refuse(2, "inspect", self.relu(), "--shape", "z=2x3", says="no input 'z'")

    def test_a_shape_that_does_not_fit_is_told(self):
        model = self.write("sum.onnx", onnx_files.model(
            [onnx_files.node("MatMul", ["x", "y"], ["z"])],
            [("x", FLOAT, ["n", "k"]), ("y", FLOAT, [3, 4])], [("z", FLOAT, ["n", 4])]))
        self.assertEqual(self.inspect(model)["nodes"][0]["device"], "unknown")
        self.assertEqual(self.inspect(model, "--shape", "x=5x3")["nodes"][0]["device"], "cpu")
        data = self.inspect(model, "--shape", "x=5x2", code=3)
        self.assertEqual([entry["operator"] for entry in data["unsupported"]], ["MatMul"])


class Run(ProgramTest):
    def test_outputs_become_npy_files(self):
        out = self.folder / "new" / "out"
        self.succeed("run", self.relu(), "--input", f"x={self.input()}", "--output-dir", out)
        self.assertEqual(os.listdir(out), ["y.npy"])
        self.assertEqual(onnx_files.read_npy((out / "y.npy").read_bytes()),
                         ("<f4", [1, 3], [0.0, 2.0, 0.0]))

    def test_input_may_be_a_tensor_proto(self):
        path = self.write("x.pb", onnx_files.tensor(FLOAT, [2, 3], [1, -1, 2, -2, 3, -3]))
        self.succeed("run", self.relu(), "--input", f"x={path}", "--output-dir", self.folder)
        self.assertEqual(onnx_files.read_npy((self.folder / "y.npy").read_bytes())[2],
                         [1, 0, 2, 0, 3, 0])

    def test_names_split_at_the_last_equals_sign_and_files_are_renamed(self):
        names = ["y/1", "y:1", "y_1", "\u00fc.-Z"]
        model = self.write("names.onnx", onnx_files.model(
            [onnx_files.node("Relu", ["a=b"], [name]) for name in names],
            [("a=b", FLOAT, [3])], [(name, FLOAT, [3]) for name in names]))
        x = self.write("x.npy", onnx_files.npy("<f4", [3], [1, 2, 3]))
        out = self.folder / "out"
        self.succeed("run", model, "--input", f"a=b={x}", "--output-dir", out)
        self.assertEqual(sorted(os.listdir(out)),
                         ["_.-Z.npy", "y_1-2.npy", "y_1-3.npy", "y_1.npy"])

    def test_an_initializer_among_the_inputs_may_be_given(self):
        model = self.write("weights.onnx", onnx_files.model(
            [onnx_files.node("Add", ["x", "k"], ["y"])], [("x", FLOAT, [2]), ("k", FLOAT, [2])],
            [("y", FLOAT, [2])], tensors=[("k", onnx_files.tensor(FLOAT, [2], [3, 4]))]))
        x = self.write("x.npy", onnx_files.npy("<f4", [2], [1, 2]))
        k = self.write("k.npy", onnx_files.npy("<f4", [2], [5, 6]))
        for given, values in (((), [4, 6]), (("--input", f"k={k}"), [6, 8])):
            self.succeed("run", model, "--input", f"x={x}", *given, "--output-dir", self.folder,
                         "--threads", "3", "--repeat", "3", "--check")
            self.assertEqual(onnx_files.read_npy((self.folder / "y.npy").read_bytes())[2], values)

    def test_names_that_no_file_can_have_are_cut(self):
        names = ["o" + "a" * 300, "o" + "a" * 299 + "b", "z" * 251, "z" * 252, "z" * 249 + "-2"]
        model = self.write("long.onnx", onnx_files.model(
            [onnx_files.node("Relu", ["x" * 300], [name]) for name in names],
            [("x" * 300, FLOAT, [3])], [(name, FLOAT, [3]) for name in names]))
        x = self.write("x.npy", onnx_files.npy("<f4", [3], [1, 2, 3]))
        out = self.folder / "out"
        self.succeed("run", model, "--input", f"{'x' * 300}={x}", "--output-dir", out)
        self.assertEqual(sorted(os.listdir(out)), sorted(
            ["o" + "a" * 250 + ".npy", "o" + "a" * 248 + "-2.npy", "z" * 251 + ".npy",
             "z" * 249 + "-2.npy", "z" * 249 + "-3.npy"]))

    def test_very_many_outputs_of_one_file_name_are_numbered(self):
        names = [chr(0x100 + i) for i in range(400)]
        model = self.write("many.onnx", onnx_files.model(
            [onnx_files.node("Relu", ["x"], [name]) for name in names],
            [("x", FLOAT, [3])], [(name, FLOAT, [3]) for name in names]))
        x = self.write("x.npy", onnx_files.npy("<f4", [3], [1, 2, 3]))
        out = self.folder / "out"
        self.succeed("run", model, "--input", f"x={x}", "--output-dir", out)
        self.assertEqual(set(os.listdir(out)),
                         {"_.npy"} | {f"_-{i}.npy" for i in range(2, 401)})

    def test_check_passes_from_many_threads(self):
        path = self.folder / "run.json"
        text = self.succeed("run", self.relu(), "--input", f"x={self.input()}", "--threads", "8",
                            "--repeat", "50", "--check", "--json", path)
        self.assertIn("equal bits", text)
        point, = self.report(path, "run")["points"]
        self.assertEqual((point["threads"], point["repeats"], point["equal_bits"]), (8, 50, True))
        self.assertEqual(point["outputs"], [{"name": "y", "dtype": "float32", "shape": [1, 3]}])

    @unittest.skipUnless(DISTURB, "needs the library that disturbs runs")
    def test_check_finds_one_bit(self):
        path, out = self.folder / "run.json", self.folder / "out"
        self.refuse(1, "run", self.relu(), "--input", f"x={self.input()}", "--threads", "4",
                    "--repeat", "3", "--check", "--json", path, "--output-dir", out, disturb="bit",
                    says=r"output 'y' of thread \d, repeat \d .*element 1: 0x40010000 in place of "
                         r"0x40000000")
        self.assertFalse(self.report(path, "run")["points"][0]["equal_bits"])
        self.refuse(1, "run", self.relu(), "--input", f"x={self.input()}", "--check",
                    "--output-dir", "/dev/null/x", says="output 'y'", disturb="bit")

    @unittest.skipUnless(DISTURB, "needs the library that disturbs runs")
    def test_each_status_has_its_exit_code(self):
        for status, code in {1: 3, 3: 3, 4: 3, 6: 4, 7: 4, 8: 4, 14: 4, 10: 5, 16: 5}.items():
            self.refuse(code, "run", self.relu(), "--input", f"x={self.input()}", "--repeat", "2",
                        disturb=f"status:{status}", says="disturbed with HD_")

    def test_missing_and_unknown_inputs_are_usage_errors(self):
        model, x = self.relu(), self.input()
        self.refuse(2, "run", model, says="input 'x' is missing")
        self.refuse(2, "run", model, "--input", f"z\ny={x}", says=r"no input 'z\\x0ay'")
        self.refuse(2, "run", model, "--input", f"z={x}", says="no input 'z'; it has x")
        self.refuse(2, "run", model, "--input", f"x={x}", "--input", f"x={x}", says="twice")

    def test_bad_files_are_bad_input(self):
        model, x = self.relu(), self.input()
        self.refuse(3, "run", self.folder / "none.onnx", says="none.onnx")
        self.refuse(3, "run", self.write("bad.onnx", b"\xff" * 100))
        self.refuse(3, "run", self.write("short.onnx", model.read_bytes()[:-20]))
        self.refuse(3, "run", model, "--input", "x=none.npy", says="none.npy")
        self.refuse(3, "run", model, "--input", f"x={self.write('bad.npy', x.read_bytes()[:-1])}",
                    says="bad.npy")
        self.refuse(3, "run", model, "--input", f"x={x}", "--output-dir", model, says="relu.onnx")

    def test_unknown_operator_is_named(self):
        model = self.write("odd.onnx", onnx_files.model(
            [onnx_files.node("Teleport", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])]))
        self.refuse(3, "run", model, says="Teleport")

    def test_wrong_types_and_shapes_name_the_input(self):
        wide = self.write("wide.npy", onnx_files.npy("<f4", [1, 4], [1, 2, 3, 4]))
        whole = self.write("whole.npy", onnx_files.npy("<i8", [1, 3], [1, 2, 3]))
        for path in (wide, whole):
            self.refuse(3, "run", self.relu(), "--input", f"x={path}", says="'x'")

    @unittest.skipIf(SANITIZED, "sanitizers take more memory and time")
    def test_hostile_files_end_soon_and_small(self):
        files = {"inputs": (24, 300, "inputs"), "nodes": (24, 300, "nodes"),
                 "calls": (30, 0, "inputs"), "attributes": (24, 300, "attributes"),
                 "constant": (10, 100000, "constant")}
        x = self.write("x.npy", onnx_files.npy("<f4", [2], [1, 2]))
        for name, what in files.items():
            path = self.write(f"{name}.onnx", onnx_files.doubling_functions(*what))
            with subprocess.Popen([PROGRAM, "run", str(path), "--input", f"x={x}"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
                said = child.stderr.read().decode()
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            self.assertIn(child.returncode, (0, 3, 4), f"{name}: {said}")
            self.assertLess(usage.ru_utime + usage.ru_stime, 10, name)
            self.assertLess(usage.ru_maxrss, 600 * 1024, name)

    def test_failed_command_leaves_no_json_file(self):
        path = self.folder / "run.json"
        self.refuse(3, "run", self.folder / "none.onnx", "--json", path)
        self.assertFalse(path.exists())


class Bench(ProgramTest):
    def bench(self, *words, disturb=None):
        text = self.succeed("bench", "model", *words, "--seconds", "0.2", "--json", "-",
                            disturb=disturb)
        return self.report(text, "bench model")

    def test_model_points_have_all_fields(self):
        data = self.bench(self.relu(), "--input", f"x={self.input((1.0,) * 6)}", "--threads", "1,3")
        self.assertGreater(data["peak_rss_bytes"], 1 << 20)
        self.assertEqual([point["threads"] for point in data["points"]], [1, 3])
        for point in data["points"]:
            self.assertEqual(set(point), {"threads", "batch", "runs_per_s", "p50_ms", "p95_ms",
                                          "p99_ms", "steady_state_mallocs", "rss_bytes"})
            self.assertEqual(point["batch"], 2)
            self.assertGreater(point["runs_per_s"], 0)
            self.assertTrue(0 < point["p50_ms"] <= point["p95_ms"] <= point["p99_ms"])
            self.assertEqual(point["steady_state_mallocs"], -1 if SANITIZED else 0)
            # The system's two counters may be some pages apart.
            self.assertLess(point["rss_bytes"], data["peak_rss_bytes"] + (1 << 20))

    def test_rate_and_latency_agree_for_one_caller(self):
        point, = self.bench(self.relu(), "--shape", "x=4096x3", "--threads", "1")["points"]
        # All of the window is spent in runs, so their mean is its length over their number.
        self.assertLess(point["p50_ms"], 2 * 1e3 / point["runs_per_s"])

    @unittest.skipUnless(DISTURB, "needs the library that disturbs runs")
    def test_mallocs_are_counted(self):
        point, = self.bench(self.relu(), "--shape", "x=1x3", "--threads", "1",
                            disturb="malloc")["points"]
        self.assertGreater(point["steady_state_mallocs"], point["runs_per_s"] * 0.2)

    def test_open_dimensions_are_asked_for(self):
        self.refuse(2, "bench", "model", self.relu(), says=r"dimension 0 \(batch\) of 'x'.*--shape")
        model, x = self.relu(), self.input()
        self.refuse(2, "bench", "model", model, "--shape", "z=1", says="no input 'z'")
        self.refuse(2, "bench", "model", model, "--shape", "x=1x3", "--shape", "x=1x3", says="twice")
        self.refuse(2, "bench", "model", model, "--shape", "x=1x3", "--input", f"x={x}", says="twice")
        self.refuse(3, "bench", "model", model, "--shape", "x=1x4", "--seconds", "0.1", says="'x'")
        self.refuse(3, "bench", "model", model, "--shape", f"x={1 << 40}x{1 << 40}", says="--shape")

    def test_a_symbol_takes_the_size_it_has_in_another_input(self):
        model = self.write("sum.onnx", onnx_files.model(
            [onnx_files.node("Add", ["a", "b"], ["y"])],
            [("a", INT64, ["n"]), ("b", INT64, ["n"])], [("y", INT64, ["n"])]))
        point, = self.bench(model, "--shape", "a=5", "--threads", "1")["points"]
        self.assertEqual(point["batch"], 5)

    def test_cases_are_equal_and_near_the_reference(self):
        names = ["linear_16x512x256", "bmm_8x64x64x64", "matmul_256x512x256"]
        text = self.succeed("bench", "cases", *(word for name in names for word in ("--case", name)),
                            "--threads", "1,4", "--seconds", "0.05", "--json", "-")
        data = self.report(text, "bench cases")
        self.assertGreater(data["peak_rss_bytes"], 1 << 20)
        self.assertCountEqual([(point["case"], point["threads"], point["via"])
                               for point in data["points"]],
                              [(name, threads, via) for name in names for threads in (1, 4)
                               for via in ("direct", "batch-1", "batch-2", "batch-4")])
        for point in data["points"]:
            self.assertEqual(set(point), {"case", "threads", "via", "ops_per_s", "equal_bits",
                                          "max_error", "p50_ms", "p95_ms", "p99_ms", "latencies"})
            self.assertEqual(point["latencies"], sorted(point["latencies"]))
            self.assertIn([0.5, point["p50_ms"]], point["latencies"])
            self.assertTrue(point["equal_bits"])
            self.assertGreater(point["ops_per_s"], 0)
            self.assertTrue(0 < point["max_error"] <= 1e-4)

    @unittest.skipUnless(DISTURB, "needs the library that disturbs runs")
    def test_cases_find_one_bit(self):
        path = self.folder / "cases.json"
        self.refuse(1, "bench", "cases", "--case", "linear_16x512x256", "--threads", "1,2",
                    "--via", "direct", "--seconds", "0.1", "--json", path, disturb="bit",
                    says="linear_16x512x256")
        points = self.report(path, "bench cases")["points"]
        self.assertEqual([point["equal_bits"] for point in points], [False, False])

    def test_queues_cover_both_modes_and_strategies(self):
        text = self.succeed("bench", "queues", "--threads", "1,3", "--seconds", "0.02", "--json", "-")
        points = self.report(text, "bench queues")["points"]
        keys = ("strategy", "queues", "in_flight", "threads")
        self.assertEqual([tuple(point[key] for key in keys) for point in points],
                         [(strategy, queues, in_flight, threads)
                          for strategy in ("per-encoder", "global")
                          for queues in ("shared", "per-thread")
                          for in_flight in (0, 8) for threads in (1, 3)])
        self.assertTrue(all(point["ops_per_s"] > 0 for point in points))

    @unittest.skipIf(SANITIZED, "500 operations a point take minutes there")
    def test_pipeline_has_the_whole_curve(self):
        text = self.succeed("bench", "pipeline", "--seconds", "0.02", "--json", "-")
        report = self.report(text, "bench pipeline")
        curve = [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (1, 32), (8, 1), (8, 2), (8, 4), (8, 8)]
        for operation, points in ("kernel", report["points"]), ("empty", report["empty_points"]):
            self.assertEqual([(point["operation"], point["threads"], point["depth"]) for point in points],
                             [(operation, *part) for part in curve])
            self.assertTrue(all(point["ops_per_s"] > 0 for point in points))
        text = self.succeed("bench", "pipeline", "--threads", "3", "--seconds", "0.02", "--json", "-")
        points = self.report(text, "bench pipeline")["points"]
        self.assertEqual([(point["threads"], point["depth"]) for point in points],
                         [(3, 1), (3, 2), (3, 4), (3, 8)])
        for command in "queues", "pipeline":
            self.refuse(2, "bench", command, "--threads", "1,32", says="at most 31 threads")

    def test_batch_measures_the_empty_model_and_a_given_one(self):
        for words, in_flight in [([], 64), ([self.relu(), "--shape", "x=1x3"], 1)]:
            text = self.succeed("bench", "batch", *words, "--threads", "1,3", "--workers", "1,2",
                                "--delay-us", "0", "--seconds", "0.04", "--json", "-")
            points = self.report(text, "bench batch")["points"]
            self.assertEqual([(point["threads"], point["workers"]) for point in points],
                             [(threads, workers) for threads in (1, 3) for workers in (0, 1, 2)])
            for point in points:
                self.assertEqual(point["in_flight"], in_flight if point["workers"] > 0 else 1)
                self.assertTrue(point["requests_per_s"] > 0 and point["mean_batch"] >= 1)
        self.refuse(2, "bench", "batch", "--shape", "x=1x3", says="MODEL")
        self.refuse(2, "bench", "batch", "--workers", "0", says="--workers")
        self.refuse(2, "bench", "batch", "--delay-us", "-1", says="--delay-us wants a number from 0")

    def test_alloc_takes_all_allocators_in_turns(self):
        text = self.succeed("bench", "alloc", "--threads", "1,3", "--seconds", "0.01", "--json", "-")
        data = self.report(text, "bench alloc")
        names = [name for name in ("heddle_hit", "heddle_mixed", "malloc_hit", "malloc_mixed",
                                   "mimalloc_hit", "mimalloc_mixed") if name not in data["left_out"]]
        self.assertIn("malloc_mixed", names)
        self.assertEqual([(point["case"], point["threads"]) for point in data["points"]],
                         [(name, threads) for threads in (1, 3) for name in names])
        for point in data["points"]:
            self.assertTrue(0 < point["lowest_ns"] <= point["ns_per_op"] <= point["highest_ns"])

    def test_memory_stays_as_it_is(self):
        data = self.report(self.succeed("bench", "memory", "--seconds", "1", "--threads", "2", "--json", "-"),
                           "bench memory")
        self.assertGreaterEqual(len(data["points"]), 10)
        runs = [point["runs"] for point in data["points"]]
        self.assertTrue(runs == sorted(runs) and runs[0] > 0)
        for point in data["points"][-5:]:
            self.assertEqual(point["mallocs"], -1 if SANITIZED else 0)
            if not SANITIZED:
                self.assertLess(point["rss_bytes"], data["points"][-6]["rss_bytes"] + (1 << 20))

    @unittest.skipUnless(DISTURB and not SANITIZED, "needs the library that disturbs runs, and to count")
    def test_memory_that_each_run_takes_is_found(self):
        self.refuse(1, "bench", "memory", "--seconds", "0.1", "--threads", "2", disturb="malloc",
                    says="go on taking memory: only 0 windows")

    @unittest.skipUnless(DISTURB, "needs the library that disturbs runs")
    def test_queues_find_one_bit(self):
        self.refuse(1, "bench", "queues", "--threads", "2", "--seconds", "0.02", disturb="bit",
                    says="other bits")


if __name__ == "__main__":
    groups = {"usage": Usage, "info": Info, "inspect": Inspect, "run": Run, "bench": Bench}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in groups:
        sys.exit(__doc__ + "groups: " + " ".join(groups))
    name = groups[sys.argv[1]].__name__ + ("." + sys.argv[2] if len(sys.argv) == 3 else "")
    result = unittest.main(argv=[sys.argv[0], name], exit=False).result
    for case, _ in result.failures + result.errors:
        print(f"again: HEDDLE_PROGRAM={PROGRAM} HEDDLE_DISTURB={DISTURB} {sys.argv[0]} "
              f"{sys.argv[1]} {getattr(case, 'test_case', case).id().split('.')[-1]}", file=sys.stderr)
    sys.exit(not result.wasSuccessful() or result.testsRun == 0)
