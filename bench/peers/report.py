"""Medians and ratios from the raw measurements, and the Markdown that shows them."""

from statistics import median

DISTURBED = 0.05
OURS = ("heddle", "heddle batch")


def points(result):
    """One point for each cell and number of threads.

    The best peer is the setting with the highest median over the rounds. The ratio is the median
    of the rounds' ratios, since both sides of a round's ratio were measured within seconds of
    each other. `ratio_to_round_best` divides by the best peer of each round instead, which also
    counts the peers' lucky moments: a lower bound.
    """
    rows = {}
    for entry in result["measurements"]:
        row = rows.setdefault((entry["cell"], entry["threads"]), {})
        row.setdefault(entry["contender"], []).append(entry)
    return [_point(cell, threads, row) for (cell, threads), row in
            sorted(rows.items(), key=lambda item: (result["cells"].index(item[0][0]), item[0][1]))]


def _point(cell, threads, row):
    rates = {name: [entry["runs_per_s"] for entry in entries] for name, entries in row.items()}
    summary = {name: {key: median(entry[key] for entry in entries)
                      for key in ("runs_per_s", "p50_ms", "p95_ms", "p99_ms") if key in entries[0]}
               for name, entries in row.items()}
    peers = [name for name in row if name not in OURS]
    best = max(peers, key=lambda name: summary[name]["runs_per_s"])
    others = max(median(entry["others_share"] for entry in entries) for entries in row.values())
    point = {"cell": cell, "threads": threads, "contenders": summary, "best_peer": best,
             "others_share": others,
             "ratio": None, "ratio_min": None, "ratio_max": None, "ratio_to_round_best": None}
    if "heddle batch" in row:
        point["batch_ratio"] = _spread(rates["heddle batch"], rates[best])
        point["batch_ratio_to_direct"] = _spread(rates["heddle batch"], rates["heddle"])
    if "heddle" in row:
        ratios = _spread(rates["heddle"], rates[best])
        strict = [ours / max(theirs) for ours, *theirs in
                  zip(rates["heddle"], *(rates[name] for name in peers))]
        point.update(zip(("ratio", "ratio_min", "ratio_max"), ratios))
        point["ratio_to_round_best"] = median(strict)
    return point


def _spread(ours, theirs):
    """Median, smallest and largest of the rounds' ratios."""
    ratios = [one / other for one, other in zip(ours, theirs)]
    return median(ratios), min(ratios), max(ratios)


def _threads(point):
    return f"{point['threads']}{'*' if point['others_share'] > DISTURBED else ''}"


def _number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _shares(result, key):
    values = [100 * entry[key] for entry in result["measurements"]]
    return f"{median(values):.0f} % (median; at most {max(values):.0f} %)"


def _table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _machine_lines(result):
    machine = result["machine"]
    versions = {name.split(":")[0]: entry["version"] for name, entry in
                result["contenders"].items()}
    idle = max((entry.get("idle_cpu_seconds_per_s") or 0.0)
               for entry in result["contenders"].values())
    worst = max((entry["max_relative"] for entry in result["agreement"]), default=0.0)
    return [
        f"- Machine: {machine['cpu']} (family/model/stepping "
        f"{machine['cpu_family_model_stepping']}; {' '.join(machine['cpu_flags'])}), "
        f"{machine['cores']} cores, Linux {machine['kernel']}",
        *(f"- Fused multiply-adds on {count} {'core' if count == 1 else 'cores'}: {peak:.0f} GFLOP/s"
          for count, peak in machine["peak_gflops"].items() if peak is not None),
        f"- Date: {machine['date']}; load average before: {machine['load_average_before']:.2f}",
        f"- Other programs used {_shares(result, 'others_share')} of the machine during the "
        f"measurements, its host took {_shares(result, 'stolen_share')}",
        "- Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"- {result['rounds']} rounds, {result['seconds']:g} s a measurement, shuffled; idle "
        f"peers use {idle:.2f} CPU seconds a second and are stopped while others measure",
        *(f"- Left out, since it cannot run this model: {name}" for name in result["left_out"]),
        f"- All contenders computed the same outputs: largest relative difference {worst:.1e}",
        "",
    ]


def markdown(result):
    lines = [f"## {result['model']}", "", *_machine_lines(result)]
    points_ = result["points"]
    if any(point["ratio"] is not None for point in points_):
        lines += _ratio_table(points_) + [""]
    if any("batch_ratio" in point for point in points_):
        lines += _batch_table(points_) + [""]
    names = list(result["contenders"])
    rows = [[point["cell"], _threads(point)] +
            [_number(point["contenders"][name]["runs_per_s"]) for name in names]
            for point in points_]
    lines += ["Runs a second (a run is one call, of a whole batch), median of the rounds:", ""]
    lines += _table(["cell", "T", *names], rows)
    if any(point["others_share"] > DISTURBED for point in points_):
        lines += ["", f"\\* Other programs used more than {100 * DISTURBED:.0f} % of the machine "
                  "in half of the rounds: measure again on a quiet one."]
    return "\n".join(lines) + "\n"


def _ratio_table(points_):
    rows = []
    for point in points_:
        ours = point["contenders"]["heddle"]
        theirs = point["contenders"][point["best_peer"]]
        rows.append([point["cell"], _threads(point), _number(ours["runs_per_s"]),
                     f"{_number(theirs['runs_per_s'])} ({point['best_peer']})",
                     _ratio(point["ratio"], point["ratio_min"], point["ratio_max"]),
                     f"{_number(ours['p50_ms'])} / {_number(ours['p99_ms'])}",
                     f"{_number(theirs['p50_ms'])} / {_number(theirs['p99_ms'])}"])
    return ["Heddle against the best setting of either peer in each row; the ratio is the median "
            "of the rounds' ratios, with the smallest and the largest:", "",
            *_table(["cell", "T", "Heddle runs/s", "best peer runs/s", "ratio",
                     "Heddle p50 / p99 ms", "peer p50 / p99 ms"], rows)]


def _ratio(middle, smallest, largest):
    return f"{middle:.2f} ({smallest:.2f}..{largest:.2f})"


def _batch_table(points_):
    rows = [[point["cell"], _threads(point),
             _number(point["contenders"]["heddle batch"]["runs_per_s"]),
             _ratio(*point["batch_ratio_to_direct"]), _ratio(*point["batch_ratio"])]
            for point in points_]
    return ["The same callers through a batch queue of Heddle, one request each at a time:", "",
            *_table(["cell", "T", "requests/s", "against direct calls", "against the best peer"],
                    rows)]
