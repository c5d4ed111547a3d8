"""The execution ledger, a Django app."""

__version__ = "0.2.0"
