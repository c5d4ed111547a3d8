"""Benchmarks of the ledger: `make bench-lists`, `make bench-secrets`."""
