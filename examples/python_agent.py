#!/usr/bin/env python3
"""A small agent in a chat room: it is present, reads what it missed, and answers each message that mentions it, once.

    python3 examples/python_agent.py http://127.0.0.1:8000 ROOM_ID helper

Where it stands is kept in a file (`helper.cursor`, or the fourth argument), so it may be stopped and started at any time; the server may
too. The first start begins with what is said from then on. With access tokens, set ARCUATE_TOKEN.
"""

import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# A stream sends a heartbeat every 15 seconds: one that is silent for so long is dead.
SILENCE = 40
LONGEST_WAIT = 30
TROUBLE = (OSError, http.client.HTTPException)


def answer(message: dict) -> str:
    return f"{message['sender']}, you said: {message['content']}"[:10_000]


class Agent:
    def __init__(self, server: str, room: str, name: str, file: str) -> None:
        self.room = f"{server.rstrip('/')}/api/v1/rooms/{urllib.parse.quote(room)}"
        self.name, self.file = name, file
        self.mention = re.compile(rf"(?<![\w.@-])@{re.escape(name)}(?![\w-]|\.[^\W\d_])", re.IGNORECASE)
        self.cursor = open(file).read().strip() if os.path.exists(file) else ""
        self.wait = 0.5

    def run(self) -> None:
        while True:
            try:
                self.listen()
            except urllib.error.HTTPError as error:
                # Refused for what was asked: asking again would not help.
                if error.code < 500 and error.code != 429:
                    sys.exit(f"refused: {error.code} {error.read().decode(errors='replace')}")
                print(f"the server is in trouble: {error}", file=sys.stderr)
            except TROUBLE as error:
                print(f"disconnected: {error}", file=sys.stderr)
            time.sleep(self.wait)
            self.wait = min(self.wait * 2, LONGEST_WAIT)

    def listen(self) -> None:
        who = urllib.parse.urlencode({"sender": self.name, "sender_type": "agent"})
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        with self.ask(f"/stream?{who}", headers=headers) as stream:
            event = {}
            for line in stream:
                field, _, value = line.decode().rstrip("\r\n").partition(":")
                if field:
                    event[field] = value.removeprefix(" ")
                    continue
                self.handle(event)
                event = {}
                self.wait = 0.5

    def handle(self, event: dict) -> None:
        if event.get("event") == "message":
            message = json.loads(event["data"])
            if message["sender"] != self.name and self.mention.search(message["content"]):
                self.reply(message)
        if "id" in event:
            self.keep(event["id"])

    def reply(self, message: dict) -> None:
        # The cursor is kept after the answer, and an answer can be stored although its connection broke: so look first.
        if not self.has_answered(message):
            body = {"sender": self.name, "sender_type": "agent", "content": answer(message), "reply_to": message["id"]}
            with self.ask("/messages", body):
                print(f"answered {message['sender']}", flush=True)

    def has_answered(self, message: dict) -> bool:
        after = message["seq"]
        while True:
            query = urllib.parse.urlencode({"after": after, "sender": self.name, "limit": 500})
            with self.ask(f"/messages?{query}") as response:
                page = json.load(response)
            if any(m["sender"] == self.name and m.get("reply_to") == message["id"] for m in page):
                return True
            if not page:
                return False
            after = page[-1]["seq"]

    def keep(self, cursor: str) -> None:
        self.cursor = cursor
        with open(self.file + ".new", "w") as file:
            file.write(cursor)
        os.replace(self.file + ".new", self.file)

    def ask(self, path: str, body: "dict | None" = None, headers: "dict | None" = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.room + path, data, headers or {})
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if token := os.environ.get("ARCUATE_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        return urllib.request.urlopen(request, timeout=SILENCE)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    file = sys.argv[4] if len(sys.argv) == 5 else f"{sys.argv[3]}.cursor"
    try:
        Agent(*sys.argv[1:4], file).run()
    except KeyboardInterrupt:
        pass
