"""The two nodes as a pair: what this node hears of its peer, and what follows for its own readiness.

Read in this order: `beat` (what the agents tell each other), `peer`, `readiness` (may this node be
MASTER?), `election` (does keepalived take part?), `degraded` (could a takeover lose flows?), `steps` (what conntrackd has to be told), `resync`
(a request for all entries), `replicas` (do flows arrive?), `lan_presence` (frames), `side` (all of it
together), `pair_status`.
"""
