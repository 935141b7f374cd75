#!/usr/bin/env python3
"""A small receiver of webhooks: checks each signature, takes each delivery once, and prints what it got.

    python3 examples/webhook_receiver.py 9100 "a long secret"
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Deliveries that were taken, by id: what got no answer in time comes again.
TAKEN: "OrderedDict[str, bool]" = OrderedDict()
KEPT = 10_000
# Seconds that a delivery may be old, so that nobody can play back a recorded one.
OLDEST = 300


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def is_signed(secret: str, headers, body: bytes) -> bool:
    moment = headers.get("webhook-timestamp", "")
    if not moment.isdigit() or abs(time.time() - int(moment)) > OLDEST:
        return False
    signed = f"{headers.get('webhook-id', '')}.{moment}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return hmac.compare_digest(expected, headers.get("webhook-signature", ""))


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secret = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not is_signed(self.secret, self.headers, body):
            return self.answer(401)
        delivery = self.headers["webhook-id"]
        if delivery not in TAKEN:
            TAKEN[delivery] = True
            event = json.loads(body)
            print(f"{event['event']} in {event['room_name']}: {event['data'].get('content', '')}", flush=True)
        while len(TAKEN) > KEPT:
            TAKEN.popitem(last=False)
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9100
    Receiver.secret = sys.argv[2] if len(sys.argv) > 2 else ""
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
