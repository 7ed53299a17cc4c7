"""The command line in this process."""

import sys
from collections.abc import Callable

import pytest

from appliance.__main__ import main

Vgw = Callable[..., tuple[int, str, str]]


def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vgw:
    """`vgw` with these words: its exit code, and what it printed on either stream."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vgw", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
