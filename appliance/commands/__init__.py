"""What an operator types: `cli` is `vgw`, `operate` asks a node that runs, `switchover` hands over.

`applying` has the agent take a file up, `plan_text` prints a plan.
"""
