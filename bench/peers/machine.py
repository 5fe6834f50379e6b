"""What a table of figures must say about the machine."""

import datetime
import os
import platform
import re
import subprocess
import time
from pathlib import Path

INTERESTING = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_tile")


def cpu_information():
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    return fields


def processor_seconds():
    """(used by anything, stolen by other virtual machines) over all cores, since the start."""
    user, nice, system, _, _, irq, softirq, steal = (
        int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, steal / tick


class Disturbance:
    """How much of the machine other programs used during a measurement.

    `used` gives the processor seconds of the program that is measured, so far.
    """

    def __init__(self, used):
        self.used = used
        self.time = time.monotonic()
        self.own = used()
        self.all, self.stolen = processor_seconds()

    def share(self):
        """(share of all cores' time that others used, share that the host took)."""
        everything = (time.monotonic() - self.time) * len(os.sched_getaffinity(0))
        used, stolen = processor_seconds()
        others = (used - self.all) - (self.used() - self.own)
        return max(0.0, others / everything), (stolen - self.stolen) / everything


def peak_gflops(program, threads):
    """What the cores can do at most, by bench/profile/peak; None where it is not built."""
    if not program.is_file():
        return None
    done = subprocess.run([program, str(threads), "0.5"], check=True, stdout=subprocess.PIPE, text=True)
    return float(re.match(r"[0-9.]+", done.stdout).group())


def describe():
    cpu = cpu_information()
    flags = set(cpu.get("flags", "").split())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu.get("model name", platform.machine()),
        "cpu_family_model_stepping": "/".join(
            cpu.get(key, "?") for key in ("cpu family", "model", "stepping")),
        "cpu_flags": [flag for flag in INTERESTING if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": os.getloadavg()[0],
    }
