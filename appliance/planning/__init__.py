"""From the configuration to the whole wanted machine, as data. Pure.

Read in this order: `plan` (the function), `ruleset` (a firewall in neutral words), `firewall` and
`nat` (the rules), `virtual_macs`, `daemon_files` (by the templates), `change` (what a driver reports).
"""
