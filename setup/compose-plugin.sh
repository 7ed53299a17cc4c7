#!/bin/sh
# Find compose v2, or take it from this Debian, or else from Debian 13: setup/compose-plugin.sh DIRECTORY
#
# DIRECTORY is a docker client's own (DOCKER_CONFIG); the plugin goes to its cli-plugins/, and nothing
# is installed on the machine. Debian 12 has compose v1 only, which cannot read our files.
set -eu

config=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

works() { DOCKER_CONFIG=$config docker compose version >/dev/null 2>&1; }

if ! command -v docker >/dev/null; then
    echo "setup/compose-plugin.sh: there is no docker that could use it (Debian package docker-cli or docker.io)" >&2
    exit 1
fi
if works; then
    exit 0
fi
for own in "${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins" /usr/local/libexec/docker/cli-plugins /usr/libexec/docker/cli-plugins; do
    if [ -x "$own/docker-compose" ] && [ "$own" != "$config/cli-plugins" ]; then
        mkdir -p "$config/cli-plugins"
        cp "$own/docker-compose" "$config/cli-plugins/"
        ! works || exit 0
    fi
done

if ! command -v apt-get >/dev/null; then
    echo "setup/compose-plugin.sh: compose v2 is missing: install the docker compose plugin" >&2
    exit 1
fi
# from_this_debian: its own, where it has version 2: that fits its engine best.
from_this_debian() {
    case $(apt-cache policy docker-compose 2>/dev/null | sed -n 's/^  Candidate: //p') in
    [2-9]*) (cd "$work" && apt-get --quiet=2 --option APT::Sandbox::User=root download docker-compose) ;;
    *) return 1 ;;
    esac
}

# from_debian_13: from the same mirror that this machine takes its own Debian from.
from_debian_13() {
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 'Origin: Debian' |
        grep -v security | head -n 1)
    [ -n "$mirror" ] || {
        echo "setup/compose-plugin.sh: compose v2 is missing, and apt knows no mirror of Debian to take it from" >&2
        exit 1
    }
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
    for verb in update "download docker-compose"; do
        # shellcheck disable=SC2086 # a verb and its word
        (cd "$work" && apt-get --quiet=2 --option Dir::State="$work/state" --option Dir::Cache="$work/cache" \
            --option Dir::Etc::sourcelist="$work/sources.list" --option Dir::Etc::sourceparts=- \
            --option Dir::State::status=/dev/null --option APT::Sandbox::User=root $verb)
    done
}

from_this_debian || from_debian_13
dpkg-deb --extract "$work"/docker-compose_*.deb "$work/package"
mkdir -p "$config/cli-plugins"
cp "$work/package/usr/libexec/docker/cli-plugins/docker-compose" "$config/cli-plugins/"
works || {
    echo "setup/compose-plugin.sh: the plugin does not run with this docker client" >&2
    exit 1
}
