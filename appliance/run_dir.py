"""The run directory: the name of every file that a node keeps there. Nobody else spells one. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "/run/vgw"  # unless VGW_RUN_DIR says another one
STATUS = "status.json"


class RunDir(NamedTuple):
    """Where a node's files, sockets and notes lie; mode 0700.

    The health check reads one of them, each ten seconds. For its sake this is no dataclass, and pathlib is
    imported only when a path is asked for: each would cost it a fifth of its time.
    """

    place: "str | Path" = PLACE

    def __str__(self) -> str:
        return str(self.place)

    @classmethod
    def named_in(cls, environment: Mapping[str, str]) -> Self:
        """The one that VGW_RUN_DIR names, else the usual one."""
        return cls(environment.get("VGW_RUN_DIR", PLACE))

    @property
    def path(self) -> "Path":
        """The directory itself."""
        return _path(self.place)

    # What the agent tells: for keepalived, for commands, for its successor.

    @property
    def ready(self) -> "Path":
        """1: this node may be MASTER. keepalived tracks it."""
        return self.path / "ready"

    @property
    def aside(self) -> "Path":
        """1: this node ranks below its peer. keepalived tracks it."""
        return self.path / "aside"

    @property
    def asked_aside(self) -> "Path":
        """There while a switchover has given the VGW to the peer; it outlives the agent."""
        return self.path / "asked-aside"

    @property
    def keepalived_away(self) -> "Path":
        """There while keepalived is stopped for a change of the file, and has yet to be started again."""
        return self.path / "keepalived-away"

    @property
    def settled(self) -> "Path":
        """The role and the conntrackd that the steps of replication were taken for."""
        return self.path / "settled"

    @property
    def accepted(self) -> "Path":
        """The configuration that was taken up last, as it was given."""
        return self.path / "accepted.yaml"

    @property
    def status(self) -> "Path":
        """What the agent last saw and did, as JSON."""
        return self.path / STATUS

    @property
    def events(self) -> "Path":
        """The events, a JSON line each."""
        return self.path / "events.jsonl"

    @property
    def agent_socket(self) -> "Path":
        """Where the agent answers commands; one that was killed leaves it."""
        return self.path / "agent.sock"

    @property
    def failed(self) -> "Path":
        """Why the node had to end; there only where it had to."""
        return self.path / "failed"

    @property
    def notes(self) -> "tuple[Path, ...]":
        """What tells of a node that runs, and is taken away with it."""
        told = (self.status, self.ready, self.aside, self.asked_aside, self.settled)
        return (*told, self.accepted, self.agent_socket, self.keepalived_away)

    # What the drivers keep.

    @property
    def lock(self) -> "Path":
        """Held by whoever changes the machine."""
        return self.path / "lock"

    @property
    def ruleset_digests(self) -> "Path":
        """The ruleset as it was loaded, and as the kernel then listed it."""
        return self.path / "nftables.json"

    # The daemons' files.

    @property
    def keepalived_conf(self) -> "Path":
        """keepalived.conf(5)."""
        return self.path / "keepalived.conf"

    @property
    def keepalived_pid(self) -> "Path":
        """The process id of keepalived."""
        return self.path / "keepalived.pid"

    @property
    def vrrp_pid(self) -> "Path":
        """The process id of keepalived's VRRP child."""
        return self.path / "vrrp.pid"

    @property
    def touches_held(self) -> "Path":
        """Touched as long as nobody but the resync may touch entries of the connection table."""
        return self.path / "touches-held"

    @property
    def notify_fifo(self) -> "Path":
        """Where keepalived writes each change of role."""
        return self.path / "notify.fifo"

    @property
    def conntrackd_conf(self) -> "Path":
        """conntrackd.conf(5)."""
        return self.path / "conntrackd.conf"

    @property
    def conntrackd_args(self) -> "Path":
        """The words with which conntrackd is started, a line each."""
        return self.path / "conntrackd.args"

    @property
    def refresh_args(self) -> "Path":
        """The words of the refresher, a line each."""
        return self.path / "refresh.args"

    @property
    def rendered(self) -> "tuple[Path, ...]":
        """The files that the plan makes for programs."""
        words = (self.conntrackd_args, self.refresh_args)
        return (self.conntrackd_conf, *words, self.keepalived_conf, self.supervisord_conf)

    @property
    def conntrackd_lock(self) -> "Path":
        """conntrackd's lock; one that was killed leaves it."""
        return self.path / "conntrackd.lock"

    @property
    def conntrackd_socket(self) -> "Path":
        """Where conntrackd takes orders; one that was killed leaves it."""
        return self.path / "conntrackd.ctl"

    @property
    def supervisord_conf(self) -> "Path":
        """supervisord's configuration."""
        return self.path / "supervisord.conf"

    @property
    def supervisord_pid(self) -> "Path":
        """The process id of supervisord."""
        return self.path / "supervisord.pid"

    @property
    def supervisor_socket(self) -> "Path":
        """Where supervisord answers."""
        return self.path / "supervisor.sock"


@cache
def _path(place: "str | Path") -> "Path":
    from pathlib import Path

    return Path(place)
