"""What a command asks of the agent that runs, and what it answers: the agent alone changes its node's machine.

Read in this order: `words` (a request and its answer, a line of JSON each, pure), `hearing` (the agent's side of the
socket), `asking` (a command's).
"""
