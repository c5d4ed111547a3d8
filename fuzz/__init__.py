"""Fuzz tests of the API with schemathesis: `make fuzz`, and a short run in CI."""
