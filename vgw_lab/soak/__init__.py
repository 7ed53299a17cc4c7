"""Faults at random, by one integer: a lab lives through them, and every invariant holds; else the shortest story is told."""
