"""The sentence for each thing that can be wrong with a single value or key of the file."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import ErrorDetails

from appliance.config import schema
from appliance.config.places import Path, Remark, path_text
from appliance.config.scalars import quoted

_NEVER_RANDOM = (
    "the gateways keep each flow's port, so that a flow the peer has not learnt yet goes on after "
    "a takeover; remove this key"
)
_TO_THE_VIP = (
    "masquerade takes the address of the node, which does not move at a takeover: every session "
    "would end; leave it out, and flows leave from the WAN VIP"
)
# Keys of keepalived, of iptables and of habit: what to do instead.
FOREIGN = {
    "advert_int": "write vgw.advert_interval",
    "auth_type": "with vrrp_version 2, vgw.auth_pass alone switches it on; remove this key",
    "authentication": "write vgw.auth_pass, with vrrp_version 2",
    "fully-random": _NEVER_RANDOM,
    "fully_random": _NEVER_RANDOM,
    "masquerade": _TO_THE_VIP,
    "nopreempt": "write 'failback: never' under vgw",
    "random": _NEVER_RANDOM,
    "random-fully": _NEVER_RANDOM,
    "snat_to": "write nat.source[].to",
    "state": "write initial_state under the node, or leave it out",
    "unicast_peer": "each node is the peer of the other in 'nodes'; remove this key",
    "unicast_src_ip": "it is the node's own address, 'lan' under nodes; remove this key",
    "virtual_ipaddress": "write vgw.address",
    "vrid": "write vgw.virtual_router_id",
    "vrrp_strict": "it refuses unicast and virtual addresses of its own; remove this key",
}


def remarks(details: ErrorDetails, path: Path, written: dict[str, Any]) -> Iterator[Remark]:
    """What the operator is told about one error that pydantic found at `path`."""
    kind, value = details["type"], details["input"]
    if kind == "too_short" and value:
        return  # its entries are wrong, and that is said of each
    if kind == "extra_forbidden":
        yield Remark(path, _unknown_key(path, written), on_key=True)
    elif kind == "missing":
        if not _misspelt(path, value):
            yield Remark(path, f"is missing; write for example {_example(path)}")
    elif kind == "value_error":
        yield Remark(path, _wrong_value(details, path), on_key=is_about_key(details))
    elif kind in ("literal_error", "enum"):
        yield Remark(path, _choice(value, details["ctx"]["expected"]))
    else:
        yield Remark(path, _shape(kind, value, path))


def is_about_key(details: ErrorDetails) -> bool:
    """Whether the error is about a key that the operator chose, not about the value there."""
    return details["type"] == "value_error" and details["loc"][-1] == "[key]"


def _wrong_value(details: ErrorDetails, path: Path) -> str:
    if details["input"] is None:
        return f"is empty; write for example {_example(path)}"
    return _TO_THE_VIP if details["input"] == "masquerade" else str(details["ctx"]["error"])


def _shape(kind: str, value: object, path: Path) -> str:
    if kind == "too_short" or value is None:
        return f"is empty; write for example {_example(path)}"
    wanted = "a list" if kind == "tuple_type" else "a map of keys and values"
    return f"{quoted(value)} is not {wanted}; write for example {_example(path)}"


def _choice(value: object, expected: str) -> str:
    """`expected` is pydantic's own list, such as "'plain', 'gated' or 'never'"."""
    return f"{quoted(value)} must be {expected}{_nearest(value, re.findall('[a-zA-Z]+', expected))}"


def _example(path: Path) -> str:
    """What could stand at `path`, with its key: `address: 192.168.100.99/24`."""
    text = schema.example(path)
    return text if isinstance(path[-1], int) else f"`{path_text(path[-1:])}: {text}`"


def _misspelt(path: Path, siblings: dict[str, Any]) -> bool:
    """Whether a key beside `path` is a slip for it: then that key alone is the mistake."""
    known = schema.keys(path[:-1])
    strange = (key for key in siblings if key not in known)
    return any(difflib.get_close_matches(key, known, n=1) == [path[-1]] for key in strange)


def _nearest(value: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(value), known, n=1)
    return f"; did you mean {quoted(near[0])}?" if near else ""


def _unknown_key(path: Path, written: dict[str, Any]) -> str:
    key, parent = str(path[-1]), path[:-1]
    if path[0] == "nodes" and len(path) == 3 and key in schema.keys(("vgw",)):
        return _shared_key(key, written["nodes"])
    if key in FOREIGN:
        return f"is not a key of this file: {FOREIGN[key]}"
    known = schema.keys(parent)
    homes = [where for where, keys in schema.sections() if key in keys]
    near = _nearest(key, known)
    if homes and not near:
        return f"does not belong here but under {' or '.join(homes)}"
    return f"is not a known key{near or '; known here: ' + ', '.join(known)}"


def _shared_key(key: str, nodes: dict[str, Any]) -> str:
    """A key of the VRRP instance that stands under a node, where the two could differ."""
    values = [
        f"{path_text((name,))} has {quoted(node[key])}"
        for name, node in nodes.items()
        if isinstance(node, dict) and key in node
    ]
    return f"both nodes must share one value ({', '.join(values)}); move it to vgw.{key}"
