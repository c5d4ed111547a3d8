"""A worker: `python -m faults.leased_worker RUN ATTEMPT NODE` reports a node of a run under a lease until the node is
complete, for which its second attempt waits, or until it is told that another worker has it. It prints, as lines of
JSON, its node and token, the lines that were delivered, and what it was told."""

import json
import os
import sys
import time

from pastetrader_client import Client, NodeFenced
from pastetrader_client.runs import Node

LEASE = 2  # seconds
LINES = 5  # of the second attempt; the first one goes on


def main(run: str, attempt: str, node: str = "") -> None:
    client = Client(os.environ["URL"], os.environ["TOKEN"], spool=False, lease_seconds=LEASE, heartbeat=1)
    found = client.attach(run).node("one", id=node or None, attempt=int(attempt))
    try:
        with found:
            say(node=found.id, token=found.token)
            work(client, found)
    except NodeFenced:
        say(told="fenced")
        return
    while not client.flush(60):
        pass
    say(told="completed")


def work(client: Client, node: Node) -> None:
    number = 0
    while node.attempt == 1 or number < LINES:
        number += 1
        node.info(line := f"{node.id} {node.attempt} {os.getpid()} {number}")
        if client.flush(60) and not node.is_fenced:
            say(line=line)
        time.sleep(0.1)


def say(**found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
