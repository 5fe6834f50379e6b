#!/usr/bin/env python3
"""usage: queues.py HEDDLE BARE [SECONDS] [DEVICE]
`HEDDLE bench queues` and `bench pipeline` on a GPU beside BARE, queues.cu's program, which launches the same kernel without Heddle. Both take
turns, three rounds; operations a second (medians, thousands), and the ratio to BARE of the same round, lowest..highest. Exit 1 where a
ratio's median is below 0.95 for a queue a thread."""
import json, statistics, subprocess, sys

heddle, bare = sys.argv[1:3]
seconds = sys.argv[3] if len(sys.argv) > 3 else "0.3"
device = sys.argv[4] if len(sys.argv) > 4 else "cuda"
ROUNDS = 3


def ours():
    rates = {}
    for name in "queues", "pipeline":
        text = subprocess.run([heddle, "bench", name, "--device", device, "--seconds", seconds, "--threads", "1,8" if name == "pipeline" else
                               "1,2,4,8,16", "--json", "-"], capture_output=True, text=True, check=True).stdout
        for point in json.loads(text)["points"]:
            if name == "queues" and point["strategy"] == "per-encoder":
                rates[point["queues"], point["in_flight"], point["threads"]] = point["ops_per_s"]
            elif name == "pipeline" and point["operation"] == "kernel":
                rates.setdefault(("per-thread", point["depth"], point["threads"]), point["ops_per_s"])
    return rates


def theirs():
    lines = subprocess.run([bare, seconds], capture_output=True, text=True, check=True).stdout.splitlines()
    return {(queues, int(depth), int(threads)): float(rate) for queues, depth, threads, rate in map(str.split, lines)}


rounds = [(ours(), theirs()) for _ in range(ROUNDS)]
print("| queues | in flight | threads | Heddle | bare CUDA | ratio |\n|---|---|---|---|---|---|")
failed = False
for key in sorted(rounds[0][1], key=lambda k: (k[0] != "shared", k[1], k[2])):
    if key not in rounds[0][0]:
        continue
    a, b = ([round_[side][key] for round_ in rounds] for side in (0, 1))
    ratios = sorted(x / y for x, y in zip(a, b))
    print(f"| {key[0]} | {key[1] or 'waited for'} | {key[2]} | {statistics.median(a) / 1e3:.1f} | {statistics.median(b) / 1e3:.1f} | "
          f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f}) |")
    failed |= key[0] == "per-thread" and statistics.median(ratios) < 0.95
sys.exit(failed)
