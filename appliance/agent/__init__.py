"""The agent: the one process that decides what this node is, and keeps the machine to the plan.

Read in this order: `loop` (what it waits for, and what follows), `roles` (which role a node has, pure),
`keepalived` (does it take part, and what is it told), `takeover` (the measure of a change of role), `notify` (keepalived's FIFO, and signals), `kernel_events`
(the kernel's own word that something changed).
"""
