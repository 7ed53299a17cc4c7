"""The lab: the pair, two machines and a small internet in network namespaces, with drills."""

# How long drills look on that wait for what comes late: past the longest timer that is set at a takeover.
WATCH_SECONDS = 90.0
