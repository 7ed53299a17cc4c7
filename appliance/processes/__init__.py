"""supervisord and the programs that it runs on a node.

Read in this order: `supervise` (the node's first process), `deaths` (when a program is given up),
`programs` (their states, and signals to them), `notes` (short files by which they tell each other), `versions`.
"""
