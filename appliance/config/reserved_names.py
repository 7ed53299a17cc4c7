"""Names of interfaces that are ours on every node, so that the file cannot give them to others."""

# The macvlan interfaces that bear the virtual MACs.
LAN = "vgw-lan"
WAN = "vgw-wan"
NAMES = frozenset({LAN, WAN})
