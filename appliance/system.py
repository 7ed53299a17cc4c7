"""The one door to the machine: programs, files and the clock."""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from appliance import ApplianceError, CommandFailed, MissingProgram

# Debian keeps the daemons and the firewall tools here; a plain user's PATH often does not.
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_REMEDIES = {
    errno.ENOSPC: "; make room on its file system (`df`)",
    errno.EDQUOT: "; make room on its file system (`df`)",
    errno.EROFS: "; mount its file system writable",
}


@dataclass(frozen=True)
class Result:
    """How a program ended: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, for a message to the operator."""
        return "\n".join(text.strip() for text in (self.stdout, self.stderr) if text.strip())


def find_program(name: str) -> str | None:
    """The path of a program, looked for on PATH and then where administrators' programs live."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *ADMIN_PATHS))
    return shutil.which(name, path=path)


def program(name: str) -> str:
    """The path of a program that must be there. Raises MissingProgram."""
    found = find_program(name)
    if found is None:
        raise MissingProgram(
            f"{name}: program not found; install the Debian package that holds it "
            "(setup/debian-packages.txt lists them)"
        )
    return found


def attempt(argv: Sequence[str], text: str | None = None, timeout: float = 30.0) -> Result:
    """Run a program to its end and return how it ended, whatever the exit code.

    `text` goes to its standard input; `timeout` is in seconds. Raises MissingProgram, and
    CommandFailed when the time is up or it cannot be started.
    """
    command = [program(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(
            command,
            input=text or "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{' '.join(argv)}: no end after {timeout:g} s; stopped it") from None
    except OSError as error:
        raise _not_started(argv, error) from None
    return Result(done.returncode, done.stdout, done.stderr)


def run(argv: Sequence[str], text: str | None = None, timeout: float = 30.0) -> str:
    """Run a program that must succeed and return what it printed. Raises CommandFailed."""
    result = attempt(argv, text, timeout)
    if result.returncode != 0:
        raise CommandFailed(
            f"{' '.join(argv)}: exit code {result.returncode}: {result.output or 'it said nothing'}"
        )
    return result.stdout


class Child:
    """A program that was started and is looked after from time to time; its output goes to a file.

    `text` is its standard input.
    """

    def __init__(self, argv: Sequence[str], text: str = "") -> None:
        command = [program(argv[0]), *argv[1:]]
        try:
            self._output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until `result`
            with _given(text) as given:
                self._process = subprocess.Popen(
                    command,
                    stdin=given,
                    stdout=self._output,
                    stderr=subprocess.STDOUT,
                )
        except OSError as error:
            raise _not_started(argv, error) from None

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self.result()

    def result(self) -> Result:
        """How it ended, and what it printed, on either stream; waits for its end."""
        with self._output as output:
            returncode = self._process.wait()
            output.seek(0)
            return Result(returncode, output.read(), "")


@contextlib.contextmanager
def _given(text: str) -> Iterator[int | IO[str]]:
    """What a program reads on its standard input."""
    if not text:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write(text)
        file.seek(0)
        yield file


def child(argv: Sequence[str], text: str = "") -> Child:
    """Start a program and go on; `text` goes to its standard input. Raises MissingProgram and CommandFailed."""
    return Child(argv, text)


def _not_started(argv: Sequence[str], error: OSError) -> CommandFailed:
    return CommandFailed(f"{' '.join(argv)}: cannot be started: {error.strerror}")


def become(argv: Sequence[str]) -> NoReturn:
    """Replace this process by a program that finds the administrators' programs on its PATH."""
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), *ADMIN_PATHS))
    # Several processes will write to our output: to a file each must write at its end.
    flags = fcntl.fcntl(1, fcntl.F_GETFL)
    fcntl.fcntl(1, fcntl.F_SETFL, flags | os.O_APPEND)
    os.execv(argv[0], list(argv))


def read(path: Path) -> str | None:
    """The text of a file, or None where there is no such file. Raises ApplianceError where it cannot be read.

    What is no text shows as U+FFFD: whoever looks for a word does not find it.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ApplianceError(f"{path} cannot be read: {error.strerror}") from None


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a file in place whole: a reader sees the former text or this one, never a part.

    Raises ApplianceError where that cannot be done; the former file is there still.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, mode)
            os.rename(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise _not_written(path, error) from None


def put(path: Path, text: str) -> None:
    """As `replace`; on a full file system the text is written over the former one, where both are of one length.

    That needs no room, and so short a text goes there at one stroke. Raises ApplianceError.
    """
    try:
        replace(path, text)
    except ApplianceError:
        if not _overwritten(path, text.encode()):
            raise


def _overwritten(path: Path, octets: bytes) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY)
        try:
            fits = os.fstat(handle).st_size == len(octets)
            return fits and os.pwrite(handle, octets, 0) == len(octets)
        finally:
            os.close(handle)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Delete a file that may be gone already. Raises ApplianceError where it cannot be."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> ApplianceError:
    remedy = _REMEDIES.get(error.errno or 0, "")
    return ApplianceError(f"{path} cannot be written: {error.strerror}{remedy}")


def writable(path: Path) -> bool:
    """Whether this process could write the file; False on a read-only mount, also for root."""
    return os.access(path, os.W_OK)


def try_out(directory: Path) -> None:
    """Make a file in a directory and take it away again. Raises OSError where that cannot be done."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix="."):
        pass


def monotonic() -> float:
    """Seconds on a clock that never steps; only differences mean anything."""
    return time.monotonic()


def wall() -> float:
    """Seconds since 1970, for what people read."""
    return time.time()


def time_of_day(at: float) -> str:
    """A time in seconds since 1970 as people here write it, to the millisecond."""
    return time.strftime("%F %T", time.localtime(at)) + f".{int(at % 1 * 1000):03}"


def pause(seconds: float) -> None:
    """Wait a little, inside a loop that has a deadline."""
    time.sleep(seconds)


def resident_mb() -> float:
    """The memory that this process has in RAM, in megabytes (proc_pid_statm(5))."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
