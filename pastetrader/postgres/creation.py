from django.db.backends.postgresql.creation import DatabaseCreation as PostgreSQLCreation


class DatabaseCreation(PostgreSQLCreation):
    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        """A test's thread that died with a connection in its hands must not keep the test database."""
        self.connection.close_pool()
        with self._nodb_cursor() as cursor:  # type: ignore[attr-defined] # the stubs lack it
            quoted = self.connection.ops.quote_name(test_database_name)
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
