"""What is heard and said on the networks: sockets and counters, without a judgement.

`beat_socket` (beats by the sync link), `adverts` (VRRP's), `uplink` (does the way out answer?), `lan_traffic`
(does anything come in?), `arp` (of virtual MACs), `claims` (who says that an address is its own?), `neighbours`, `local_address` (is an address ours?), `queue` (what waits at a socket).
"""
