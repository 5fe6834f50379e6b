"""The processes that are measured: a persistent worker a peer setting, a Heddle process a
measurement. One measures at a time; all others are stopped."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WORKER = Path(__file__).resolve().with_name("peer_worker.py")
REPLY_LIMIT_S = 300


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class PeerProcess:
    """A peer in one setting. Stopped (SIGSTOP) whenever it does not answer a request."""

    def __init__(self, setting, model, folder):
        self.name = setting
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), setting, str(model)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.description = self.ask({"do": "describe"})
        self.description["idle_cpu_seconds_per_s"] = None

    def ask(self, request):
        """Sends a request with the process running, and stops it after the reply."""
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], REPLY_LIMIT_S)
            line = self.process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if not line:
            raise RuntimeError(f"{self.name} ended or did not answer {request['do']}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        os.kill(self.process.pid, signal.SIGSTOP)
        return reply

    def prepare(self, cell, arrays):
        """Gives the cell's inputs to the worker; returns the outputs that it computed."""
        inputs = self.folder / "inputs.npz"
        outputs = self.folder / "outputs.npz"
        np.savez(inputs, *arrays.values())
        self.ask({"do": "prepare", "cell": cell, "names": list(arrays),
                  "inputs": str(inputs), "outputs": str(outputs)})
        with np.load(outputs) as file:
            return [file[key] for key in file.files]

    def note_idle_cpu(self, seconds=0.5):
        """What the peer burns while nobody calls it: the reason for stopping it, or none."""
        os.kill(self.process.pid, signal.SIGCONT)
        time.sleep(0.1)
        before = cpu_seconds(self.process.pid)
        time.sleep(seconds)
        used = cpu_seconds(self.process.pid) - before
        os.kill(self.process.pid, signal.SIGSTOP)
        self.description["idle_cpu_seconds_per_s"] = used / seconds

    def used(self):
        return cpu_seconds(self.process.pid)

    def measure(self, cell, threads, seconds, warm_up):
        return self.ask({"do": "measure", "cell": cell, "threads": threads,
                         "seconds": seconds, "warm_up": warm_up})

    def close(self):
        self.process.kill()
        self.process.wait()


class HeddleProcess:
    """`heddle bench model`, started anew for each measurement; it warms up by itself."""

    name = "heddle"

    def __init__(self, program, model, folder):
        self.program = str(program)
        self.model = str(model)
        self.folder = folder / self.name.replace(" ", "-")
        self.inputs = {}
        version = self._call(["--version"]).strip().splitlines()
        self.description = {"version": version[0].removeprefix("heddle ") if version else "?"}

    def _call(self, arguments, limit=REPLY_LIMIT_S):
        done = subprocess.run([self.program, *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=limit)
        if done.returncode != 0:
            raise RuntimeError(f"{self.program} {' '.join(arguments)} exited with "
                               f"{done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def prepare(self, cell, arrays):
        """Writes the inputs as files; returns the outputs of `heddle run` by name."""
        folder = self.folder / f"cell-{len(self.inputs)}"
        outputs = folder / "outputs"
        outputs.mkdir(parents=True)
        options = []
        for index, (name, array) in enumerate(arrays.items()):
            path = folder / f"input-{index}.npy"
            np.save(path, array)
            options += ["--input", f"{name}={path}"]
        self.inputs[cell] = options
        self._call(["run", self.model, *options, "--output-dir", str(outputs)])
        return {path.stem: np.load(path) for path in outputs.glob("*.npy")}

    def used(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def measure(self, cell, threads, seconds, warm_up):
        text = self._call(["bench", "model", self.model, *self.inputs[cell], "--threads",
                           str(threads), "--seconds", str(seconds), "--json", "-"])
        (point,) = json.loads(text)["points"]
        return {key: point[key] for key in ("runs_per_s", "p50_ms", "p95_ms", "p99_ms")}

    def close(self):
        pass


class HeddleBatchProcess(HeddleProcess):
    """`heddle bench batch`: the callers go through a batch queue, one request each at a time.

    A worker a core takes its share of the callers' requests, and waits a moment for the last of
    them. The program has no latencies here.
    """

    name = "heddle batch"
    delay_us = 50

    def measure(self, cell, threads, seconds, warm_up):
        workers = len(os.sched_getaffinity(0))
        text = self._call(["bench", "batch", self.model, *self.inputs[cell], "--threads",
                           str(threads), "--workers", str(workers), "--max-rows",
                           str(max(1, threads // workers)), "--delay-us", str(self.delay_us),
                           "--seconds", str(seconds), "--json", "-"])
        (point,) = [point for point in json.loads(text)["points"] if point["workers"] > 0]
        return {"runs_per_s": point["requests_per_s"]}
