"""Tests of the admin in a real browser, and screenshots for the docs."""
