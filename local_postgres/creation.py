from django.db.backends.postgresql.creation import DatabaseCreation as PostgreSQLCreation

from local_postgres.server import allow_tests

# Not DROP DATABASE ... WITH (FORCE): where autovacuum works on the database, it needs the right to signal everybody.
TERMINATE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()
"""


class DatabaseCreation(PostgreSQLCreation):
    def _execute_create_test_db(self, cursor: object, parameters: object, keepdb: bool = False) -> None:
        """Django has no other place for what a test database needs before it is made."""
        allow_tests(self.connection.settings_dict)
        super()._execute_create_test_db(cursor, parameters, keepdb)  # type: ignore[misc]  # the stubs lack it

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        """A test's thread that died with a connection in its hands must not keep the test database."""
        self.connection.close_pool()
        with self._nodb_cursor() as cursor:  # type: ignore[attr-defined] # the stubs lack it
            cursor.execute(TERMINATE, [test_database_name])
            cursor.execute(f"DROP DATABASE IF EXISTS {self.connection.ops.quote_name(test_database_name)}")
