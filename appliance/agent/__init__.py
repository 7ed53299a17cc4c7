"""The agent: the one process that decides what this node is, and keeps the machine to the plan.

Read in this order: `loop` (what it waits for, and what follows), `look` (one look at the world), `roles` (which role a node
has, pure), `agent` (what is remembered), `requests` (what it was asked), `reload` (the file, read again), `flow_end` (flows that it does not allow any more), `guard` (is the ruleset there?), `answers`
(who answers for the VGW? judged by `claimants`, pure), `keepalived` (does it take part, and what is it told), `takeover` (the measure of a change of role), `upkeep` (repairs and problems, pure),
`snapshot` (what is told), `doors` (to what is outside the process), `sources` (all that is waited for), of which `notify` is
keepalived's FIFO and signals, and `kernel_events` the kernel's own word that something changed.
"""
