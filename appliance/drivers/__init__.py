"""The drivers: each knows one kind of kernel object or daemon, and nothing of the YAML.

A driver has two verbs: `diff(wanted)` reads and returns what differs, `apply(changes)` writes.
"""
