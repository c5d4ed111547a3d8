"""Executions over HTTP. A view finds the row that the caller may see, and says the verb; the ledger decides."""
