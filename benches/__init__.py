"""Benchmarks of the ledger: `make bench-api`, `make bench-lists`, `make bench-secrets`."""
