"""What is measured while a fault is injected, and what must hold: invariants, tables, load, checks."""
