#!/usr/bin/env python3
"""usage: compare.py BASE_FILE FILE

Compares two files of tests/bits/outputs.c bit by bit. Prints each output that differs, with how many elements and the largest
difference, and how many statuses changed; exits 1 when bits differ, or something ran before and does not now.
"""
import array
import math
import sys

FLOATS = {"float32": "f", "float64": "d"}


def records(path):
    found = {}
    with open(path, "rb") as file:
        while line := file.readline():
            name, status, dtype, _, dims, size = line.decode().rstrip("\n").split("\t")
            found[name] = (status, dtype, dims, file.read(int(size)))
    return found


def difference(dtype, old, new):
    if dtype not in FLOATS:
        count = sum(a != b for a, b in zip(old, new))
        return f"{count} of {len(old)} bytes differ"
    before, after = array.array(FLOATS[dtype], old), array.array(FLOATS[dtype], new)
    width = before.itemsize
    differing = [i for i in range(len(before)) if old[i * width:(i + 1) * width] != new[i * width:(i + 1) * width]]
    finite = [i for i in differing if math.isfinite(before[i]) and math.isfinite(after[i])]
    largest = max((abs(before[i] - after[i]) / max(1.0, abs(before[i])) for i in finite), default=0.0)
    i = differing[0]
    return (f"{len(differing)} of {len(before)} elements differ by at most {largest:.3g}, {len(differing) - len(finite)} "
            f"of them not finite; the first, {i}: {before[i]!r} before, {after[i]!r} now")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    base, tree = records(sys.argv[1]), records(sys.argv[2])
    equal, differ, lost, gained, neither = 0, [], [], 0, 0
    for name in sorted(base.keys() | tree.keys()):
        old, new = base.get(name, ("missing", "", "", b"")), tree.get(name, ("missing", "", "", b""))
        if old[0] != "OK" or new[0] != "OK":
            neither += old[0] != "OK" and new[0] != "OK"
            gained += old[0] != "OK" and new[0] == "OK"
            if old[0] == "OK":
                lost.append(f"{name}: ran before, now {new[0]}")
        elif old == new:
            equal += 1
        elif old[1:3] != new[1:3] or len(old[3]) != len(new[3]):
            differ.append(f"{name}: {old[1]}[{old[2]}] before, {new[1]}[{new[2]}] now")
        else:
            differ.append(f"{name}: {difference(old[1], old[3], new[3])}")
    print(*differ, *lost, sep="\n", end="\n" if differ or lost else "")
    print(f"{equal} outputs equal, {len(differ)} differ, {len(lost)} lost, {gained} only run now, {neither} run by neither")
    return 0 if equal and not differ and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
