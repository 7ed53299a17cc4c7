"""The kernel's connection table, and conntrackd, which tells the peer of it.

Read in this order: `ctnetlink` (the kernel's messages, pure), `table` (counts, canaries, touches), `orders`
(neutral words, pure), `conntrackd` (its options, counters and queues), `start_conntrackd` (what becomes of the
table before it runs), `replica_refresh` and `kept_ports` (processes of their own that touch entries), `passing` (which flows
two files let pass, pure), `permissions` (what a file lets pass, pure), `end_flows` (the process that ends flows) and `ending` (the door to it).
"""
