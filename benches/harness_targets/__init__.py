"""Targets for the harness of `make bench-peers`: modules that it finds beside its own `targets`."""
