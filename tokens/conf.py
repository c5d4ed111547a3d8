"""The setting `TOKENS`: throttling of the API, of wrong passwords and of wrong tokens."""

import os
import re

from ledgerkit.conf import AppSettings, Number, Setting, Text

RATE = re.compile("(10000|[1-9][0-9]{0,3})/(sec|min|hour|day)")


class Rate(Text):
    """A rate such as "600/min", at most 10000, because each counted request is stored."""

    def fault(self, value: object) -> str:
        if value is None or (isinstance(value, str) and RATE.fullmatch(value)):
            return ""
        return "must be like 600/min: 1 to 10000 per sec, min, hour or day"


class TokensSettings(AppSettings):
    # Requests of one token, or of one session's user, such as "600/min". None: any number.
    THROTTLE_READ = Rate()
    THROTTLE_WRITE = Rate()
    # The entry of CACHES that counts wrong passwords and tokens.
    CACHE = Setting("default")
    # Number of proxies in front of the server: as many addresses at the end of X-Forwarded-For are trusted.
    PROXIES = Number(0, most=10)
    # Wrong passwords allowed: of a name from an address, of an address, of a name. 0: any number.
    LOGIN_FAILURES = Number(10, most=10_000)
    LOGIN_FAILURES_ADDRESS = Number(50, most=10_000)
    LOGIN_FAILURES_NAME = Number(100, most=10_000)
    LOGIN_WAIT_SECONDS = Number(900, least=1, most=86_400)
    # Maximum of concurrent password checks, each of which occupies a processor.
    LOGINS_AT_ONCE = Number(max(1, (os.cpu_count() or 1) // 2), least=1, most=1_000)
    # Wrong tokens allowed from an address. 0: any number.
    TOKEN_FAILURES = Number(30, most=10_000)
    TOKEN_WAIT_SECONDS = Number(60, least=1, most=86_400)


tokens_settings = TokensSettings("TOKENS")
