"""Makes and updates the virtual environment in .venv, for the `wallet` launcher.

Runs before anything is installed, so it may import nothing but the standard library.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
LOCK = ROOT / ".local" / "setup.lock"
LOG = ROOT / ".local" / "setup.log"

# A file whose packages include all of another's, at the same versions: they share one resolution.
SUPERSETS = {"requirements-local.txt": "requirements-dev.txt"}
EXPECTED_SECONDS = {"requirements-local.txt": 20, "requirements-dev.txt": 45}


def ensure(requirements: str) -> None:
    """Installs the pinned packages of the file `requirements` unless they are installed already.

    Raises subprocess.CalledProcessError when a step failed; its output is in LOG.
    """
    if is_current(requirements):
        return
    # The system releases this lock when its holder dies, however it dies: it cannot be left behind.
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(requirements):
            install(requirements)


def is_current(requirements: str) -> bool:
    """Whether .venv holds what `requirements` asks for, or a superset of it."""
    if not PYTHON.exists():
        return False
    return any(
        stamp_of(name).exists() and stamp_of(name).read_text() == checksum(name)
        for name in (requirements, SUPERSETS.get(requirements, requirements))
    )


def install(requirements: str) -> None:
    """Runs the steps that are missing and stamps .venv with the checksum that was installed."""
    seconds = EXPECTED_SECONDS.get(requirements, 60)
    print(f"Setting up .venv (first time only, about {seconds} s) …", file=sys.stderr, flush=True)
    installed = checksum(requirements)
    LOG.unlink(missing_ok=True)
    if not PYTHON.exists():
        # What is there belongs to an interpreter that is gone, if anything is there at all.
        _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
    elif not _has_pip():
        # An earlier set-up was interrupted between making the environment and giving it pip.
        _run([str(PYTHON), "-m", "ensurepip", "--default-pip"])
    # The file names every package, so nothing is left to resolve. Byte code is made when a module
    # is first imported: most are never imported, and the service answers several seconds sooner.
    flags = ["--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
    _run([str(PYTHON), "-m", "pip", "install", *flags, "-r", requirements])
    if requirements == "requirements-dev.txt":
        # Tests turn warnings into errors. Compiling here keeps warnings about the source text of
        # other people's packages out of them. A file that cannot be compiled is not our concern.
        library = str(ENVIRONMENT / "lib")
        _run([str(PYTHON), "-m", "compileall", "-q", "-j", "0", library], check=False)
    stamp_of(requirements).write_text(installed)


def checksum(requirements: str) -> str:
    """The SHA-256 of a requirements file."""
    return hashlib.sha256((ROOT / requirements).read_bytes()).hexdigest()


def stamp_of(requirements: str) -> Path:
    """The file inside .venv that remembers which content of `requirements` is installed."""
    return ENVIRONMENT / f".installed-{requirements}"


def _has_pip() -> bool:
    command = [str(PYTHON), "-m", "pip", "--version"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _run(command: list[str], *, check: bool = True) -> None:
    with LOG.open("ab") as log:
        subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=check
        )


def main() -> int:
    """Makes the environment current; on failure shows the log. Returns the exit code."""
    try:
        ensure(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.stderr.write(LOG.read_text(errors="replace"))
        print(f"Setting up .venv failed (exit code {error.returncode}).", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
