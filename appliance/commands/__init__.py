"""What an operator types: `cli` is `vgw`, `operate` asks a node that runs, `switchover` hands over.

`plan_text` prints a plan.
"""
