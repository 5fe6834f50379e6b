"""The virtual environment that the peers live in. Uses the standard library only: it runs first."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).resolve().with_name("requirements.txt")
FOLDER = REPOSITORY / "build" / "peers-venv"


def enter(folder=FOLDER):
    """Makes the environment if it is missing or out of date, then restarts this script in it."""
    folder = Path(folder)
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text().strip() != wanted:
        print(f"installing the peers into {folder}", file=sys.stderr)
        _create(folder, python)
        stamp.write_text(wanted + "\n")
    os.execv(python, [str(python), *sys.argv])


def _create(folder, python):
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", "-r", str(REQUIREMENTS)], check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"cannot install the peers ({' '.join(error.cmd)}): "
                 "this needs python3-venv and access to a package index")
