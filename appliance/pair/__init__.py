"""The two nodes as a pair: what this node hears, what follows of it, and what it says and does.

Heard: `beat` (what the agents tell each other), `peer`, `terms` (what the file says), `facts` (all that is known at one
moment), `ears` (they make the facts). Follows, pure: `judgement` (all of it by one function), `readiness` (may this node be MASTER?),
`degraded` (could a takeover lose flows?), `replication` with its parts `replication_master` and `replication_standby` and what is remembered, `replication_state`, `steps` (who owns the entries), `resync` (a request for all
of them) and `canaries`; `sync_path` (how long a packet does the sync link carry?), `mac_frames`, `contest` (was a takeover for nothing?), `standstill` (did a MASTER stand still?), and beside them `election` (does keepalived take part?) and `turn` (whose turn is it to go by a new file?). `changed` copies what is remembered where it differs. Done: `deeds` (as data), `voice` (it carries them out).
`doors` is what is outside the process, `node_files` what lies in the run directory; `side` puts ears, judgement and voice together; `pair_status` tells of it.
"""
