"""The project: settings, URLs, middleware, `manage.py serve`. It contains no domain logic."""
