"""Failures grouped by a fingerprint. It is made of the stored, masked texts of a failure, after the write: a scan reads
the attempts that ended (scan.py)."""
