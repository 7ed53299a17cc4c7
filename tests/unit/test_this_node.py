"""The file as this machine finds it: what cannot be read is told with the remedy."""

from pathlib import Path

import pytest

from appliance import NoConfiguration
from appliance.site import this_node

GOOD = Path(__file__).parents[1] / "golden" / "01-standard" / "gateway.yaml"
MOUNT = "812 801 254:1 {root} {at} ro,relatime - ext4 /dev/vda rw\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(GOOD.read_bytes())
    return path


@pytest.mark.parametrize(
    ("root", "at", "told"),
    [
        ("/srv/pair/gateway.yaml", "{file}", False),
        ("/srv/pair/gateway.yaml//deleted", "{file}", True),
        ("/srv/pair/other.yaml//deleted", "/etc/other.yaml", False),
        ("/srv/pair/vgw//deleted", "{folder}", False),
    ],
)
def test_a_mounted_file_whose_place_another_has_taken_is_told_and_not_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, at: str, *, told: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    at = at.format(file=file, folder=file.parent)
    mounts.write_text(MOUNT.format(root="/", at="/") + MOUNT.format(root=root, at=at))
    monkeypatch.setattr(this_node, "_MOUNTS", mounts)
    if not told:
        assert this_node.read(file)[1] == GOOD.read_text()
        return
    with pytest.raises(
        NoConfiguration, match="another file has taken its place since it was mounted"
    ):
        this_node.read(file)


def test_a_file_that_is_not_there_is_named_with_where_another_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        NoConfiguration, match="No such file or directory; name the file as argument"
    ):
        this_node.load(tmp_path / "none.yaml")


def test_a_file_that_may_not_be_read_is_told_with_the_command_that_lets_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(type(file)):  # type: ignore[misc]
        """A file that nobody may read; root could any other."""

        def read_bytes(self) -> bytes:
            raise PermissionError(13, "Permission denied")

    with pytest.raises(NoConfiguration, match="`chmod a\\+r` the file"):
        this_node.load(Closed(file))
