"""A receiver of webhooks: `python -m faults.receiver PORT FOLDER` notes each message in FOLDER/messages, and then does
what FOLDER/mode says: answers 204, answers 500, or hangs."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LONG = 3_600  # seconds


class Handler(BaseHTTPRequestHandler):
    folder: Path

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = (self.folder / "mode").read_text()
        message = {"id": self.headers["webhook-id"], "run": body["data"]["run_id"], "mode": mode}
        with (self.folder / "messages").open("a") as file:
            file.write(json.dumps(message) + "\n")
        if mode == "hang":
            time.sleep(LONG)
        self.send_response(500 if mode == "500" else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Write nothing."""


def main(port: str, folder: str) -> None:
    Handler.folder = Path(folder)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
