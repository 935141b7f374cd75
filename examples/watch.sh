#!/usr/bin/env bash
# Watches all rooms, or one, and prints each event on a line of its own: number, name, data. Comes back by itself where it was.
#
#   examples/watch.sh [SERVER [ROOM_ID]]        SERVER: http://127.0.0.1:8000 unless given
#
# AFTER=0 begins with the first event of the log. With access tokens, set ARCUATE_TOKEN.
set -u

server=${1:-http://127.0.0.1:8000}
address=$server/api/v1${2:+/rooms/$2}/stream
cursor=${AFTER:-}

while true; do
    id='' event='' data=''
    while IFS= read -r line; do
        case $line in
            id:*) id=${line#id:} ;;
            event:*) event=${line#event:} ;;
            data:*) data=${line#data:} ;;
            '')
                case $event in
                    '' | heartbeat) ;;
                    *) printf '%s %s %s\n' "${id:--}" "$event" "$data" ;;
                esac
                cursor=${id:-$cursor}
                id='' event='' data=''
                ;;
        esac
    # Heartbeats come every 15 seconds: slower than a byte in 40 is dead.
    done < <(curl --silent --show-error --fail --no-buffer --speed-limit 1 --speed-time 40 \
        ${cursor:+--header "Last-Event-ID: $cursor"} \
        ${ARCUATE_TOKEN:+--header "Authorization: Bearer $ARCUATE_TOKEN"} "$address")
    sleep 2
done
