#!/usr/bin/env python3
"""usage: verify_test.py [TEST]   with HEDDLE_PROGRAM

`heddle verify` with sources that are made up: what it makes of checkers that pass, fail, lie, hang and talk, and that a
report is whole or not there.
"""

import html.parser
import json
import os
import pty
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = os.path.abspath(os.environ.get("HEDDLE_PROGRAM", "build/release/heddle"))
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 100
FILES = ["report.html", "report.json", "report.md"]
HOSTILE = ["<script>alert(1)</script>", "a|b`c*d_e~~f", "</details></td>", "![x](http://evil)", "\x1b[31mred\x07",
           "line\nbreak", "&amp; \"quoted\" 'too'", "\u202eesrever", "[link](javascript:x)", "\\", "$x$", "\u00e4\U0001f600",
           "\udce4"]

# A checker that does what its place's files say.
CHECKER = """#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys, time
place = pathlib.Path(__file__).resolve().parents[2]
path = sys.argv[sys.argv.index("--json") + 1]
(place / "arguments").write_text(repr(sys.argv[1:]))
if (place / "findings").exists():
    pathlib.Path(path).write_bytes((place / "findings").read_bytes())
if (place / "hang").exists():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    other = subprocess.Popen(["sleep", "1000"])
    (place / "started").write_text("%d %d %d" % (os.getpid(), child.pid, other.pid))
    time.sleep(1000)
print("the last line")
sys.exit(int((place / "exit").read_text()) if (place / "exit").exists() else 0)
"""


def is_alive(process):
    try:
        return Path("/proc/%d/stat" % process).read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Page(html.parser.HTMLParser):
    """A page's text, and that its elements are closed in order."""
    EMPTY = {"meta", "br", "line", "rect", "path", "circle", "polyline"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.links, self.elements, self.wrong = [], [], [], set(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href", "action")]
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.add(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("</%s>" % tag)

    def handle_data(self, data):
        self.texts.append(data)


class VerifyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="heddle-verify-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.source, self.output, self.bin = (self.folder / name for name in ("source", "report", "bin"))
        for name in ("include/heddle/api.h", "src/runtime/device.c"):
            (self.source / name).parent.mkdir(parents=True)
            (self.source / name).touch()
        for name in ("verify/structure/run", "verify/lean/check", "verify/tla/run"):
            checker = self.source / name
            checker.parent.mkdir(parents=True)
            checker.write_text(CHECKER)
            checker.chmod(0o755)
        self.bin.mkdir()
        for tool in ("python3", "env", "sleep"):
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.have("clang-22")

    def have(self, *tools):
        for tool in tools:
            (self.bin / tool).symlink_to("/bin/true")

    def lack(self, tool):
        (self.bin / tool).unlink()

    def find(self, **changes):
        """What the checker will say."""
        findings = {"schema_version": 1, "command": "made up", "verdict": "PASS", "reason": "", "passed": 3, "failed": 0}
        findings.update(changes)
        (self.source / "findings").write_text(json.dumps(findings))

    def words(self, *more, only=("locking",)):
        return [PROGRAM, "verify", "--source", str(self.source), "--output-dir", str(self.output), "--device", "cpu",
                *(word for one in only for word in ("--only", one)), *more]

    def call(self, *more, only=("locking",), **options):
        return subprocess.run(self.words(*more, only=only), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, env={"PATH": str(self.bin)}, **options)

    def report(self, code, *more, only=("locking",)):
        done = self.call(*more, only=only)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(sorted(os.listdir(self.output)), ["logs", *FILES])
        if code == 0:
            self.assertEqual(done.stderr, "")
        else:
            self.assertRegex(done.stderr, r"\Aheddle: [^\n]+\n\Z")
        data = json.loads((self.output / "report.json").read_text())
        self.assertEqual((data["schema_version"], data["command"]), (1, "verify"))
        self.assertEqual(data["verdict"], "FAIL" if code else "PASS")
        return data

    def section(self, data, name="locking"):
        return next(section for section in data["sections"] if section["id"] == name)

    def text(self, name):
        return (self.output / name).read_text()

    # ---- verdicts

    def test_a_checker_that_passes_is_in_all_three_formats(self):
        self.find(passed=17, notes=["a note"], tables=[{"title": "T", "columns": ["what", "n"], "rows": [["x", 1234567]]}],
                  plots=[{"title": "P", "kind": "bars", "y_label": "states", "y_log": True,
                          "series": [{"name": "s", "points": [["a", 10], ["b", 100000]]}]}])
        section = self.section(self.report(0))
        self.assertEqual((section["verdict"], section["passed"], section["failed"]), ("PASS", 17, 0))
        self.assertEqual(section["tables"][0]["rows"], [["x", 1234567]])
        self.assertEqual(section["parts"][0]["command"], "verify/structure/run locking")
        self.assertIn("the last line", (self.output / section["parts"][0]["log"]).read_text())
        self.assertIn("| x | 1,234,567 |", self.text("report.md"))
        page = Page(self.text("report.html"))
        for text in ("1,234,567", "a note", "P", "100k", "states", "PASS"):
            self.assertIn(text, page.texts)

    def test_a_failing_checker_fails_the_report(self):
        self.find(verdict="FAIL", reason="lock x is lost", failed=2)
        (self.source / "exit").write_text("1")
        section = self.section(self.report(1))
        self.assertEqual((section["verdict"], section["reason"], section["failed"]), ("FAIL", "lock x is lost", 2))
        self.assertIn("# Heddle verification report: FAIL", self.text("report.md"))
        self.assertIn("lock x is lost", self.text("report.html"))

    def test_what_a_checker_says_must_agree_with_how_it_ends(self):
        for changes, code, says in [({}, "1", "exit code 1: the last line"), ({"verdict": "PASS", "failed": 1}, "0", ""),
                                    ({"verdict": "STALE"}, "0", ""), ({"verdict": ""}, "0", "no verdict")]:
            with self.subTest(changes, code=code):
                self.find(**changes)
                (self.source / "exit").write_text(code)
                section = self.section(self.report(1))
                self.assertEqual(section["verdict"], "FAIL")
                self.assertIn(says, section["reason"])

    def test_results_that_are_none_fail(self):
        table = {"title": "T", "columns": ["a", "b"], "rows": [["x", "y"]]}
        plot = {"title": "P", "kind": "bars", "y_label": "y", "series": [{"name": "s", "points": [["a", 1]]}]}
        wrong = [b"", b"{", b"[]", b"{} {}", b'{"a": 01}', b'"\\q"', b"[" * 100 + b"]" * 100, b"\xff\xfe", b"nul"]
        wrong += [json.dumps(one).encode() for one in (
            {"schema_version": 2, "verdict": "PASS", "passed": 1, "failed": 0},
            *({"schema_version": 1, "verdict": "PASS", "passed": 1, "failed": 0, **more} for more in (
                {"passed": -1}, {"failed": "0"}, {"tables": {}}, {"tables": [1]}, {"notes": [1]},
                {"tables": [{**table, "rows": [["x"]]}]}, {"tables": [{**table, "rows": [["x", ["y"]]]}]},
                {"tables": [{**table, "columns": []}]}, {"tables": [{**table, "title": 1}]},
                {"plots": [{**plot, "kind": "pie"}]}, {"plots": [{**plot, "y_label": ""}]},
                {"plots": [{**plot, "series": [{"name": "s", "points": [[1, 1]]}]}]},
                {"plots": [{**plot, "series": [{"name": "s", "points": [["a", "b"]]}]}]})))]
        for text in wrong:
            with self.subTest(text):
                (self.source / "findings").write_bytes(text)
                section = self.section(self.report(1))
                self.assertRegex(section["reason"], "results")
        (self.source / "findings").unlink()
        self.assertEqual(self.section(self.report(1))["reason"], "it wrote no results")

    def test_checked_earlier_is_neither_passed_nor_failed(self):
        self.find(verdict="CHECKED EARLIER", reason="there is no Lean", passed=0)
        data = self.report(0, only=("proofs",))
        self.assertEqual(self.section(data, "proofs")["verdict"], "CHECKED EARLIER")
        self.assertEqual(data["summary"], "1 section passed, 1 checked earlier; checks: 1 passed; only some sections were asked "
                         "for.")

    def test_what_is_missing_fails_and_says_how_to_install_it(self):
        self.find()
        self.lack("clang-22")
        data = self.report(1, only=("locking", "models"))
        for name, tool, package in (("locking", "clang-22", "clang-22"), ("models", "java", "openjdk-17-jdk-headless")):
            section = self.section(data, name)
            self.assertEqual(section["verdict"], "FAIL")
            self.assertRegex(section["reason"], "^%s is missing.*install-deps.*apt-get install %s" % (tool, package))

    def test_proofs_of_the_real_sources(self):
        self.source = ROOT
        self.report(0, "--quick", only=("proofs",))
        section = self.section(json.loads(self.text("report.json")), "proofs")
        self.assertEqual(section["verdict"], "CHECKED EARLIER")
        self.assertEqual([table["columns"][0] for table in section["tables"]], ["theorem", "what is changed"])
        self.assertEqual(len(section["tables"][0]["rows"]), 9)

    def test_a_checker_that_cannot_be_run_fails(self):
        (self.source / "verify/structure/run").chmod(0o644)
        self.assertIn("cannot be run", self.section(self.report(1))["reason"])

    def test_quick_says_what_it_leaves_out(self):
        self.find()
        section = self.section(self.report(0, "--quick", only=("sanitizers",)), "sanitizers")
        self.assertEqual((section["verdict"], section["reason"]), ("SKIPPED", "--quick leaves it out"))

    def test_without_sources_their_checks_are_skipped(self):
        done = subprocess.run([PROGRAM, "verify", "--quick", "--output-dir", self.output, "--device", "cpu", "--only",
                               "explorer", "--only", "memory"], stdout=subprocess.PIPE, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stdout)
        data = json.loads(self.text("report.json"))
        self.assertRegex(self.section(data, "explorer")["reason"], "needs? the sources|checks the sources")
        memory = self.section(data, "memory")
        self.assertEqual((memory["verdict"], len(memory["tables"][0]["rows"])), ("PASS", 10))
        self.assertEqual(memory["plots"][0]["series"][0]["points"][0][0], memory["tables"][0]["rows"][0][0])

    # ---- exit codes of wrong commands

    def refuse(self, code, says, *words):
        done = subprocess.run([PROGRAM, "verify", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=LIMIT_S, cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertRegex(done.stderr, r"\Aheddle: [^\n]*%s[^\n]*\n\Z" % says)

    def test_wrong_commands_are_refused(self):
        self.refuse(3, "holds no sources", "--source", self.folder)
        self.refuse(3, "No such file", "--source", self.folder / "nowhere")
        self.refuse(3, "cannot be made", "--output-dir", "/proc/report")
        self.refuse(2, "no section 'fly'", "--only", "fly")
        self.refuse(4, "cuda", "--device", "cuda", "--output-dir", self.output)
        self.assertEqual(os.listdir(self.output), ["logs"])

    def test_json_alone_goes_to_standard_output(self):
        self.find()
        done = self.call("--json", "-")
        self.assertEqual(json.loads(done.stdout), json.loads(self.text("report.json")))

    # ---- text from anywhere

    def test_hostile_names_are_text_in_all_formats(self):
        self.find(reason="".join(HOSTILE), verdict="FAIL", failed=1, notes=HOSTILE,
                  tables=[{"title": name, "columns": [name], "rows": [[name]]} for name in HOSTILE],
                  plots=[{"title": name, "kind": "bars", "y_label": name,
                          "series": [{"name": name, "points": [[name, 1]]}]} for name in HOSTILE])
        section = self.section(self.report(1))
        self.assertEqual(section["notes"], [name.replace("\udce4", "\ufffd") for name in HOSTILE])
        page = Page(self.text("report.html"))
        self.assertEqual((page.open, page.wrong), ([], []))
        self.assertFalse(page.elements & {"script", "img", "iframe", "link", "object"}, page.elements)
        self.assertTrue(all(link.startswith("#") for link in page.links), page.links)
        for name in ("<script>alert(1)</script>", "a|b`c*d_e~~f", "line break", "\\x1b[31mred\\x07", "\\u202eesrever"):
            self.assertIn(name, page.texts)
        for name in FILES:
            for hidden in ("\x1b", "\x07", "\u202e", "\udce4"):
                if name != "report.json":
                    self.assertNotIn(hidden, (self.output / name).read_text(errors="surrogateescape"), name)
        markdown = self.text("report.md")
        self.assertNotRegex(markdown, r"<(?!/?(details|summary)\b)")
        for line in markdown.splitlines():
            if line.startswith("|") and "evil" in line:
                self.assertEqual(line, r"| !\[x\](http://evil) |")
            if line.startswith("|") and "~f" in line:
                self.assertEqual(line, r"| a\|b\`c\*d\_e\~\~f |")

    # ---- children

    def wait_for(self, path):
        end = time.monotonic() + 60
        while not (path.exists() and path.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        return [int(word) for word in path.read_text().split()]

    def expect_gone(self, processes):
        end = time.monotonic() + 10
        while any(map(is_alive, processes)) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([process for process in processes if is_alive(process)], [])

    def test_a_late_checker_is_ended_with_all_that_it_started(self):
        (self.source / "hang").touch()
        section = self.section(self.report(1, "--time-limit", "2"))
        self.assertRegex(section["reason"], "took more than 2 s")
        self.expect_gone(self.wait_for(self.source / "started"))

    def test_children_that_it_did_not_start_are_left_alone(self):
        self.find()
        script = "sleep 1000 >/dev/null 2>&1 & echo $!; exec " + " ".join(map(shlex.quote, self.words()))
        done = subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True, timeout=LIMIT_S,
                              env={"PATH": str(self.bin)})
        process = int(done.stdout.split()[0])
        alive = is_alive(process)
        os.kill(process, signal.SIGKILL)
        self.assertTrue(alive and done.returncode == 0, done.stdout)

    def test_an_interrupt_ends_all_and_leaves_no_report(self):
        (self.source / "hang").touch()
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                (self.source / "started").unlink(missing_ok=True)
                running = subprocess.Popen(self.words(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                           env={"PATH": str(self.bin)})
                processes = self.wait_for(self.source / "started")
                running.send_signal(number)
                _, said = running.communicate(timeout=30)
                self.assertEqual((running.returncode, said), (-number, ""))
                self.expect_gone(processes)
                self.assertEqual(os.listdir(self.output), ["logs"])

    def test_a_terminal_is_shown_what_goes_on(self):
        (self.source / "hang").touch()
        master, slave = pty.openpty()
        running = subprocess.Popen(self.words("--time-limit", "2"), stdout=subprocess.DEVNULL, stderr=slave,
                                   env={"PATH": str(self.bin)})
        os.close(slave)
        said = b""
        try:
            while block := os.read(master, 4096):
                said += block
        except OSError:  # how a terminal says that all have gone
            pass
        os.close(master)
        self.assertEqual(running.wait(), 1)
        self.assertRegex(said.decode(), r"\[2/2\] Thread-safety analysis, [01] s \(at most 2\)")

    # ---- files

    def test_a_full_disk_leaves_the_earlier_report(self):
        self.find()
        self.report(0)
        before = [self.text(name) for name in FILES]
        self.find(notes=["x" * 28000])
        done = self.call(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)),
                         restore_signals=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r"\Aheddle: [^\n]*report[^\n]* cannot be written: File too large\n\Z")
        self.assertEqual(sorted(os.listdir(self.output)), ["logs", *FILES])
        self.assertEqual([self.text(name) for name in FILES], before)

    def test_a_page_needs_nothing_else(self):
        self.find()
        self.report(0)
        text = self.text("report.html")
        self.assertNotRegex(text, r"url\(|@import|https?://|<script|<link")
        self.assertIn("prefers-color-scheme:dark", text)
        self.assertIn("default-src 'none'", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *(["VerifyTest." + name for name in sys.argv[1:]])])
