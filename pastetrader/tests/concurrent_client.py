"""A client that sends one small request after the other, and prints when each began and ended: a program of its own, so
that whatever else the test does makes none of them longer.

`python concurrent_client.py ADDRESS TOKEN RUN`, until its input ends.
"""

import http.client
import json
import select
import sys
import time
from urllib.parse import urlsplit

PAUSE = 0.02  # seconds between two requests
TIMEOUT = 60


def main(address: str, token: str, run: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    line = json.dumps({"level": "info", "message": "another"})
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.monotonic()
        connection.request("POST", f"/api/v1/executions/{run}/logs/", line, headers)
        response = connection.getresponse()
        response.read()
        sys.stdout.write(f"{began} {time.monotonic()} {response.status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
