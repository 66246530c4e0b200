#!/bin/sh
# A private Postfix + Dovecot on loopback, for tern-bench to measure beside Tern.
#
# Everything lives under DIR: configuration, queue, mail, logs, sockets, certificate. Nothing under
# /etc/postfix or /etc/dovecot is read or written, and every port is bound to 127.0.0.1.
# The accounts have one known password: this refuses to listen anywhere else.
#
#   setup.sh create DIR [--users N] [--format sdbox|maildir] [--fsync always|optimized]
#                       [--hibernate SECONDS] [--base-port P]
#   setup.sh start|stop|status DIR
#   setup.sh fill-users DIR N     make the accounts user0 .. user(N-1)
#   setup.sh delivered DIR        recipients delivered so far (for --until-delivered)
#   setup.sh queued DIR           messages still in the queue
#   setup.sh destroy DIR          stop, and remove DIR
#
# Ports: P+25 SMTP with STARTTLS, P+587 submission (AUTH needed), P+143 IMAP with STARTTLS, P+993 IMAPS.
# Needs root on Debian: apt-get install postfix dovecot-imapd dovecot-lmtpd openssl
set -eu

fail() { echo "setup.sh: $*" >&2; exit 1; }
usage() { sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 2; }

[ $# -ge 2 ] || usage
verb=$1
case $2 in /*) dir=$2 ;; *) dir=$(pwd)/$2 ;; esac
shift 2
here=$(cd "$(dirname "$0")" && pwd)
mail_uid=5000
password=bench-password

as_root() { [ "$(id -u)" = 0 ] || fail "run as root: Postfix and Dovecot drop privileges themselves"; }
created() { [ -f "$dir/settings" ] || fail "$dir holds no peer: run create first"; }
# shellcheck source=/dev/null
settings() { created; . "$dir/settings"; }

fill_users() {
    awk -v n="$1" -v uid="$mail_uid" -v dir="$dir" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "user%d@example.org::%d:%d::%s/mail/%d/user%d::\n", i, uid, uid, dir, i % 256, i
    }' >"$dir/dovecot/users.new"
    mv "$dir/dovecot/users.new" "$dir/dovecot/users"
    echo "users: $1"
}

write_postfix() {
    cat >"$dir/postfix/main.cf" <<CF
compatibility_level = 3.6
queue_directory = $dir/spool
data_directory = $dir/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.example.org
mydomain = example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:ok
virtual_transport = lmtp:unix:$dir/run/lmtp
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
# Nothing leaves this machine, whatever is addressed elsewhere.
default_transport = error:no outside delivery
relay_transport = error:no outside delivery
biff = no
append_dot_mydomain = no
# Limits that would measure the limit.
default_process_limit = 200
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
smtpd_recipient_limit = 5000
smtpd_recipient_overshoot_limit = 5000
qmgr_message_active_limit = 20000
qmgr_message_recipient_limit = 100000
lmtp_destination_concurrency_limit = 32
lmtp_destination_recipient_limit = 200
initial_destination_concurrency = 16
smtpd_tls_security_level = may
smtpd_tls_cert_file = $dir/tls/cert.pem
smtpd_tls_key_file = $dir/tls/key.pem
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dir/run/auth-postfix
maillog_file = $dir/log/postfix.log
maillog_file_prefixes = $dir
CF
    cat >"$dir/postfix/master.cf" <<CF
127.0.0.1:$((base_port + 25)) inet n - n - - smtpd
127.0.0.1:$((base_port + 587)) inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
lmtp      unix  - - n -     - lmtp
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
CF
}

write_dovecot() {
    hibernation=
    [ "$hibernate" = 0 ] || hibernation="imap_hibernate_timeout = ${hibernate}s"
    cat >"$dir/dovecot/dovecot.conf" <<CF
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
instance_name = tern-bench-peer
ssl = yes
ssl_cert = <$dir/tls/cert.pem
ssl_key = <$dir/tls/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 64M
mail_location = $format:~/mail
mail_uid = $mail_uid
mail_gid = $mail_uid
first_valid_uid = $mail_uid
mail_fsync = $fsync
mail_max_userip_connections = 100000
postmaster_address = postmaster@example.org
default_client_limit = 15000
default_process_limit = 1000
$hibernation

namespace inbox {
  inbox = yes
}
passdb {
  driver = static
  args = password=$password
}
userdb {
  driver = passwd-file
  args = username_format=%u $dir/dovecot/users
}
# The high-performance login mode: a few processes that each hold many connections.
service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  client_limit = 15000
  vsz_limit = 2G
  inet_listener imap {
    port = $((base_port + 143))
  }
  inet_listener imaps {
    port = $((base_port + 993))
    ssl = yes
  }
}
service imap {
  process_limit = 12000
  extra_groups = \$default_internal_group
  vsz_limit = 2G
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0660
    group = \$default_internal_group
  }
}
service auth {
  client_limit = 15000
  unix_listener auth-postfix {
    mode = 0666
  }
}
service imap-urlauth-login {
  process_limit = 1
}
service anvil {
  client_limit = 15000
}
service lmtp {
  process_min_avail = 4
  process_limit = 200
  unix_listener lmtp {
    mode = 0666
  }
}
CF
}

create() {
    as_root
    format=sdbox fsync=optimized hibernate=0 users=5000 base_port=10000
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
            --users) users=$2 ;;
            --format) format=$2 ;;
            --fsync) fsync=$2 ;;
            --hibernate) hibernate=$2 ;;
            --base-port) base_port=$2 ;;
            *) fail "unknown option $1" ;;
        esac
        shift 2
    done
    case $format in sdbox | maildir) ;; *) fail "--format is sdbox or maildir" ;; esac
    case $fsync in always | optimized) ;; *) fail "--fsync is always or optimized" ;; esac
    [ ! -e "$dir/settings" ] || fail "$dir holds a peer already: destroy it first"
    for tool in postfix dovecot openssl; do
        command -v $tool >/dev/null || fail "$tool is missing: apt-get install postfix dovecot-imapd dovecot-lmtpd openssl"
    done
    mkdir -p "$dir"
    chmod 755 "$dir"
    for d in postfix dovecot tls log spool run state; do mkdir -p "$dir/$d"; done
    install -d -o postfix "$dir/data"
    install -d -o $mail_uid -g $mail_uid "$dir/mail"
    su -s /bin/sh postfix -c "test -x '$dir'" || fail "$dir must be reachable by the postfix user: choose a folder outside private homes"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
        -keyout "$dir/tls/key.pem" -out "$dir/tls/cert.pem" 2>/dev/null
    write_postfix
    write_dovecot
    fill_users "$users"
    sed -e "s#@DIR@#$dir#g" -e "s#@SETUP@#$here/setup.sh#g" -e "s#@USERS@#$users#g" \
        -e "s#@SMTP@#$((base_port + 25))#g" -e "s#@SUBMISSION@#$((base_port + 587))#g" \
        -e "s#@IMAP@#$((base_port + 143))#g" -e "s#@IMAPS@#$((base_port + 993))#g" \
        "$here/peer.toml" >"$dir/peer.toml"
    printf 'base_port=%s\nformat=%s\nfsync=%s\nhibernate=%s\n' "$base_port" "$format" "$fsync" "$hibernate" >"$dir/settings"
    postfix -c "$dir/postfix" check 2>/dev/null || fail "postfix refuses its configuration: postfix -c $dir/postfix check"
    doveconf -c "$dir/dovecot/dovecot.conf" >/dev/null
    echo "created $dir ($format, mail_fsync=$fsync); suite configuration: $dir/peer.toml"
}

# Without these every IDLE session past the 128th polls, and sessions past the soft limit are refused.
raise_limits() {
    ulimit -n "$(ulimit -Hn)"
    for pair in max_user_instances=20000 max_user_watches=200000; do
        key=/proc/sys/fs/inotify/${pair%=*} want=${pair#*=}
        [ "$(cat "$key")" -ge "$want" ] || echo "$want" >"$key" 2>/dev/null ||
            echo "setup.sh: could not raise $key to $want: IDLE sessions of Dovecot will poll" >&2
    done
}

# True once the port accepts a connection.
listens() { bash -c "echo >/dev/tcp/127.0.0.1/$1" 2>/dev/null; }

start() {
    as_root
    settings
    raise_limits
    dovecot -c "$dir/dovecot/dovecot.conf"
    postfix -c "$dir/postfix" start 2>/dev/null
    for port in $((base_port + 25)) $((base_port + 143)); do
        tries=0
        until listens "$port"; do
            tries=$((tries + 1))
            [ $tries -lt 100 ] || fail "port $port does not answer: see $dir/log"
            sleep 0.1
        done
    done
    echo "started"
}

stop() {
    as_root
    created
    postfix -c "$dir/postfix" stop 2>/dev/null || true
    doveadm -c "$dir/dovecot/dovecot.conf" stop 2>/dev/null || true
    tries=0
    while [ -e "$dir/run/master.pid" ] && kill -0 "$(cat "$dir/run/master.pid" 2>/dev/null)" 2>/dev/null && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    echo "stopped"
}

status() {
    settings
    for part in "SMTP $((base_port + 25))" "IMAP $((base_port + 143))"; do
        if listens "${part#* }"; then echo "$part up"; else echo "$part down"; fi
    done
    echo "format $format, mail_fsync $fsync, hibernate $hibernate, users $(wc -l <"$dir/dovecot/users")"
}

case $verb in
    create) create "$@" ;;
    start) start ;;
    stop) stop ;;
    status) status ;;
    fill-users)
        as_root
        settings
        [ $# = 1 ] || usage
        fill_users "$1"
        doveadm -c "$dir/dovecot/dovecot.conf" reload 2>/dev/null || true
        ;;
    delivered) created; grep -c 'status=sent' "$dir/log/postfix.log" 2>/dev/null || true ;;
    queued) created; find "$dir/spool/incoming" "$dir/spool/active" "$dir/spool/deferred" -type f 2>/dev/null | wc -l ;;
    destroy)
        settings
        stop >/dev/null
        rm -rf "$dir"
        echo "removed $dir"
        ;;
    *) usage ;;
esac
