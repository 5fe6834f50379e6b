"""A process that holds one peer in one setting and measures it on request.

Usage: peer_worker.py PEER:SETTING MODEL. One JSON object a line on standard input, one reply a
line on standard output:
  {"do": "describe"}
  {"do": "prepare", "cell": NAME, "names": [INPUT…], "inputs": FILE.npz, "outputs": FILE.npz}
  {"do": "measure", "cell": NAME, "threads": T, "seconds": S, "warm_up": W}
"""

import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time

import numpy as np

from contenders import PEERS

PR_SET_PDEATHSIG = 1


def end_with_parent():
    """A worker that is stopped when its parent dies would stay for ever."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the rest
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


class Window:
    """The span of time that counts, for all callers of one measurement.

    It opens when every caller is warm, and the callers go on until each has passed its end: load
    is the same from before the window until after it, so runs that cross an edge can be counted
    by their part inside. Opening it on idle callers, or letting the first ones leave early, would
    favour whatever queues requests.
    """

    def __init__(self, request):
        self.seconds = request["seconds"]
        self.warm_up = request["warm_up"]
        self.lock = threading.Lock()
        self.cold = self.inside = request["threads"]
        self.start = self.end = float("inf")
        self.failed = False

    def note_warm(self, now):
        with self.lock:
            self.cold -= 1
            if self.cold == 0:
                self.start = now
                self.end = now + self.seconds

    def note_passed(self):
        with self.lock:
            self.inside -= 1


def run_caller(run, window, ends):
    """Runs until every caller has passed the window; `ends` gets the first start and each end."""
    clock = time.perf_counter
    warm = passed = False
    try:
        ends.append(clock())
        while window.inside > 0 and not window.failed:
            run()
            now = clock()
            ends.append(now)
            if not warm and now - ends[0] >= window.warm_up:
                warm = True
                window.note_warm(now)
            elif not passed and now >= window.end:
                passed = True
                window.note_passed()
    except Exception:
        # The other callers must not wait for this one.
        window.failed = True
        raise


def summarize(window, callers):
    """Runs a second and the latencies of the runs that lie in the window, if only in part."""
    runs, latencies = 0.0, []
    for ends in callers:
        for began, ended in zip(ends, ends[1:]):
            inside = min(ended, window.end) - max(began, window.start)
            if inside > 0:
                runs += inside / (ended - began)
                latencies.append(ended - began)
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99]) * 1e3
    return {"runs_per_s": runs / window.seconds, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def measure(peer, runners, request):
    threads = request["threads"]
    cell = request["cell"]
    while len(runners.setdefault(cell, [])) < threads:
        runners[cell].append(peer.runner(cell))
    window = Window(request)
    ends = [[] for _ in range(threads)]
    callers = [threading.Thread(target=run_caller, args=(run, window, own))
               for run, own in zip(runners[cell], ends)]
    gc.disable()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    gc.enable()
    if window.failed:
        raise RuntimeError("a caller failed, see standard error")
    return summarize(window, ends)


def answer(peer, runners, request):
    if request["do"] == "describe":
        return peer.describe()
    if request["do"] == "prepare":
        with np.load(request["inputs"]) as file:
            arrays = dict(zip(request["names"], (file[key] for key in file.files)))
        np.savez(request["outputs"], *peer.prepare(request["cell"], arrays))
        return {}
    return measure(peer, runners, request)


def main():
    end_with_parent()
    # Replies keep the real standard output; whatever a peer prints goes to standard error.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, setting = sys.argv[1].split(":", 1)
    peer = PEERS[name](sys.argv[2], setting)
    runners = {}
    for line in sys.stdin:
        try:
            reply = answer(peer, runners, json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
