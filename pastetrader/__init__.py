"""The project's wiring: settings, addresses, the database backend. No domain words here."""
