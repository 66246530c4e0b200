#!/usr/bin/env bash
# A Tern instance on loopback for tern-bench, of the same shape as the peer's (peer/setup.sh).
#   setup.sh create DIR [USERS]   configuration and accounts user0@example.org up, and sender@
#   setup.sh start DIR | stop DIR | destroy DIR
# TERN names the binary; the default is the release build in CARGO_TARGET_DIR.
set -euo pipefail
verb=${1:?verb}
dir=${2:?directory}
tern=${TERN:-${CARGO_TARGET_DIR:-target}/release/tern}
here=$(cd "$(dirname "$0")" && pwd)
# Of "bench-password": the accounts share it, so that making 100,000 of them costs no hash each.
hash='$argon2id$v=19$m=19456,t=2,p=1$J6LTYgGRhsL31e8bRczCKg$SaZ/VlHmLSK+PcfSnq4EAigV/qrsDMuali2fgUu59eI'
tern() { "$tern" --config "$dir/tern.toml" "$@"; }

start() {
  "$tern" --config "$dir/tern.toml" serve >>"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  for _ in $(seq 1 300); do
    if (exec 3<>/dev/tcp/127.0.0.1/11143) 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  echo "the server does not listen; see $dir/log" >&2
  return 1
}

stop() {
  [ -f "$dir/pid" ] || return 0
  local pid
  pid=$(cat "$dir/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 1 300); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  rm -f "$dir/pid"
}

create() {
  local users=${1:-5000}
  mkdir -p "$dir"
  sed -e "s|@DIR@|$dir|g" -e "s|@HERE@|$here|g" "$here/tern.toml.in" >"$dir/tern.toml"
  sed -e "s|@DIR@|$dir|g" -e "s|@TERN@|$tern|g" -e "s|@HERE@|$here|g" -e "s|@USERS@|$users|g" \
    "$here/suite.toml.in" >"$dir/suite.toml"
  start
  tern domain add example.org
  echo bench-password | tern account add sender@example.org --password-stdin >/dev/null
  seq 0 $((users - 1)) | sed "s|.*|{\"address\": \"user&@example.org\", \"password_hash\": \"$hash\"}|" |
    tern account import -
  for size in 1000 10000 100000; do
    [ "$size" -le "$users" ] || break
    tern group add "first$size@example.org" >/dev/null
    seq 0 $((size - 1)) | sed 's|.*|user&@example.org|' |
      xargs -n 1000 "$tern" --config "$dir/tern.toml" group add-member "first$size@example.org" >/dev/null
  done
  stop
}

case $verb in
  create) create "${3:-5000}" ;;
  start) start ;;
  stop) stop ;;
  destroy) stop; rm -rf "$dir" ;;
  *) echo "no such verb: $verb" >&2; exit 2 ;;
esac
