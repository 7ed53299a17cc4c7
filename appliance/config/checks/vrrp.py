"""Checks of the VRRP instance: what keepalived would silently correct, and then behave otherwise."""

from collections.abc import Iterator
from itertools import pairwise

from appliance import vrrp
from appliance.config import reserved_names
from appliance.config.model import Config, Failback
from appliance.config.places import Path, Remark
from appliance.config.profiles import PROFILES

STEADY_INTERVAL = 0.1  # seconds; below, an ordinary process can be late by a whole down interval


def interval_fits_version(config: Config) -> Iterator[Remark]:
    """Version 2 counts whole seconds in 8 bits, version 3 centiseconds in 12 (RFC 9568, 5.2.7)."""
    vgw = config.vgw
    seconds = vgw.advert_interval
    path = ("vgw", "advert_interval")
    if vgw.vrrp_version == 2:
        if seconds in range(1, 256):
            return
        if _from_profile(config, "advert_interval"):
            yield Remark(
                ("vgw", "vrrp_version"),
                f"version 2 allows whole seconds 1-255, and profile {vgw.profile} sets "
                f"advert_interval {seconds:g}; add advert_interval: 1, or choose profile: classic",
            )
        else:
            yield Remark(
                path,
                f"{seconds:g} s needs VRRP version 3 (version 2 allows whole seconds 1-255); write "
                "vrrp_version: 3, or whole seconds",
            )
        return
    nearest = min(max(round(seconds, 2), 0.01), 40.95)
    if abs(seconds - nearest) > 1e-9:
        yield Remark(
            path, f"{seconds:g} s must be 0.01-40.95 s in steps of 0.01; write {nearest:g}"
        )


def interval_is_steady(config: Config) -> Iterator[Remark]:
    """A short interval asks for a scheduler that keeps it."""
    vgw = config.vgw
    if not 0.01 <= vgw.advert_interval < STEADY_INTERVAL or vgw.realtime_priority > 0:
        return
    lowest = min(node.priority for node in config.nodes.values())
    down = vrrp.master_down_interval(vgw.vrrp_version, lowest, vgw.advert_interval)
    yield Remark(
        ("vgw", "advert_interval"),
        f"{vgw.advert_interval:g} s without realtime_priority: on a busy machine keepalived can be "
        f"late by more than the {down:.2g} s that the BACKUP waits, and the role moves for nothing; "
        f"add realtime_priority: 20, or write {STEADY_INTERVAL:g} or more",
        "warning",
    )


def never_fails_back(config: Config) -> Iterator[Remark]:
    """`failback: never` is keepalived's nopreempt, which excludes three other settings."""
    vgw = config.vgw
    if vgw.failback is not Failback.NEVER:
        return
    for name, node in config.nodes.items():
        if node.initial_state == "MASTER":
            yield Remark(
                ("nodes", name, "initial_state"),
                "MASTER would take the role back at every start, which vgw.failback: never forbids; "
                "write BACKUP or leave it out",
            )
    if vgw.preempt_delay > 0:
        yield Remark(
            ("vgw", "preempt_delay"),
            f"{vgw.preempt_delay:g} s is a wait before the failback that failback: never forbids; "
            "keep one of the two",
        )


def trackers_can_act(config: Config) -> Iterator[Remark]:
    """With nopreempt a lower priority moves nothing: only a FAULT does."""
    if config.vgw.failback is not Failback.NEVER:
        return
    for index, tracked in enumerate(config.vgw.track_interfaces):
        if tracked.weight != 0:
            yield Remark(
                ("vgw", "track_interfaces", index, "weight"),
                f"{tracked.interface} has weight {tracked.weight}, which with failback: never can "
                "never cause a takeover; write weight: 0",
            )


def password_is_used(config: Config) -> Iterator[Remark]:
    """Version 3 has no authentication (RFC 5798, section 9), so a password protects nothing."""
    vgw = config.vgw
    if vgw.vrrp_version == 2 or vgw.auth_pass is None:
        return
    if _from_profile(config, "auth_pass"):
        yield Remark(
            ("vgw", "vrrp_version"),
            f"version 3 has no password, and profile {vgw.profile} sets auth_pass; add "
            "auth_pass: null, or choose profile: standard",
        )
    else:
        yield Remark(
            ("vgw", "auth_pass"),
            "VRRP version 3 has no password, so this one would protect nothing; remove it, or write "
            "vrrp_version: 2",
        )


def virtual_macs_can_work(config: Config) -> Iterator[Remark]:
    """The standby asks for its neighbours' MACs before it holds an address that moves."""
    if not config.vgw.virtual_mac:
        return
    for name, node in config.nodes.items():
        if node.wan is None:
            yield Remark(
                ("nodes", name),
                f"{name} has no wan address, and {_asks_for_virtual_macs(config)}: the standby could "
                "not ask for the upstream router's MAC without telling it a wrong one; give both "
                "nodes a wan address, or choose profile: standard",
            )
    named = [(part, getattr(config, part)) for part in ("lan", "wan", "sync")]
    tracked = enumerate(config.vgw.track_interfaces)
    places: list[tuple[Path, str | None]] = [
        *(((part, "interface"), network.interface) for part, network in named),
        *((("vgw", "track_interfaces", at, "interface"), one.interface) for at, one in tracked),
    ]
    for path, interface in places:
        if interface in reserved_names.NAMES:
            yield Remark(
                path,
                f"{interface} is the name of an interface that the gateway makes itself with "
                "virtual_mac: true; give yours another name",
            )


def conntrackd_can_name_the_sync_interface(config: Config) -> Iterator[Remark]:
    """conntrackd's parser refuses some names, and would end both nodes."""
    interface = config.sync.interface
    if interface is not None and not reserved_names.conntrackd_reads(interface):
        yield Remark(("sync", "interface"), reserved_names.unreadable(interface))


def _asks_for_virtual_macs(config: Config) -> str:
    if _from_profile(config, "virtual_mac"):
        return f"profile {config.vgw.profile} sets virtual_mac"
    return "vgw.virtual_mac is true"


def two_nodes(config: Config) -> Iterator[Remark]:
    """A pair is two."""
    names = list(config.nodes)
    if len(names) != 2:
        listed = f" ({', '.join(names)})" if names else ""
        yield Remark(
            ("nodes",),
            f"has {len(names)} node{'s' * (len(names) != 1)}{listed}, but a pair has exactly 2, such as master and backup",
        )


def priorities_differ(config: Config) -> Iterator[Remark]:
    """Equal priorities leave the choice to the addresses."""
    for (first, one), (second, other) in pairwise(config.nodes.items()):
        if one.priority == other.priority:
            yield Remark(
                ("nodes", second, "priority"),
                f"priorities must differ ({first}={one.priority}, {second}={other.priority}): the "
                "higher one is MASTER; write for example 100 and 90",
            )


def _from_profile(config: Config, key: str) -> bool:
    value: object = getattr(config.vgw, key)
    return value == PROFILES[config.vgw.profile].get(key)


VRRP_CHECKS = (
    interval_fits_version,
    interval_is_steady,
    never_fails_back,
    trackers_can_act,
    password_is_used,
    virtual_macs_can_work,
    conntrackd_can_name_the_sync_interface,
    two_nodes,
    priorities_differ,
)
