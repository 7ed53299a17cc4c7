"""What a node tells of itself: `node_status` (JSON, rows, health), `metrics`, `ledger` (events)."""
