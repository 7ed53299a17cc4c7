"""The daemons themselves read each file that we plan, before it is put; what one cannot read stays out."""

from pathlib import Path

import pytest

from appliance import CommandFailed
from appliance.drivers import files, links
from appliance.planning.wanted import File
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import plan_of

RUN_DIR = RunDir()


def test_both_daemons_read_what_is_planned(namespace: Namespace, cases: dict[str, Path]) -> None:
    def body() -> list[str]:
        for case in cases.values():
            planned = plan_of(case, Role.BACKUP)
            links.apply(links.diff(planned.links, planned.names.links))
            files.try_out(files.diff(planned.files, RUN_DIR))
        return [path.name for path in RUN_DIR.path.iterdir()]

    assert namespace(body) == [], "nothing is left of what was tried"


@pytest.mark.parametrize(
    ("daemon", "word", "instead", "said"),
    [
        ("conntrackd", "Interface eth2", "Interface on", "symbol 'on'"),
        ("conntrackd", "Mode FTFW", "Mode FTWF", "symbol 'FTWF'"),
        ("keepalived", "vrrp_instance", "vrrp_instanze", "vrrp_instanze"),
    ],
)
def test_what_a_daemon_cannot_read_is_refused_in_its_words(
    namespace: Namespace, cases: dict[str, Path], daemon: str, word: str, instead: str, said: str
) -> None:
    def body() -> str:
        planned = plan_of(cases["01-standard"], Role.BACKUP).files
        (file,) = (one for one in planned if one.name == f"{daemon}.conf")
        assert word in file.text
        broken = File(file.name, file.text.replace(word, instead))
        with pytest.raises(CommandFailed) as refused:
            files.try_out(files.diff((broken,), RUN_DIR))
        return str(refused.value)

    words = namespace(body)
    assert words.startswith(f"{daemon} refuses the file rendered for it: ")
    assert said in words
