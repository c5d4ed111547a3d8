"""The settings of the apps: each has a default, and a wrong one is named."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as project
from django.core import checks

from executions.conf import executions_settings, fernet_key_from, secrets_keys
from executions.secrets.encryption import decrypt, encrypt
from ledgerkit.conf import AppSettings, ledgerkit_settings
from tokens.conf import tokens_settings
from workflows.conf import workflows_settings

APPS = (ledgerkit_settings, tokens_settings, workflows_settings, executions_settings)
# What this project sets otherwise than the apps do by default, beside what the tests set.
OTHERS = {
    "API_PREFIX",
    "CACHE",
    "SECRETS_KEYS",
    *(name for name in tokens_settings.all_settings() if "FAILURES" in name),
}


def errors() -> list[str]:
    return [error.msg for error in checks.run_checks() if error.id in {"ledgerkit.E001", "ledgerkit.E002"}]


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_an_app_needs_no_setting(app: AppSettings, settings: Any) -> None:
    delattr(settings, app.name)
    fresh = type(app)(app.name)
    assert {name: getattr(fresh, name) for name in app.all_settings()} == {
        n: s.default for n, s in app.all_settings().items()
    }
    assert not errors()


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_the_project_sets_what_is_the_default(app: AppSettings) -> None:
    values = getattr(project, app.name)
    assert values.keys() == app.all_settings().keys()
    assert {n: v for n, v in values.items() if v != app.all_settings()[n].default and n not in OTHERS} == {}


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("EXECUTIONS", "SECRETS_MAXIMUM", 3, "EXECUTIONS has no setting 'SECRETS_MAXIMUM'."),
        ("EXECUTIONS", "STREAMS", "3", "EXECUTIONS['STREAMS'] must be a whole number from 1 to 2147483647."),
        ("EXECUTIONS", "SECRETS_KEYS", ["hunter2"], "EXECUTIONS['SECRETS_KEYS'] must be a list of Fernet keys."),
        ("EXECUTIONS", "LISTENER_DATABASE", "x", "EXECUTIONS['LISTENER_DATABASE'] must be of type dict."),
        ("TOKENS", "CACHE", None, "TOKENS['CACHE'] must be of type str."),
        ("TOKENS", "THROTTLE_READ", "5 a minute", "TOKENS['THROTTLE_READ'] must be like 600/min: 1 to 10000 per sec"),
        ("LEDGERKIT", "SECRET_KEYS_EXTRA", "pin", "LEDGERKIT['SECRET_KEYS_EXTRA'] must be of type list."),
        (
            "LEDGERKIT",
            "REPLICA",
            "copy",
            "LEDGERKIT['REPLICA'] must be the alias of another entry of DATABASES, or None.",
        ),
        ("WORKFLOWS", "MAX_NODES", 0, "WORKFLOWS['MAX_NODES'] must be a whole number from 1 to 2147483647."),
    ],
)
def test_a_wrong_setting_is_an_error_of_check(name: str, key: str, value: Any, message: str, settings: Any) -> None:
    setattr(settings, name, {key: value})
    assert len(errors()) == 1
    assert errors()[0].startswith(message)


def test_without_keys_secrets_are_encrypted_with_one_made_of_the_secret_key(settings: Any) -> None:
    settings.EXECUTIONS, settings.SECRET_KEY = {}, "old"
    sealed = encrypt(["hunter2pw"])
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert decrypt(sealed) == {"hunter2pw"}
    assert secrets_keys() == (fernet_key_from("new"), fernet_key_from("old"))


def test_check_deploy_warns_without_keys_of_their_own(settings: Any) -> None:
    settings.EXECUTIONS = {}
    assert [w.id for w in checks.run_checks(include_deployment_checks=True) if w.id == "executions.W001"]
    settings.EXECUTIONS = {"SECRETS_KEYS": [Fernet.generate_key().decode()]}
    assert not [w.id for w in checks.run_checks(include_deployment_checks=True) if w.id == "executions.W001"]


def test_check_warns_where_nobody_sets_the_actor(settings: Any) -> None:
    assert not [warning for warning in checks.run_checks() if warning.id == "executions.W002"]
    settings.MIDDLEWARE = []
    assert [warning for warning in checks.run_checks() if warning.id == "executions.W002"]
