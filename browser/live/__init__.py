"""Tests of live pages: what another process writes appears without a reload."""
