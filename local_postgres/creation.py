from django.db.backends.postgresql.creation import DatabaseCreation as PostgreSQLCreation

from local_postgres.server import allow_tests

# Not DROP DATABASE ... WITH (FORCE): during an autovacuum of the database it requires the right to signal others.
TERMINATE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()
"""


class DatabaseCreation(PostgreSQLCreation):
    def _execute_create_test_db(self, cursor: object, parameters: object, keepdb: bool = False) -> None:
        """Prepare the role before the test database is created. Django has no public hook for it."""
        allow_tests(self.connection.settings_dict)
        super()._execute_create_test_db(cursor, parameters, keepdb)  # type: ignore[misc]  # the stubs lack it

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        """Terminate other connections first: a thread of a test may have left one open."""
        self.connection.close_pool()
        with self._nodb_cursor() as cursor:  # type: ignore[attr-defined] # the stubs lack it
            cursor.execute(TERMINATE, [test_database_name])
            cursor.execute(f"DROP DATABASE IF EXISTS {self.connection.ops.quote_name(test_database_name)}")
