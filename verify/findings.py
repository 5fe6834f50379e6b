"""What a checker tells `heddle verify`, in a file: docs/report.md has the form. As a program it makes one from lines:

    findings.py FILE COMMAND <<lines, their fields separated by tabs

    table TITLE COLUMN...      row CELL...                     (rows of the table before; numbers become numbers)
    plot TITLE Y_LABEL         bar SERIES NAME NUMBER          (bars of the plot before, on a logarithmic axis)
    note TEXT                  failed TEXT                     (the first is the reason)
    count PASSED FAILED
"""
import json
import sys


class Findings:
    def __init__(self, command):
        self.command = command
        self.passed, self.failed = 0, 0
        self.verdict, self.reason = None, ""
        self.notes, self.tables, self.plots = [], [], []

    def count(self, right):
        """One more check; what is wrong first is the reason."""
        self.passed += bool(right)
        self.failed += not right

    def fail(self, reason):
        self.reason = self.reason or reason

    def table(self, title, columns, rows=()):
        self.tables.append({"title": title, "columns": list(columns), "rows": [list(row) for row in rows]})

    def bars(self, title, y_label, series):
        """series: pairs (name, [(what, number)...]); the axis is logarithmic."""
        self.plots.append({"title": title, "kind": "bars", "y_label": y_label, "y_log": True, "series": [
            {"name": name, "points": [list(point) for point in points]} for name, points in series]})

    def write(self, path):
        verdict = self.verdict or ("FAIL" if self.failed or not self.passed else "PASS")
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            json.dump({"schema_version": 1, "command": self.command, "verdict": verdict, "reason": self.reason,
                       "passed": self.passed, "failed": self.failed, "notes": self.notes, "tables": self.tables,
                       "plots": self.plots}, file, indent=1)
            file.write("\n")


def option(arguments):
    """Takes --json FILE out of a command line; FILE, or None."""
    if "--json" not in arguments:
        return None
    at = arguments.index("--json")
    if at + 1 == len(arguments):
        sys.exit("--json wants FILE")
    path = arguments[at + 1]
    del arguments[at:at + 2]
    return path


def value(text):
    """A cell: a number where it is one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text) if text.replace(".", "", 1).isdigit() else text
    except ValueError:
        return text


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    found = Findings(sys.argv[2])
    for line in sys.stdin.read().splitlines():
        word, *fields = line.split("\t")
        if word == "table":
            found.table(fields[0], fields[1:])
        elif word == "row":
            width = len(found.tables[-1]["columns"])
            found.tables[-1]["rows"].append([value(cell) for cell in (fields + [""] * width)[:width]])
        elif word == "plot":
            found.bars(fields[0], fields[1], [])
        elif word == "bar":
            series = found.plots[-1]["series"]
            if not series or series[-1]["name"] != fields[0]:
                series.append({"name": fields[0], "points": []})
            series[-1]["points"].append([fields[1], float(fields[2])])
        elif word == "note":
            found.notes.append(fields[0])
        elif word == "failed":
            found.fail(fields[0])
        elif word == "count":
            found.passed += int(fields[0])
            found.failed += int(fields[1])
        else:
            sys.exit("findings.py: a line begins with " + word)
    found.write(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
