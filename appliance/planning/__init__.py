"""From the configuration to the whole wanted machine, as data. Pure.

Read in this order: `wanted` (the nouns: routes, files, a Site, a Plan), `plan` (the function), `ruleset`
(a firewall in neutral words), `firewall`, `nat`, `services` and `lease` (the rules), `virtual_macs`,
`daemon_files` (by the templates). The nouns stand below the rest, so a driver imports `wanted` and nothing that makes a plan.
"""
