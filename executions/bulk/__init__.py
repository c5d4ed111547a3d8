"""Bulk actions: the runs that match a filter are chosen once, and one verb is called for each in the background."""
