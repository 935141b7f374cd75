#!/usr/bin/env bash
# Tries `backend = "letta"` with a real Letta server and a model of a few lines: two people talk with one agent, in both scopes.
#
#     cargo build && examples/letta/try_real.sh [FOLDER]
#
# The server goes into a Python environment in FOLDER (target/letta), which takes some minutes the first time, and gets a store of its own
# there (PostgreSQL goes on running in FOLDER/database). Needs python3, curl and redis-server; uses the ports 18281 to 18284.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-target/letta}
mkdir -p "$folder/home"
folder=$(cd "$folder" && pwd)
letta=http://127.0.0.1:18283
host=http://127.0.0.1:18281

started=()
# Only what was started here, by its number.
trap 'for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done' EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }
background() { local log=$1; shift; "$@" >"$folder/$log.log" 2>&1 & started+=($!); }
json() { "$folder/python/bin/python" -c "import json, sys; value = json.load(sys.stdin); print($1)"; }

until_answers() {
    local seconds=$1 url=$2
    for ((second = 0; second < seconds; second++)); do
        curl --silent --fail --max-time 2 --output /dev/null "$url" && return
        sleep 1
    done
    fail "$url does not answer; the logs are in $folder"
}

if ! test -x "$folder/python/bin/letta"; then
    python3 -m venv --clear "$folder/python"
    "$folder/python/bin/pip" install --quiet --upgrade pip
    # The server names lowest versions only, and newer ones of these no longer fit together.
    "$folder/python/bin/pip" install --quiet --constraint examples/letta/constraints.txt \
        "letta[server,postgres,redis]==0.16.8" pgserver
fi

background redis redis-server --port 18282 --save '' --appendonly no
background model python3 examples/letta/model.py 18284
export PGUSER=postgres PGHOST="$folder/database"
mkdir -p "$PGHOST"
database=$("$folder/python/bin/python" examples/letta/database.py "$PGHOST" 2>"$folder/database.log" | grep '^postgresql:')
background letta env --chdir="$folder" HOME="$folder/home" LETTA_PG_URI="$database" OPENAI_API_KEY=none OPENAI_BASE_URL=http://127.0.0.1:18284/v1 \
    LETTA_REDIS_HOST=127.0.0.1 LETTA_REDIS_PORT=18282 "$folder/python/bin/letta" server --port 18283
until_answers 180 "$letta/v1/health/"

model='{"model": "gpt-4o-mini", "model_endpoint_type": "openai", "model_endpoint": "http://127.0.0.1:18284/v1", "context_window": 32000}'
embedding='{"embedding_model": "small", "embedding_endpoint_type": "openai", "embedding_endpoint": "http://127.0.0.1:18284/v1", "embedding_dim": 1536}'
agent=$(curl --silent --fail "$letta/v1/agents/" --json \
    "{\"name\": \"trial\", \"llm_config\": $model, \"embedding_config\": $embedding, \"include_base_tools\": false}" | json 'value["id"]')
echo "the agent is $agent"

# Says something and prints the answer.
ask() {
    local session=$1 text=$2 told
    curl --silent --fail --output /dev/null "$host/api/v1/?action=messages" --json "{\"session_id\": \"$session\", \"message\": \"$text\"}"
    for ((second = 0; second < 60; second++)); do
        told=$(curl --silent --fail "$host/api/v1/?action=responses&session_id=$session" |
            json '" | ".join(answer["response"] for answer in value["data"]["responses"])')
        case $told in *"$text"*) echo "$session: $told"; return ;; esac
        sleep 1
    done
    fail "$session got no answer to '$text'; the logs are in $folder"
}

for scope in identity conversation; do
    rm -rf "$folder/host-$scope"
    mkdir -p "$folder/host-$scope"
    cat >"$folder/host-$scope/config.toml" <<END
[server]
bind = "127.0.0.1:18281"
[plugins.assistant.settings]
backend = "letta"
url = "$letta"
agent_id = "$agent"
scope = "$scope"
END
    background "host-$scope" target/debug/arcuate --config "$folder/host-$scope/config.toml"
    running=${started[-1]}
    until_answers 30 "$host/health"
    echo "== scope = $scope"
    ask ada "Hello from Ada"
    ask grace "Hello from Grace"
    ask ada "Ada once more"
    left=$(curl --silent --fail "$letta/v1/agents/$agent/core-memory/blocks" |
        json 'sum(block["label"].startswith("user_") for block in value)')
    test "$left" = 0 || fail "$left blocks of people are still attached"
    kill "$running"
    wait "$running" || true
done
echo "all went well"
