"""A worker: `python -m faults.leased_worker RUN ATTEMPT NODE` reports a node of a run under a lease until the node is
complete, for which its second attempt waits, or until it is refused because another worker has it. It prints, as lines
of JSON, its node and token, the lines that were delivered, and the state that the ledger answered."""

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
            report(node=found.id, token=found.token)
            work(client, found)
    except NodeFenced:
        report(state="fenced")
        return
    while not client.flush(60):
        pass
    report(state="completed")


def work(client: Client, node: Node) -> None:
    number = 0
    while node.attempt == 1 or number < LINES:
        number += 1
        node.info(line := f"{node.id} {node.attempt} {os.getpid()} {number}")
        if client.flush(60) and not node.is_fenced:
            report(line=line)
        time.sleep(0.1)


def report(**found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
