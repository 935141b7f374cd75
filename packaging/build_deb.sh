#!/usr/bin/env bash
# Builds the Debian package from this checkout: target/debian/arcuate_VERSION_ARCH.deb
set -euo pipefail
cd "$(dirname "$0")/.."

version=3.8.0
if ! cargo deb --version >/dev/null 2>&1; then
    cargo install cargo-deb --locked --version "$version"
fi
# The host and the plugins that are shipped with it, in one go.
cargo build --release --locked
# What the program says of itself, from nothing older.
rm -rf target/manual target/completions
mkdir -p target/completions
target/release/arcuate man --output target/manual
for shell in bash zsh fish; do
    target/release/arcuate completions "$shell" >"target/completions/arcuate.$shell"
done
package=$(cargo deb --package arcuate --no-build --locked | tail -n 1)
dpkg-deb --info "$package"
dpkg-deb --contents "$package"
printf '\n%s\n' "$package"
