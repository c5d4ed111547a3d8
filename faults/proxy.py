"""A TCP proxy that passes one connection at a time, and cuts it after so many bytes of the request or of the answer."""

import select
import socket
import struct
import threading
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: the peer gets a reset and not an end


class Proxy:
    def __init__(self, port: int) -> None:
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.of_request, self.of_answer = 0, 0  # bytes that are passed
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            with suppress(OSError):
                client, _address = self.listener.accept()
                with client:
                    self._pass(client)

    def _pass(self, client: socket.socket) -> None:
        with socket.create_connection(self.target, timeout=10) as server:
            left = {client: self.of_request, server: self.of_answer}
            other = {client: server, server: client}
            while all(number > 0 for number in left.values()):
                for source in select.select([client, server], [], [], 10)[0]:
                    data = source.recv(min(left[source], 65_536))
                    other[source].sendall(data)
                    left[source] = left[source] - len(data) if data else 0
            for each in (client, server):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
