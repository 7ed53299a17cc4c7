"""The kernel's settings that make the machine this gateway, whatever the file says (sysctl(8))."""

_CONF = "net.ipv4.conf.all"
_CONNTRACK = "net.netfilter.nf_conntrack"

# Sources: ip-sysctl and nf_conntrack-sysctl of the kernel's documentation.
FIXED = {
    # An address is answered for, and named in ARP, on its own interface only.
    f"{_CONF}.arp_ignore": 1,
    f"{_CONF}.arp_announce": 2,
    # The VGW shares its prefix with the node's address and must outlive its removal.
    f"{_CONF}.promote_secondaries": 1,
    f"{_CONF}.accept_redirects": 0,
    f"{_CONF}.accept_source_route": 0,
    f"{_CONF}.send_redirects": 0,
    f"{_CONF}.rp_filter": 1,
    # The way back of a forwarded packet is looked up by our mark too, or its answer is refused.
    f"{_CONF}.src_valid_mark": 1,
    # A flow must go on where a replica, or the middle of a stream, is all a node knows of it.
    f"{_CONNTRACK}_tcp_be_liberal": 1,
    f"{_CONNTRACK}_tcp_loose": 1,
    # 1: every flow announces its changes, also those born before anybody listened.
    f"{_CONNTRACK}_events": 1,
}

# By their last word: an interface's own value would undo what `all` says.
_PER_INTERFACE = {key.rsplit(".", 1)[1] for key in FIXED if key.startswith(_CONF)} | {"forwarding"}


def is_fixed(key: str) -> bool:
    """Whether a setting, also one interface's own, is not the operator's to choose."""
    words = key.split(".")
    return key in FIXED or (words[2:3] == ["conf"] and words[-1] in _PER_INTERFACE)
