#!/usr/bin/env python3
"""A small agent for `backend = "http"`: answers each question, and the same question under the same key with the same answer.

    python3 examples/http_agent.py 9000
"""

import json
import sys
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What was answered, by idempotency key: after a crash the host asks again, and must not make the agent act twice.
ANSWERED: "OrderedDict[str, str]" = OrderedDict()
KEPT = 10_000


def answer(turn: dict) -> str:
    earlier = sum(1 for message in turn["history"] if message["role"] == "user")
    return f"You said: {turn['message']} (and {earlier} things before)"


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        try:
            turn = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            key = self.headers.get("Idempotency-Key", turn["job_id"])
            reply = ANSWERED.setdefault(key, answer(turn))
        except (ValueError, KeyError) as error:
            return self.send(400, {"error": f"not a turn: {error}"})
        while len(ANSWERED) > KEPT:
            ANSWERED.popitem(last=False)
        self.send(200, {"reply": reply})

    def send(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with ThreadingHTTPServer(("127.0.0.1", port), Agent) as server:
        print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
