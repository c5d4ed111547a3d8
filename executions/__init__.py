"""The execution ledger, a Django app."""

__version__ = "0.1.0"
