#!/usr/bin/env bash
# Tries the Debian package under a real systemd: boots a throwaway copy of this very machine (an overlay in memory, without its network),
# installs the package there, and looks at the service. As root, with systemd-nspawn (Debian: systemd-container).
#
#   packaging/try_deb.sh target/debian/arcuate_0.1.0-1_amd64.deb
set -euo pipefail

package=$(realpath "$1")
if [ "${2-}" != inside ]; then
    command -v systemd-nspawn >/dev/null || { echo "it needs systemd-nspawn: apt-get install systemd-container" >&2; exit 1; }
    # A mount namespace of its own: whatever is mounted goes with it.
    exec unshare --mount "$0" "$package" inside
fi

place=$(mktemp -d)
mount -t tmpfs -o size=800m tmpfs "$place"
trap 'umount --lazy "$place" && rmdir "$place"' EXIT
mkdir "$place"/{upper,work,machine}
machine=$place/machine
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$machine"
cp "$package" "$machine/root/package.deb"
: >"$machine/etc/machine-id"
rm -f "$machine/usr/sbin/policy-rc.d"

cat >"$machine/root/try.sh" <<'TRY'
#!/bin/bash
exec >/root/told 2>&1
set -eE -o pipefail
trap 'echo "FAILED: $BASH_COMMAND"; systemctl status arcuate --no-pager --full; journalctl -u arcuate --no-pager | tail -n 40' ERR
arcuate() { setpriv --reuid=arcuate --regid=arcuate --clear-groups arcuate --config /etc/arcuate/config.toml "$@"; }
asks() { curl -fsS --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:8000$1"; }
shows() { systemctl show arcuate --property "$1" --value; }
hears() { for _ in {1..50}; do asks "/api/v1/?action=responses&session_id=try" | grep -q "$1" && return; sleep 0.1; done; false; }
says() { curl -fsS "http://127.0.0.1:8000/api/v1/?action=messages" -H 'Content-Type: application/json' -d "{\"session_id\":\"try\",\"message\":\"$1\"}"; }

dpkg --install --force-depends /root/package.deb
systemctl is-active arcuate
shows StatusText | grep 'listening on'
asks /ready | grep '"status":"ready"'
says first && hears first
arcuate plugins list
echo "-- with its manual, its completions, and what its pages lead to"
# Of the package, since a machine may be told to install no manuals and no pages.
dpkg-deb --contents /root/package.deb >/root/contents
for path in man/man1/arcuate.1 bash-completion/completions/arcuate doc/arcuate/{LICENSE,docs/operators.md,examples/monitoring/alerts.yml}; do
    grep -F "./usr/share/$path" /root/contents
done
echo "-- killed, and started again by systemd"
kill -KILL "$(shows MainPID)"
until [ "$(shows NRestarts)" = 1 ] && [ "$(shows ActiveState)" = active ]; do sleep 0.2; done
hears first && says second && hears second
if arcuate reload --help >/dev/null 2>&1; then
    echo "-- reloaded"
    systemctl reload arcuate
    asks /ready >/dev/null
    [ "$(shows NRestarts)" = 1 ]
fi
echo "-- stopped in good order"
systemctl stop arcuate
[ "$(shows Result) $(shows ExecMainStatus)" = "success 0" ]
echo "-- a mistake in the configuration is told and not tried again"
cp /etc/arcuate/config.toml /root/kept
echo '[server' >>/etc/arcuate/config.toml
systemctl start arcuate && false || [ "$(shows ExecMainStatus)" = 2 ]
cp /root/kept /etc/arcuate/config.toml
echo "-- installed again over a changed configuration"
echo '# mine' >>/etc/arcuate/config.toml
systemctl start arcuate
dpkg --install --force-depends --force-confold /root/package.deb
grep '^# mine' /etc/arcuate/config.toml
hears second
echo "-- removed and purged: the store stays"
dpkg --remove arcuate
[ -e /etc/arcuate/config.toml ] && [ ! -e /usr/bin/arcuate ]
dpkg --purge arcuate
[ -e /var/lib/arcuate/arcuate.db ] && [ ! -e /etc/arcuate ]
echo "ALL IS WELL"
TRY
chmod +x "$machine/root/try.sh"
cat >"$machine/etc/systemd/system/try.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/root/try.sh
ExecStopPost=/bin/systemctl --force --force poweroff
UNIT
mkdir -p "$machine/etc/systemd/system/multi-user.target.wants"
ln -sf ../try.service "$machine/etc/systemd/system/multi-user.target.wants/try.service"

# It keeps its own records in /run, which need not be this machine's.
mount -t tmpfs tmpfs /run
timeout 180 systemd-nspawn --directory "$machine" --boot --register=no --keep-unit --private-network --console=pipe \
    </dev/null >"$place/console" 2>&1 || true
cat "$machine/root/told" || cat "$place/console"
grep -q '^ALL IS WELL$' "$machine/root/told"
