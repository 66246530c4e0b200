#!/bin/bash
# A private Cyrus IMAP with JMAP on loopback, for tern-bench to measure beside Tern.
#
# Everything lives under DIR: configuration, mail, indexes, sockets, certificate, password database.
# Nothing under /etc is read or written, and every port is bound to 127.0.0.1.
# The accounts have one known password: this refuses to listen anywhere else.
#
#   setup.sh create DIR [--users N] [--base-port P]
#   setup.sh start|stop|status DIR
#   setup.sh index DIR [ACCOUNT]  bring the full text index up to date (of one account)
#   setup.sh destroy DIR          stop, and remove DIR
#
# Ports: P+143 IMAP, P+993 IMAPS, P+443 HTTPS with JMAP, P+24 LMTP.
# Needs root on Debian, and its packages of Cyrus. They cannot be installed beside Dovecot's, so they are
# unpacked under DIR unless they are installed: apt-get download, no change to the system.
set -euo pipefail

fail() { echo "setup.sh: $*" >&2; exit 1; }
usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2; }

[ $# -ge 2 ] || usage
verb=$1
case $2 in /*) dir=$2 ;; *) dir=$(pwd)/$2 ;; esac
shift 2
here=$(cd "$(dirname "$0")" && pwd)
password=bench-password
packages="cyrus-common cyrus-imapd cyrus-caldav libical3 libpcre3 libshp2 libzephyr4 libclamav12 libmspack0 sasl2-bin"

as_root() { [ "$(id -u)" = 0 ] || fail "run as root: Cyrus drops privileges itself"; }
created() { [ -f "$dir/settings" ] || fail "$dir holds no peer: run create first"; }
settings() {
    created
    # shellcheck source=/dev/null
    . "$dir/settings"
    if [ -n "$root" ]; then
        export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
    fi
    bin=$root/usr/lib/cyrus/bin
}

# Where the packages are, if they are not installed.
unpack() {
    if [ -x /usr/lib/cyrus/bin/httpd ] && [ -x /usr/sbin/saslpasswd2 ]; then
        return
    fi
    root=$dir/root
    mkdir -p "$root" "$dir/packages"
    # shellcheck disable=SC2086
    (cd "$dir/packages" && apt-get download $packages >/dev/null 2>&1) || fail "cannot download $packages"
    for package in "$dir"/packages/*.deb; do dpkg -x "$package" "$root"; done
    rm -r "$dir/packages"
}

write_configuration() {
    cat >"$dir/imapd.conf" <<CF
configdirectory: $dir/conf
proc_path: $dir/run/proc
mboxname_lockpath: $dir/run/lock
idlesocket: $dir/run/socket/idle
lmtpsocket: $dir/run/socket/lmtp
notifysocket: $dir/run/socket/notify
cyrus_user: $user
cyrus_group: mail
servername: localhost
defaultpartition: default
partition-default: $dir/mail
admins: cyrus
virtdomains: off
unixhierarchysep: yes
altnamespace: yes
lmtp_downcase_rcpt: yes
hashimapspool: true
umask: 077
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $dir/sasldb2
tls_server_cert: $dir/tls/cert.pem
tls_server_key: $dir/tls/key.pem
httpmodules: jmap
conversations: yes
search_engine: xapian
search_index_headers: no
search_batchsize: 2000
defaultsearchtier: t1
t1searchpartition-default: $dir/search
autocreate_quota: 0
# As soon as it can: it looks for changes once in this time.
jmap_pushpoll: 1s
# Limits that would measure the limit.
jmap_max_objects_in_get: 4096
jmap_max_objects_in_set: 4096
jmap_max_size_upload: 1048576
timeout: 60m
httptimeout: 60m
CF
    cat >"$dir/cyrus.conf" <<CF
START {
    recover cmd="$bin/ctl_cyrusdb -C $dir/imapd.conf -r"
}
DAEMON {
    idled cmd="$bin/idled -C $dir/imapd.conf -f"
}
SERVICES {
    imap  cmd="$bin/imapd -C $dir/imapd.conf" listen="127.0.0.1:$((base_port + 143))" prefork=2 maxchild=6000
    imaps cmd="$bin/imapd -C $dir/imapd.conf -s" listen="127.0.0.1:$((base_port + 993))" prefork=0 maxchild=6000
    https cmd="$bin/httpd -C $dir/imapd.conf -s" listen="127.0.0.1:$((base_port + 443))" prefork=2 maxchild=6000
    lmtp  cmd="$bin/lmtpd -C $dir/imapd.conf -a" listen="127.0.0.1:$((base_port + 24))" prefork=1 maxchild=100
}
EVENTS {
    checkpoint cmd="$bin/ctl_cyrusdb -C $dir/imapd.conf -c" period=30
}
CF
}

# The password of them all; the database is Berkeley DB, so each is put in by the package's own tool.
fill_users() {
    for name in sender $(seq -f 'user%.0f' 0 $(($1 - 1))); do
        printf %s "$password" | "$root/usr/sbin/saslpasswd2" -p -c -f "$dir/sasldb2" -u localhost "$name"
    done
    chown "$user" "$dir/sasldb2"
}

# A first login makes the inbox (autocreate).
make_inboxes() {
    for name in sender $(seq -f 'user%.0f' 0 $(($1 - 1))); do
        exec 3<>"/dev/tcp/127.0.0.1/$((base_port + 143))"
        printf '1 LOGIN %s %s\r\n2 LOGOUT\r\n' "$name" "$password" >&3
        grep -q '^1 OK' <&3 || fail "$name cannot log in"
        exec 3>&-
    done
}

create() {
    as_root
    users=20 base_port=12000 root=
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
            --users) users=$2 ;;
            --base-port) base_port=$2 ;;
            *) fail "unknown option $1" ;;
        esac
        shift 2
    done
    [ ! -e "$dir/settings" ] || fail "$dir holds a peer already: destroy it first"
    command -v openssl >/dev/null || fail "openssl is missing"
    mkdir -p "$dir"
    chmod 755 "$dir"
    user=cyrus
    id cyrus >/dev/null 2>&1 || user=mail
    su -s /bin/sh "$user" -c "test -x '$dir'" || fail "$dir must be reachable by the user $user: choose a folder outside private homes"
    unpack
    printf 'base_port=%s\nusers=%s\nuser=%s\nroot=%s\n' "$base_port" "$users" "$user" "$root" >"$dir/settings"
    settings
    for made in conf conf/db mail search run run/proc run/lock run/socket; do install -d -o "$user" -g mail "$dir/$made"; done
    mkdir -p "$dir/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
        -keyout "$dir/tls/key.pem" -out "$dir/tls/cert.pem" 2>/dev/null
    chown -R "$user" "$dir/tls"
    write_configuration
    fill_users "$users"
    sed -e "s#@DIR@#$dir#g" -e "s#@SETUP@#$here/setup.sh#g" -e "s#@USERS@#$users#g" \
        -e "s#@IMAP@#$((base_port + 143))#g" -e "s#@LMTP@#$((base_port + 24))#g" \
        -e "s#@IMAPS@#$((base_port + 993))#g" -e "s#@HTTPS@#$((base_port + 443))#g" "$here/cyrus.toml" >"$dir/cyrus.toml"
    start
    make_inboxes "$users"
    stop
    echo "created $dir; suite configuration: $dir/cyrus.toml"
}

# True once the port accepts a connection.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
    as_root
    settings
    ulimit -n "$(ulimit -Hn)"
    "$root/usr/sbin/cyrmaster" -C "$dir/imapd.conf" -M "$dir/cyrus.conf" -p "$dir/run/master.pid" -d
    for port in $((base_port + 143)) $((base_port + 443)); do
        tries=0
        until listens "$port"; do
            tries=$((tries + 1))
            [ $tries -lt 100 ] || fail "port $port does not answer"
            sleep 0.1
        done
    done
    echo "started"
}

stop() {
    as_root
    created
    [ -e "$dir/run/master.pid" ] || return 0
    pid=$(cat "$dir/run/master.pid")
    kill -TERM "$pid" 2>/dev/null || true
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 300 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    rm -f "$dir/run/master.pid"
    echo "stopped"
}

status() {
    settings
    for part in "IMAP $((base_port + 143))" "HTTPS $((base_port + 443))"; do
        if listens "${part#* }"; then echo "$part up"; else echo "$part down"; fi
    done
}

case $verb in
    create) create "$@" ;;
    start) start ;;
    stop) stop ;;
    status) status ;;
    index)
        as_root
        settings
        chrt -o 0 su -s /bin/sh "$user" -c \
            "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-} '$bin/squatter' -C '$dir/imapd.conf' -i ${1:+-u $1}" >>"$dir/index.log" 2>&1
        ;;
    destroy)
        settings
        stop >/dev/null
        rm -rf "$dir"
        echo "removed $dir"
        ;;
    *) usage ;;
esac
