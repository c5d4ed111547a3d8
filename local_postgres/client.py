from collections.abc import Iterable

from django.db.backends.postgresql.client import DatabaseClient as PostgreSQLClient

from local_postgres.cluster import program

from . import server


class DatabaseClient(PostgreSQLClient):
    """`manage.py dbshell` with the psql of the embedded server, which has the right version."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, object], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        arguments, environment = super().settings_to_cmd_args_env(settings_dict, parameters)
        if "EMBEDDED" in settings_dict:
            arguments[0] = program("psql")
        return arguments, environment

    def runshell(self, parameters: Iterable[str]) -> None:
        server.ensure(self.connection.settings_dict)
        super().runshell(parameters)
