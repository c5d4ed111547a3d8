"""Django's PostgreSQL backend that starts an embedded server when DATABASE_URL is not set."""
