"""The text of every file we write: each daemon's configuration, and netplan for the machines behind."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from appliance import __version__
from appliance.config.model import Config, Failback
from appliance.planning import virtual_macs
from appliance.planning.wanted import File, Site
from appliance.run_dir import RunDir

# What conntrackd has room for: four times a large gateway's table. A bulk update goes out faster than
# the peer takes it in, so its queue and the socket's buffer (in bytes) must hold all of it.
MOST_ENTRIES = 1 << 20
SYNC_BUFFER = 64 << 20
# What the kernel reports of flows, in bytes. A report that finds no room is lost, and where it told of
# an end the replica stays. A full table that fills and is emptied at once was seen to need 187 MB.
EVENT_BUFFER = 256 << 20

_templates = Environment(
    loader=PackageLoader("appliance.planning"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - these are no web pages; config admits no character that could do harm
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def files(config: Config, node: str, site: Site) -> tuple[File, ...]:
    """The files of one node's daemons; they are the same in every role."""
    run_dir = site.run_dir
    return (
        File(run_dir.conntrackd_conf.name, conntrackd(config, node, site)),
        File(run_dir.conntrackd_args.name, conntrackd_args(config, run_dir)),
        File(run_dir.refresh_args.name, refresh_args(config, run_dir)),
        File(run_dir.keepalived_conf.name, keepalived(config, node, site)),
        File(run_dir.supervisord_conf.name, supervisord(config, node, site)),
    )


def conntrackd(config: Config, node: str, site: Site) -> str:
    """conntrackd.conf(5): flows are told to the peer as they change, and go into its kernel at once."""
    me, peer = config.nodes[node], config.nodes[config.peer_of(node)]
    own = [address.ip for one in (me, peer) for address in (one.lan, one.wan) if address]
    ignored = [
        "127.0.0.0/8",
        *sorted({me.sync.network, peer.sync.network}),
        *sorted({*own, config.vgw.address.ip, config.wan.address.ip}),
        *config.sync.except_,
    ]
    return _render(
        "conntrackd.conf.j2",
        config=config,
        node=node,
        me=me,
        peer=peer,
        interfaces=site.interfaces,
        run_dir=site.run_dir,
        ignored=list(dict.fromkeys(map(str, ignored))),
        most_entries=MOST_ENTRIES,
        buffer=SYNC_BUFFER,
        event_buffer=EVENT_BUFFER,
        large_buffers=site.versions.large_buffers,
    )


def conntrackd_args(config: Config, run_dir: RunDir) -> str:
    """The words of `conntrack.start_conntrackd`."""
    return _words(
        ("--vgw", config.vgw.address.ip),
        ("--wan-vip", config.wan.address.ip),
        ("--conf", run_dir.conntrackd_conf),
        ("--left", run_dir.conntrackd_lock, run_dir.conntrackd_socket),
    )


def refresh_args(config: Config, run_dir: RunDir) -> str:
    """The words of `conntrack.replica_refresh`."""
    timeouts = config.timeouts
    return _words(
        ("--address", config.vgw.address.ip),
        ("--held", run_dir.touches_held),
        ("--udp", timeouts.udp),
        ("--udp-stream", timeouts.udp_stream),
        ("--icmp", timeouts.icmp),
        ("--tcp-established", timeouts.tcp_established),
    )


def _words(*options: tuple[object, ...]) -> str:
    """A word a line, as argparse reads them from a file (`fromfile_prefix_chars`)."""
    return "".join(f"{word}\n" for option in options for word in option)


def keepalived(config: Config, node: str, site: Site) -> str:
    """keepalived.conf(5), with no word that the installed version does not parse."""
    return _render(
        "keepalived.conf.j2",
        config=config,
        node=node,
        me=config.nodes[node],
        peer=config.nodes[config.peer_of(node)],
        interfaces=site.interfaces,
        homes=virtual_macs.homes(config, site.interfaces, site.names),
        run_dir=site.run_dir,
        Failback=Failback,
        # Standing aside, a node ranks below the peer.
        step_aside=abs(config.nodes[node].priority - peer_priority(config, node)) + 1,
        # Both words came with 2.2.8.
        knows_timer_expired_backup=site.versions.keepalived >= (2, 2, 8),
    )


def peer_priority(config: Config, node: str) -> int:
    """The priority of the other node."""
    return config.nodes[config.peer_of(node)].priority


def supervisord(config: Config, node: str, site: Site) -> str:
    """supervisord's configuration: which daemons run, in which order they stop."""
    return _render(
        "supervisord.conf.j2",
        config=config,
        node=node,
        run_dir=site.run_dir,
        python=site.python,
        config_path=site.config_path,
    )


def netplan(config: Config, machine: str) -> str:
    """The netplan file of a machine behind: its address, and the VGW as its way out."""
    return _render(
        "netplan.yaml.j2", name=machine, machine=config.machines[machine], vgw=config.vgw.address.ip
    )


def _render(template: str, **words: Any) -> str:
    return _templates.get_template(template).render(version=__version__, **words)
