"""What a node tells of itself.

Read in this order: `node_status` (the types of status.json), `typed_json` (how it is read strictly),
`status_file`, `health`, `rows`, `metrics` (its faces), `events` (what has happened).
"""
