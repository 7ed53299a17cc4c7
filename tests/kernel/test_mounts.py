"""A mounted file whose place another takes outside, as an editor, git and `sed -i` do: the kernel says so, and so do we."""

import subprocess
from pathlib import Path

import pytest

from appliance import NoConfiguration
from appliance.site import this_node
from tests.kernel.conftest import Namespace


def test_only_a_mount_of_the_folder_shows_the_new_file(
    namespace: Namespace, cases: dict[str, Path], tmp_path: Path
) -> None:
    outside, alone, folder = tmp_path / "outside", tmp_path / "alone.yaml", tmp_path / "folder"
    for place in (outside, folder):
        place.mkdir()
    file = outside / "gateway.yaml"
    file.write_text(cases["01-standard"].read_text())
    alone.touch()

    def body() -> None:
        for source, at in ((file, alone), (outside, folder)):
            subprocess.run(["mount", "--bind", source, at], check=True)
        assert this_node.read(alone)[1] == this_node.read(folder / file.name)[1]
        subprocess.run(["sed", "-i", "s/203.0.113.99/203.0.113.98/", file], check=True)
        assert "203.0.113.98" in this_node.read(folder / file.name)[1]
        with pytest.raises(NoConfiguration, match="mount the folder in place of the file"):
            this_node.read(alone)

    namespace(body)
