"""A machine's links, addresses, routes and rules behind an `IPRoute` that asks no kernel."""

import errno
from typing import Any, Self

import pytest

from appliance.rtnetlink import NetlinkError

Item = dict[str, Any]


class Machine:
    """What the kernel keeps; the methods are pyroute2's, as far as ours call them."""

    def __init__(self) -> None:
        self.links: dict[int, Item] = {}
        self.addresses: list[Item] = []
        self.routes: list[Item] = []
        self.rules: list[Item] = []
        self.refuses: int = 0
        """The error number of every change."""
        self.add_link("lo", up=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def add_link(self, name: str, *, up: bool = False, mac: str = "00:00:00:00:00:00") -> int:
        """A link as a kernel has it, and its index."""
        index = max(self.links, default=0) + 1
        self.links[index] = {
            "index": index,
            "flags": int(up),
            "IFLA_IFNAME": name,
            "IFLA_ADDRESS": mac,
            "IFLA_OPERSTATE": "UP" if up else "DOWN",
        }
        return index

    def add_address(self, name: str, address: str) -> None:
        """An address with its length, on a link by its name."""
        local, _, length = address.partition("/")
        item = {"index": self.index_of(name), "IFA_LOCAL": local, "prefixlen": int(length)}
        self.addresses.append(item)

    def index_of(self, name: str) -> int:
        """As if_nametoindex(3)."""
        for index, link in self.links.items():
            if link["IFLA_IFNAME"] == name:
                return index
        raise OSError(errno.ENODEV, "no interface with this name")

    def names(self) -> list[tuple[int, str]]:
        """As if_nameindex(3)."""
        return [(index, link["IFLA_IFNAME"]) for index, link in self.links.items()]

    def get_links(self) -> list[Item]:
        return list(self.links.values())

    def get_addr(self, *, family: int) -> list[Item]:
        return list(self.addresses)

    def get_routes(self, *, proto: int) -> list[Item]:
        return list(self.routes)

    def get_rules(self, *, family: int) -> list[Item]:
        return list(self.rules)

    def addr(self, order: str, *, index: int, address: str, prefixlen: int) -> None:
        assert order == "del"
        self._may()
        self.addresses = [one for one in self.addresses if one["IFA_LOCAL"] != address]

    def link(self, order: str, **what: Any) -> None:
        self._may()
        if order == "del":
            del self.links[what["index"]]
        elif order == "add":
            link = self.links[self.add_link(what["ifname"], mac=what["address"])]
            link["IFLA_LINK"] = what["link"]
            link["IFLA_LINKINFO"] = {"IFLA_INFO_KIND": what["kind"]}
        elif what.get("state") == "up":
            self.links[what["index"]]["flags"] = 1

    def route(self, order: str, **what: Any) -> None:
        self._may()
        address, _, length = what["dst"].partition("/")
        item = {
            "dst_len": int(length),
            "table": what["table"] if what["table"] < 256 else 252,
            "proto": what["proto"],
            "RTA_TABLE": what["table"],
            "RTA_DST": address if int(length) else None,
            "RTA_GATEWAY": what["gateway"],
            "RTA_OIF": what["oif"],
            "RTA_PREFSRC": what.get("prefsrc"),
        }
        place = [item["RTA_TABLE"], item["RTA_DST"], item["dst_len"]]
        before = len(self.routes)
        self.routes = [
            one
            for one in self.routes
            if [one["RTA_TABLE"], one["RTA_DST"], one["dst_len"]] != place
        ]
        if order == "replace":
            self.routes.append(item)
        elif len(self.routes) == before:
            raise NetlinkError(errno.ESRCH, "No such process")

    def rule(self, order: str, **what: Any) -> None:
        self._may()
        item = {
            "action": what["action"],
            "table": 0,
            "FRA_PROTOCOL": what["protocol"],
            "FRA_PRIORITY": what["priority"],
            "FRA_TABLE": what.get("table"),
            "FRA_FWMARK": what.get("fwmark"),
            "FRA_IIFNAME": what.get("iifname"),
            "FRA_SUPPRESS_PREFIXLEN": what.get("FRA_SUPPRESS_PREFIXLEN"),
        }
        if (order == "add") == (item in self.rules):
            code = errno.EEXIST if order == "add" else errno.ENOENT
            raise NetlinkError(
                code, "File exists" if order == "add" else "No such file or directory"
            )
        (self.rules.append if order == "add" else self.rules.remove)(item)

    def _may(self) -> None:
        if self.refuses:
            raise NetlinkError(self.refuses, "Operation not permitted")


def machine(monkeypatch: pytest.MonkeyPatch, *modules: str) -> Machine:
    """One that these modules find in the kernel's place."""
    found = Machine()
    for module in modules:
        monkeypatch.setattr(f"{module}.IPRoute", lambda: found)
    monkeypatch.setattr("socket.if_nametoindex", found.index_of)
    monkeypatch.setattr("socket.if_nameindex", found.names)
    return found
