"""The machine, as the gateway finds it.

Read in this order: `this_node` (which file, which node), `accepted` (what to go by where the file is
broken), `locate` (which interface is which, pure), `preflight` (may it start here? pure),
`preflight_facts` (what was seen), `probes` (one look each).
"""
