#!/bin/sh
# Make the Debian base image where no image registry can be reached: images/base/make.sh [NAME]
#
# A minimal Debian from the package index, imported into the engine under the name that the
# Dockerfiles take as their base. Certificate authorities that this machine's owner added (as behind
# a company's proxy) are trusted in it, so that apt and pip work in what is built on it; the gateway's
# own image takes none of them over. Proxy settings in the environment reach apt as they are.
set -eu

name=${1:-debian:trixie-slim}
suite=${SUITE:-trixie}
docker=${DOCKER:-docker}
own=/usr/local/share/ca-certificates # where an administrator adds authorities on Debian
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v mmdebstrap >/dev/null; then
    echo "images/base/make.sh: mmdebstrap is missing: apt-get install --no-install-recommends mmdebstrap" >&2
    exit 1
fi

mkdir -p "$work/ca-certificates"
for certificate in "$own"/*.crt; do
    [ ! -e "$certificate" ] || cp "$certificate" "$work/ca-certificates/"
done

set -- --quiet --variant=minbase --include=ca-certificates
for unread in doc man locale info; do
    set -- "$@" "--dpkgopt=path-exclude=/usr/share/$unread/*"
done
# shellcheck disable=SC2016 # mmdebstrap puts the directory of the new system in place of $1
mmdebstrap "$@" \
    --customize-hook="copy-in $work/ca-certificates /usr/local/share" \
    --customize-hook='chroot "$1" update-ca-certificates >/dev/null' \
    "$suite" "$work/base.tar"
"$docker" import --change 'CMD ["/bin/sh"]' "$work/base.tar" "$name" >/dev/null
echo "$name: made from Debian $suite"
