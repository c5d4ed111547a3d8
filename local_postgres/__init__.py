"""Django's PostgreSQL backend, plus one promise: with no DATABASE_URL, the embedded server is up when it is needed."""
