#!/usr/bin/env python3
"""A small agent for `backend = "command"`: one run per turn. The question comes as JSON, what is printed is the answer.

    echo '{"message": "Hello", "history": []}' | python3 examples/command_agent.py
"""

import json
import sys

turn = json.load(sys.stdin)
earlier = sum(1 for message in turn["history"] if message["role"] == "user")
# What goes to standard error is told to the operator if the run fails.
print(f"answering {turn.get('job_id', 'a trial')}", file=sys.stderr)
json.dump({"reply": f"You said: {turn['message']} (and {earlier} things before)"}, sys.stdout)
