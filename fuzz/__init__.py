"""The API against what a schema's reader may send it, and may not: `make fuzz`, and a short form of it in CI."""
