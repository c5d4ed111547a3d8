"""The tasks of `manage.py upkeep`, one module each, and what runs them one after another.

Each task does nothing where nothing is due, and continues where an earlier call was interrupted, at whatever point.
"""
