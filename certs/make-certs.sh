#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A CA and a serving certificate for the webhook, for people and tests. Needs openssl only; see --help.
set -eu
umask 077

default_names="modelberth-webhook.modelberth-system.svc
modelberth-webhook.modelberth-system.svc.cluster.local"
# A CA must outlive the certificates that it signs; what it signs is limited by the path length of 0.
ca_days=3650
newline='
'

dir=
names=
days=365
force=
output=

usage() {
    cat <<END
usage: make-certs.sh --dir DIR [option]...

Makes an ECDSA P-256 CA and a serving certificate in DIR (made where it is missing):
  ca.crt, ca.key    the CA; ca.key is only needed for the next renewal
  tls.crt, tls.key  the certificate that the webhook serves
What is there is kept while it is good for the names and has a third of its days left. Then the same CA signs a new
certificate, so that nobody who trusts the CA notices.

  --dir DIR          where the files are
  --name NAME        a DNS name or IP address that the certificate is for; may be repeated. Default:
$(printf '%s\n' "$default_names" | sed 's/^/                       /')
  --days N           life of the certificate (365), at most $ca_days
  --force            make everything anew, the CA too
  --secret           print the Secret modelberth-webhook-tls, for kubectl apply -f -
  --patch-ca-bundle  print the JSON patch that puts the CA into the webhook configuration, for
                     kubectl patch mutatingwebhookconfiguration modelberth --type json -p "\$(...)"
  --help

Exit code: 0 done, 1 failed, 2 wrong use.
END
}

say() { printf 'make-certs: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
misuse() { say "$*; try --help"; exit 2; }

is_ipv4() {
    printf '%s\n' "$1" | awk -F. 'NF != 4 { exit 1 }
        { for (i = 1; i <= 4; i++) if ($i !~ /^(0|[1-9][0-9]?[0-9]?)$/ || $i > 255) exit 1 }'
}

# Only a colon tells it from a name; openssl refuses what is not an address when it writes the certificate.
is_ipv6() { case $1 in *:*) case $1 in *[!0-9a-fA-F:.]*) return 1 ;; esac ;; *) return 1 ;; esac; }

is_ip() { is_ipv4 "$1" || is_ipv6 "$1"; }

is_dns_name() {
    [ -n "$1" ] && [ ${#1} -le 253 ] || return 1
    printf '%s\n' "$1" | awk -F. '
        { for (i = 1; i <= NF; i++)
            if (length($i) > 63 || $i !~ /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/) exit 1 }
        $NF ~ /^[0-9]+$/ { exit 1 }' # else it is an address gone wrong
}

add_name() {
    case $1 in *"$newline"*) misuse "--name holds a line break" ;; esac
    is_ip "$1" || is_dns_name "$1" || misuse "--name \"$1\" is neither a DNS name nor an IP address"
    names="$names${names:+$newline}$1"
}

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --dir | --name | --days) [ $# -gt 1 ] || misuse "$1 needs a value" ;;
        esac
        case $1 in
        --dir) dir=$2 && shift ;;
        --name) add_name "$2" && shift ;;
        --days) days=$2 && shift ;;
        --force) force=yes ;;
        --secret | --patch-ca-bundle)
            [ -z "$output" ] || [ "$output" = "$1" ] || misuse "only one of --secret and --patch-ca-bundle"
            output=$1
            ;;
        --help) usage && exit 0 ;;
        *) misuse "unknown argument \"$1\"" ;;
        esac
        shift
    done
    [ -n "$dir" ] || misuse "--dir is missing"
    case $dir in -*) dir=./$dir ;; esac
    case $days in '' | 0* | *[!0-9]* | ?????*) misuse "--days \"$days\" is not a number from 1 to $ca_days" ;; esac
    [ "$days" -le "$ca_days" ] || misuse "--days \"$days\" is not a number from 1 to $ca_days"
    names=${names:-$default_names}
}

# quietly COMMAND...: its output is shown only when it fails
quietly() {
    quiet_output=$("$@" 2>&1 </dev/null) || die "$1 $2 failed: $quiet_output"
}

new_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# 127 random bits below a leading one: positive, and never the same twice
serial() { printf '0x4%s\n' "$(openssl rand -hex 16 | cut -c2-)"; }

public_key_of() { openssl pkey -in "$1" -pubout 2>/dev/null </dev/null; }

# is_pair CERTIFICATE KEY
is_pair() {
    key=$(public_key_of "$2") && cert=$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null) && [ "$key" = "$cert" ]
}

# lives_for CERTIFICATE SECONDS
lives_for() { openssl x509 -in "$1" -noout -checkend "$2" >/dev/null 2>&1; }

# is_for DIR NAME: whether clients that trust ca.crt take tls.crt for that name
is_for() {
    if is_ip "$2"; then kind=-verify_ip; else kind=-verify_hostname; fi
    openssl verify -CAfile "$1/ca.crt" -purpose sslserver "$kind" "$2" "$1/tls.crt" >/dev/null 2>&1
}

# Says why the certificate in $1 cannot stay, nothing when it can.
trouble_with_leaf() {
    for file in ca.crt tls.crt tls.key; do
        [ -s "$1/$file" ] || { echo "$file is missing"; return; }
    done
    is_pair "$1/tls.crt" "$1/tls.key" || { echo "tls.crt and tls.key do not belong together"; return; }
    openssl verify -CAfile "$1/ca.crt" -purpose sslserver "$1/tls.crt" >/dev/null 2>&1 ||
        { echo "tls.crt has expired or is not of ca.crt"; return; }
    lives_for "$1/tls.crt" "$((days * 86400 / 3))" ||
        { echo "tls.crt has less than a third of $days days left"; return; }
    printf '%s\n' "$names" | while IFS= read -r name; do
        is_for "$1" "$name" || { echo "tls.crt is not for $name"; break; }
    done
}

# Whether the CA in $1 can sign a certificate of $days days.
ca_is_usable() {
    [ -s "$1/ca.crt" ] && [ -s "$1/ca.key" ] && is_pair "$1/ca.crt" "$1/ca.key" && lives_for "$1/ca.crt" "$((days * 86400))" &&
        openssl verify -CAfile "$1/ca.crt" "$1/ca.crt" >/dev/null 2>&1
}

make_ca() {
    cat >"$1/ca.cnf" <<END
[req]
distinguished_name = subject
prompt = no
x509_extensions = extensions
[subject]
CN = modelberth CA
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
    new_key "$1/ca.key"
    quietly openssl req -x509 -new -sha256 -config "$1/ca.cnf" -key "$1/ca.key" -days "$ca_days" \
        -set_serial "$(serial)" -out "$1/ca.crt"
}

subject_alternatives() {
    printf '%s\n' "$names" | while IFS= read -r name; do
        if is_ip "$name"; then echo "IP:$name"; else echo "DNS:$name"; fi
    done | paste -s -d , -
}

make_leaf() {
    cat >"$1/tls.cnf" <<END
[req]
distinguished_name = subject
prompt = no
[subject]
CN = modelberth-webhook
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $(subject_alternatives)
END
    new_key "$1/tls.key"
    quietly openssl req -new -sha256 -config "$1/tls.cnf" -key "$1/tls.key" -out "$1/tls.csr"
    quietly openssl x509 -req -sha256 -in "$1/tls.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -days "$days" \
        -set_serial "$(serial)" -extfile "$1/tls.cnf" -extensions extensions -out "$1/tls.crt"
}

# Folders of runs that were killed: private keys should not lie about.
remove_leftovers() {
    for leftover in "$dir"/.new.*; do
        [ -d "$leftover" ] || continue
        pid=${leftover##*/.new.}
        kill -0 "${pid%%.*}" 2>/dev/null || rm -rf "$leftover"
    done
}

# Files are complete before they get their names. A run killed between two renames leaves a certificate that does
# not fit its key or its CA, which the next run sees.
make_files() {
    staging=$(mktemp -d "$dir/.new.$$.XXXXXX") || die "cannot write to $dir"
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -z "$force" ] && ca_is_usable "$dir"; then
        cp "$dir/ca.crt" "$dir/ca.key" "$staging"
        made="a certificate of the same CA"
    else
        make_ca "$staging"
        made="a CA and a certificate"
    fi
    make_leaf "$staging"
    why=$(trouble_with_leaf "$staging")
    [ -z "$why" ] || die "what was made does not verify: $why"
    chmod 0644 "$staging/ca.crt" "$staging/tls.crt"
    for file in ca.key ca.crt tls.key tls.crt; do
        mv -f "$staging/$file" "$dir/$file" || die "cannot write $dir/$file"
    done
    say "made $made in $dir for $(printf '%s\n' "$names" | paste -s -d ' ' -)"
}

base64_of() { openssl base64 -A -in "$1"; }

print_secret() {
    cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: modelberth-webhook-tls
  namespace: modelberth-system
type: kubernetes.io/tls
data:
  tls.crt: $(base64_of "$dir/tls.crt")
  tls.key: $(base64_of "$dir/tls.key")
  ca.crt: $(base64_of "$dir/ca.crt")
END
}

print_patch() {
    printf '[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"%s"}]\n' "$(base64_of "$dir/ca.crt")"
}

parse_arguments "$@"
command -v openssl >/dev/null || die "openssl is not installed"
mkdir -p -- "$dir" || die "cannot make the folder $dir"
remove_leftovers
why=$(trouble_with_leaf "$dir")
if [ -n "$force" ] || [ -n "$why" ]; then
    if [ -z "$force" ] && [ -e "$dir/tls.crt" ]; then say "$why"; fi
    make_files
else
    say "kept what is in $dir: $(openssl x509 -in "$dir/tls.crt" -noout -enddate | sed 's/notAfter=/valid until /')"
fi
case $output in
--secret) print_secret ;;
--patch-ca-bundle) print_patch ;;
esac
