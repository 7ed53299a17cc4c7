"""Kernel settings under /proc/sys (sysctl(8)). They cannot be owned: what is set, stays set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance import (
    ApplianceError,
    MissingInterface,
    MissingKernelFeature,
    ReadOnlySysctl,
    system,
)
from appliance.drivers import devconf
from appliance.planning.wanted import Change

ROOT = Path("/proc/sys")


def forwarding(interface: str) -> str:
    """The setting that lets packets from this interface be passed on."""
    return f"net.ipv4.conf.{interface}.forwarding"


def path_of(key: str) -> Path:
    """The file of a setting. An interface's name may hold dots, as in `net.ipv4.conf.eth0.10.mtu`."""
    parts = key.split(".")
    if parts[:3] in (["net", "ipv4", "conf"], ["net", "ipv4", "neigh"]) and len(parts) > 5:
        parts = [*parts[:3], ".".join(parts[3:-1]), parts[-1]]
    return ROOT.joinpath(*parts)


def diff(wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs, in the order of `wanted`. Reads only. Raises MissingKernelFeature, MissingInterface."""
    changes = []
    for key, value in wanted.items():
        actual = system.read(path_of(key))
        if actual is None:
            raise _missing(key, value)
        if actual.split() != value.split():
            what = f"sysctl {key} = {value} (is {' '.join(actual.split())})"
            changes.append(Change("~", what, (key, value)))
    return tuple(changes)


def apply(changes: Sequence[Change]) -> None:
    """Write the settings that differ. Raises ReadOnlySysctl with the remedy, at the first refusal."""
    for change in changes:
        key, value = change.payload
        try:
            _write(key, value)
        except OSError as error:
            raise ReadOnlySysctl(_refused(key, value, error.strerror or str(error))) from None


def _write(key: str, value: str) -> None:
    if devconf.knows(key) and not system.writable(path_of(key)):
        devconf.put(key, int(value))
    else:
        path_of(key).write_text(f"{value}\n", encoding="ascii")


def refusals(wanted: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each setting that differs and cannot be written. Reads only."""
    differing: list[tuple[str, str]] = [change.payload for change in diff(wanted)]
    return tuple(
        _refused(key, value, "it is read-only")
        for key, value in differing
        if not system.writable(path_of(key)) and not devconf.knows(key)
    )


def _refused(key: str, value: str, reason: str) -> str:
    return (
        f"sysctl {key} must be {value} and could not be written: {reason}; set it from outside "
        f"(on a host `sysctl -w {key}={value}`, in compose `sysctls: [{key}={value}]`)"
    )


def _missing(key: str, value: str) -> ApplianceError:
    if key.startswith("net.ipv4.conf."):
        return MissingInterface(f"sysctl {key} (wanted: {value}): there is no such interface here")
    module = "nf_conntrack" if "nf_conntrack" in key else "the module that brings it"
    return MissingKernelFeature(
        f"sysctl {key} (wanted: {value}): this kernel has no such setting, so a feature is missing; "
        f"load {module} on the host (`modprobe`), or take the key out of the configuration"
    )
