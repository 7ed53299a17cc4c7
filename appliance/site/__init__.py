"""The machine, as the gateway finds it.

Read in this order: `this_node` (which file, which node, which interfaces), `preflight` (may it start
here? a pure judgement), `preflight_facts` (what was seen), `probes` (one look each).
"""
