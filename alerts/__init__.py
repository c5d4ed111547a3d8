"""Expectations of workflows, and alerts when one is missed or a run fails. Nothing of it is on the path of a write."""
