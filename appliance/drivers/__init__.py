"""The drivers: each knows one kind of object, and nothing of the YAML.

A driver has two verbs: `diff(wanted)` reads and returns what differs, `apply(changes)` writes. They are
`nftables`, `links`, `sysctl` (with `devconf`), `routes`, `xfrm` and `files`.
"""
