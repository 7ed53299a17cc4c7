"""Where a pair runs under test: namespaces, containers, or somebody's own two machines.

Read in this order: `topology` (what is wired to what), `running` (a lab that is up, whatever runs it),
`namespaces`, `nodes`, `world`, `entry` (processes in a world), `containers`, `engine`, `compose`,
`install` (somebody's own pair), `labs` (by name), `internet`, `capture`, `reaper`.
"""
