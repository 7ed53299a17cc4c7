"""The lab: the pair, two machines and a small internet in network namespaces, with drills."""
