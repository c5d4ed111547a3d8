"""Lines and keys as tools write them: those that hold a secret are masked, those that only look so are not."""

from typing import Any

import pytest

from executions.secrets.scrubber import MASK, Scrubber
from workflows.secret_keys import mask_document

HARMLESS_TEXTS = [
    "next token: 42",
    "Next page token: CAoQAA",
    "otp: 3 attempts left",
    "page_token=CAESBkgKEgQI",
    "nextPageToken: EAAaBlBUOkNESQ",
    "GET /v1/runs?limit=50&next_token=b2Zmc2V0PTUw answered 200",
    "password_changed_at=2026-03-01T12:00:00Z",
    "user 7: has_password=true, password: none",
    "token_count=9 prompt_tokens=812 completion_tokens: 77",
    "token_type: bearer, token_expires_in: 3600",
    "cookie_max_age=86400 cookie_domain=example.net",
    "tokenUrl: https://id.example.net/oauth/token",
    "authorization_endpoint=https://id.example.net/authorize",
    "secretName: artifacts-credentials",
    "reading password_file=/run/secrets/db",
    "docker login --password-stdin registry.example.net",
    "usage: report [--token-file FILE] [--verbose]",
    "--password is required",
    "error: --token needs one argument",
    "option '--api-key' requires a value",
    "--auth basic --verbose",
    "--max-tokens 4096 --temperature 0.2",
    "mkdir -p releases/2026 && cp -u a:b c",
    "ssh -p 2222 host uptime",
    "docker run -u 1000:1000 -p 8080:80 image",
    "curl -sS -X POST https://api.example.net/v1/runs -d page=2",
    "mysql -p ledger < dump.sql",
    "mysqldump --host db -P 3306 ledger",
    "12:30:01  Finished running 3 view models, 1 test in 4.21s",
    "12:30:02  1 of 3 OK created sql view model main.orders_by_token_count ... [OK in 0.09s]",
    "level=info msg=\"node changed\" workflow=hello-p9x4c nodeID=hello-p9x4c-1 phase=Succeeded",
    "-----BEGIN CERTIFICATE-----\nMIIBkTCB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIBkTCB\n-----END PUBLIC KEY-----",
    "commit 4f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0",
    "task-id-npm_install ghp_short xoxo AKIAlike sk_live_",
    "SyntaxError: Unexpected token: 7",
    "비밀번호: 틀림",
    "암호화 여부: 예, 암호화 방식: AES",
    "토큰 수: 4096, 다음 토큰: 12",
    "토큰_만료=2026-03-01",
    "password: 12 characters at least",
    "pin: 3 tries",
    "Unexpected token: EOF",
    "password: must be longer",
    "self.connect(user=user, password=password, timeout=5)",
    "connect(password=self.password)",
    "max_tokens=4096",
    "token == other",
    "auth=None",
    "pinned=3 author=me",
    "pass: 12",
    "the password is wrong",
    "Key: value",
    "secretary: Kim2",
    "https://x:8080/y@z",
    "basic understanding",
    "def f(token: str) -> None:",
    '{"a": [1.10, 2]}',
    "key=5 keyed: 7",
]  # fmt: skip
SECRET_TEXTS = [
    ("mysqladmin --password hunter2 ping", "hunter2"),
    ("login --token=abc.def --verbose", "abc.def"),
    ("run --api-key  'k 1' -v", "k 1"),
    ('exec ["tool", "--password", "swordfish", "-v"]', "swordfish"),
    (r'{"cmd": "x --password \"hunter 2\" -y", n}', "hunter 2"),
    ("java -Dx=1 -password swordfish", "swordfish"),
    ("--verbose --db-password hunter2", "hunter2"),
    ("curl -u me:hunter2 https://x/", "hunter2"),
    ("/usr/bin/curl -sS --user 'me:hunter 2' https://x/", "hunter 2"),
    ("curl --proxy-user me:hunter2 -x p https://x/", "hunter2"),
    (r'sh -c "curl -u \"me:hunter2\" x"', "hunter2"),
    ("sshpass -p hunter2 ssh host", "hunter2"),
    ("mysql -u root -phunter2 ledger", "hunter2"),
    ("mariadb-dump -phunter2 ledger", "hunter2"),
    ("docker login -u me -p hunter2 registry", "hunter2"),
    ("redis-cli -a hunter2 ping", "hunter2"),
    ("got ghp_" + "aB3" * 12, "ghp_" + "aB3" * 12),
    ("got gho_" + "aB3" * 12 + ".", "gho_" + "aB3" * 12),
    ("got github_pat_" + "aB3_" * 12, "github_pat_" + "aB3_" * 12),
    ("git clone glpat-" + "aB3-" * 5, "glpat-" + "aB3-" * 5),
    ("slack xoxb-" + "123456-" * 3 + "abc", "xoxb-" + "123456-" * 3 + "abc"),
    ("stripe (sk_live_" + "aB3" * 8 + ")", "sk_live_" + "aB3" * 8),
    ("aws AKIA" + "Q7ZJ" * 4 + " used", "AKIA" + "Q7ZJ" * 4),
    ("maps AIza" + "aB3-_" * 7, "AIza" + "aB3-_" * 7),
    ("npm npm_" + "aB3d" * 9, "npm_" + "aB3d" * 9),
    ("upload pypi-AgEIcHlwaS5vcmc" + "aB3-_" * 7, "pypi-AgEIcHlwaS5vcmc" + "aB3-_" * 7),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-bmF0", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-bmF0"),
    ("ptl_" + "aB3-_" * 6, "ptl_" + "aB3-_" * 6),
    ("sent Bearer 1234567890 off", "1234567890"),
    ("key -----BEGIN PRIVATE KEY-----\nMIIE\nvQ==\n-----END PRIVATE KEY----- end", "MIIE"),
    (r"key -----BEGIN RSA PRIVATE KEY-----\nMIIE\nvQ==\n-----END RSA PRIVATE KEY-----\n end", "MIIE"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r", "b3BlbnNzaC1r"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBF"),
    ("비밀번호=hunter2", "hunter2"),
    ("비밀번호: hunter2, 이름: 김", "hunter2"),
    ('{"암호": "hunter2", n}', "hunter2"),
    ("토큰=abc12", "abc12"),
    ("인증키: abc12", "abc12"),
    ("비밀키 = abc12", "abc12"),
    ("접속키=abc12", "abc12"),
    ("암호화키=abc12", "abc12"),
    ("otp: 483920", "483920"),
    ("pin=4711", "4711"),
    ("login page password=hunter2", "hunter2"),
    ("password=hunter2 token_count=9", "hunter2"),
    ("has_password=true password=Hunter2", "Hunter2"),
]  # fmt: skip
HARMLESS: list[dict[str, Any]] = [
    {"page_token": "CAoQAA"}, {"next_page_token": "CAoQAA"}, {"nextPageToken": "CAoQAA"}, {"NextToken": "CAoQAA"},
    {"continuation_token": "b2Zm"}, {"password_changed_at": "2026-03-01"}, {"has_password": True},
    {"has_password": "true"}, {"token_count": 9}, {"token_count": "9"}, {"field": "token_count", "value": 9},
    {"name": "max_tokens", "value": 4096}, {"name": "has_password", "value": False}, {"token": None}, {"token": True},
    {"password": "null"}, {"secret": 3}, {"token": 0}, {"password_score": 0.83}, {"otp": 3}, {"token_type": "bearer"},
    {"token_expires_in": "3600"}, {"tokenExpirationSeconds": 7200}, {"automountServiceAccountToken": False},
    {"secretKeyRef": {"name": "artifacts", "optional": True}}, {"secretName": "artifacts"}, {"cookie_name": "sid"},
    {"cookie_max_age": 86400}, {"tokens_per_minute_limit": 90000}, {"authorization_url": "https://x/"},
    {"token_endpoint": "https://x/"}, {"password_policy": {"min_length": 12}}, {"private_key_path": "/run/k.pem"},
    {"credentials_file": "/run/c.json"}, {"secret_version": "7"}, {"token_status": "valid"}, {"auth_method": "basic"},
    {"api_key_valid": "yes"}, {"password_attempts": 2000}, {"암호화": "AES"}, {"토큰 수": 9000},
    {"비밀번호 변경일": "2026-03-01"},
]  # fmt: skip
SECRET_KEYS = [
    "password", "db_password", "userPassword", "token", "access_token", "refreshToken", "csrf_token", "id_token",
    "page_password", "next_secret", "api_key", "X-Api-Key", "client_secret", "secret_id", "secret", "private_key",
    "ssh_key", "auth", "jwt", "sessionid", "otp", "pin", "pin_code", "signature", "dsn", "connection_string", "db_pwd",
    "smtp_pass", "cookie", "Set-Cookie", "authorization", "credentials", "password_hash", "passphrase",
    "aws_secret_access_key",
    "비밀번호", "db_비밀번호", "암호", "암호화키", "토큰", "접근 토큰", "인증키", "비밀키", "접속키",
]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_a_harmless_line_stays(text: str) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRET_TEXTS)
def test_of_a_line_with_a_secret_the_secret_goes(text: str, secret: str) -> None:
    clean = Scrubber().text(text)
    assert secret in text
    assert secret not in clean
    before, after = text.split(secret) if "PRIVATE KEY" not in text else (text.partition("-----")[0], "")
    assert clean.startswith(f"{before}{MASK}")
    assert clean.endswith(after)
    assert Scrubber().text(clean) == clean


@pytest.mark.parametrize("document", HARMLESS, ids=str)
def test_a_harmless_key_or_value_stays(document: dict[str, Any]) -> None:
    assert Scrubber().document(document) == document
    assert mask_document(document) == document


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_key_that_names_a_secret_hides_it(key: str) -> None:
    for value in ("hunter2", "4711", 4711, ["x"]):
        assert (
            Scrubber().document({key: value})
            == mask_document({key: value})
            == {key: [MASK] if value == ["x"] else MASK}
        )
    pair = {"name": key, "value": "x"}
    assert Scrubber().document(pair) == mask_document(pair) == pair | {"value": MASK}


def test_a_name_of_the_setting_is_secret_whatever_it_ends_in() -> None:
    assert Scrubber(extra=("Konto-Name",)).document({"konto_name": "x"}) == {"konto_name": MASK}
