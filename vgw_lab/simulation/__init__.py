"""A pair in a simulated world: the product's own judgement on both nodes, and all else a model; driven by one integer.

No time passes, no thread runs and nothing is written, so a minute takes some hundredths of a second, and what was found once is found again.
Read in this order. The world: `timeline` (what is due, and the nodes' clocks), `wires`, `connections` with `kernel`, the models of
`keepalived` and `conntrackd`, `outside` (the doors of an agent), `agent` with `life` (when it runs), `around`, `node`, `traffic`, `world`, `pairs` (the
files that they go by). What happens: `operator`, `lies` and `faults` (the grammar). What must be so: `truths` and `invariants`. And `histories`, `shrink`,
`story`: a history by its integer, the shortest that breaks the same, and how it is told.
"""
