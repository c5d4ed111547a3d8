"""What the ledger costs, measured: `make bench-api`, `make bench-lists`, `make bench-secrets`."""
