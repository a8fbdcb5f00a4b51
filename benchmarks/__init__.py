"""Measurements, each a command of its own: see docs/benchmarks.md."""
