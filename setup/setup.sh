#!/bin/sh
# Get this machine ready: setup/setup.sh demo | bench | test | check
#
#   demo   the programs of the lab, and what the product needs of Python
#   bench  the same, and what measures and draws
#   test   the same as demo, and what the whole test suite needs: also an engine for the container pair
#   check  what the tests without root need: Python packages only
#
# Installs what is missing and nothing else; a second run finds nothing to do. Debian packages are
# listed with their reasons in debian-packages.txt, Python packages with their hashes in
# requirements/. Everything from Python lands in .venv; PYTHON=/path/to/python picks the
# interpreter. Proxy and certificate settings in the environment reach apt and pip as they are.
set -eu

cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # a plain user's PATH often lacks the daemons' place
venv=.venv
policy=/usr/sbin/policy-rc.d
policy_mark='# written by vgw setup; safe to remove'
seen=$(mktemp -d)
policy_is_ours=
installing=
aside=

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    rm -rf "$seen"
    end_installation
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

have() { command -v "$1" >/dev/null 2>&1; }

# listed SECTION...: the lines of these sections of debian-packages.txt.
listed() {
    for section in "$@"; do
        awk -v wanted="[$section]" '
            /^\[/ { inside = ($1 == wanted); next }
            inside && NF && !/^#/ { print }' setup/debian-packages.txt
    done
}

# python_problem PYTHON: what keeps an interpreter from making .venv; nothing if it can.
python_problem() {
    if ! have "$1"; then
        echo "not found"
    elif ! version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
        echo "does not run"
    elif ! "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "is Python $version; 3.11 or newer is needed"
    elif ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "is Python $version and cannot make virtual environments (Debian: python3-venv)"
    fi
}

# find_python: the first interpreter that can make .venv, in $python; the complaints in $seen.
find_python() {
    : >"$seen/pythons"
    for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11}; do
        problem=$(python_problem "$candidate")
        if [ -z "$problem" ]; then
            python=$candidate
            return 0
        fi
        [ "$problem" = "not found" ] || echo "$candidate $problem" >>"$seen/pythons"
    done
    return 1
}

# python_complaints: why no interpreter would do, and what helps.
python_complaints() {
    [ ! -s "$seen/pythons" ] ||
        echo "($(paste -sd ';' "$seen/pythons" | sed 's/;/; /g'); PYTHON=/path/to/python picks another)"
}

# is_there NAME: whether a program can be run, or a file is there. `venv` stands for a Python that
# makes virtual environments.
is_there() {
    case $1 in
    venv) venv_is_current || find_python ;;
    /*) [ -e "$1" ] ;;
    *) have "$1" ;;
    esac
}

# services_of PACKAGE: the systemd units, by name, that an installed package brought.
services_of() {
    dpkg-query --listfiles "$1" 2>/dev/null | sed -n 's|^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.service\)$|\2|p'
}

# install_packages PACKAGE...: by apt, with no service started, now or at the next boot.
install_packages() {
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    # apt and dpkg ask this file before they start a service; 101 means no. One that is there
    # already belongs to the machine's owner, unless an earlier run was killed and left ours.
    if [ ! -e "$policy" ] || grep -qsxF "$policy_mark" "$policy"; then
        policy_is_ours=yes
        printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
        chmod 755 "$policy"
    else
        say "$policy exists and decides whether the new services start; left as it is"
    fi
    if ! apt_get install --download-only "$@"; then
        say "apt-get could not fetch everything; once more with fresh package lists"
        apt_get update || say "going on with the package lists that are there"
        apt_get install --download-only "$@" ||
            fail "apt-get could not fetch: $* (its own words are above)"
    fi
    # Interrupted here, dpkg would leave packages half installed. In a session of its own it does
    # not hear Ctrl-C, which takes effect right after.
    aside="setsid --wait"
    installing=$*
    apt_get install "$@" ||
        fail "apt-get could not install: $* (its own words are above)"
    end_installation
}

# end_installation: services may start again, but not those that we brought. The lab starts its own
# daemons with its own files. Also what Ctrl-C leads to.
end_installation() {
    started="not enabled at boot"
    if [ -n "$policy_is_ours" ]; then
        rm -f "$policy"
        policy_is_ours=
        started="not started and not enabled at boot"
    fi
    off=
    for package in $installing; do
        for unit in $(services_of "$package"); do
            if is_enabled "$unit" && disable "$unit"; then
                off="$off $unit"
            fi
        done
    done
    installing=
    if [ -n "$off" ]; then
        say "new services, $started:$off (systemctl enable --now NAME turns one on)"
    fi
}

is_enabled() {
    for link in /etc/systemd/system/*.wants/"$1"; do
        [ ! -L "$link" ] || return 0
    done
    return 1
}

disable() {
    if have systemctl; then
        systemctl --quiet disable "$1" >/dev/null 2>&1
    else # no systemd yet, but another package may bring it: take away what it would follow
        rm -f /etc/systemd/system/*.wants/"$1"
    fi
}

apt_get() {
    verb=$1
    shift
    case $verb in
    update) say "apt-get update" ;;
    esac
    # shellcheck disable=SC2086 # a command and its option, or nothing
    $aside apt-get "$verb" --quiet=2 --no-install-recommends --option DPkg::Lock::Timeout=120 \
        --option Dpkg::Use-Pty=0 --yes "$@" </dev/null >"$seen/apt" 2>&1 || {
        tail -n 20 "$seen/apt" >&2
        return 1
    }
}

apt_lists_there() {
    for list in /var/lib/apt/lists/*Packages* /var/lib/apt/lists/*InRelease; do
        [ ! -f "$list" ] || return 0
    done
    return 1
}

# stamp: what .venv must be made from, in one line.
stamp() {
    # shellcheck disable=SC2046 # a list of files
    echo "$( (cat $(requirement_files) && sed '/^\[tool\.ruff\]/,$d' pyproject.toml) | cksum)" \
        "$("$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null | tr '\n' ' ')" "$PWD"
}

requirement_files() { echo "setup/requirements/$pins.txt" setup/requirements/build.txt; }

venv_is_current() {
    [ -x "$venv/bin/vgw" ] && [ "$(cat "$venv/stamp-$pins" 2>/dev/null)" = "$(stamp)" ]
}

# make_venv: .venv with exactly the pinned packages, and this checkout in it as `vgw`.
make_venv() {
    if venv_is_current; then
        return 0
    fi
    if [ -L "$venv" ]; then
        fail "$PWD/$venv is a link to $(readlink "$venv"), which another checkout may use and set-up would empty; remove the link"
    fi
    if [ -e "$venv" ] && [ ! -w "$venv" ]; then
        fail "$PWD/$venv belongs to another user; have it removed, or work in a checkout of your own"
    fi
    find_python || fail "no usable Python $(python_complaints)"
    say "Python packages of setup/requirements/$pins.txt into $PWD/$venv, with $python"
    "$python" -m venv --clear "$venv"
    # shellcheck disable=SC2046 # a list of options
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: $(requirement_files | sed 's/[^ ]*/--requirement &/g') ||
        fail "pip could not install the Python packages (its own words are above); behind a proxy" \
            "set https_proxy, and PIP_CERT where the proxy has a certificate authority of its own"
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-build-isolation \
        --no-deps --editable .
    stamp >"$venv/stamp-$pins"
    case $pins in # dev holds bench, and bench holds lab: nothing more is needed for those
    dev) held="bench lab" ;;
    bench) held=lab ;;
    *) held= ;;
    esac
    for pins in $held; do
        stamp >"$venv/stamp-$pins"
    done
}

# known_package NAMES: of names with a | between them, the first that this Debian has.
known_package() {
    for known in $(echo "$1" | tr '|' ' '); do
        ! apt-cache show "$known" >/dev/null 2>&1 || break
    done
    echo "$known"
}

# install_missing SECTION...: bring in the programs that are not there, or say how.
install_missing() {
    listed "$@" >"$seen/listed"
    : >"$seen/missing" && : >"$seen/wanting"
    while read -r package program reason; do
        is_there "$program" || echo "$package $program $reason" >>"$seen/wanting"
    done <"$seen/listed"
    [ -s "$seen/wanting" ] || return 0

    # A package may have another name in another Debian, which only apt's lists tell.
    [ "$(id -u)" -ne 0 ] || ! have apt-get || apt_lists_there || apt_get update
    while read -r package program reason; do
        echo "$(known_package "$package") $program $reason" >>"$seen/missing"
    done <"$seen/wanting"

    packages=$(cut -d' ' -f1 "$seen/missing" | sort -u | tr '\n' ' ')
    packages=${packages% }
    while read -r package program reason; do
        case $program in
        venv) say "missing: a Python that makes virtual environments (package $package): $reason" ;;
        *) say "missing: $program (package $package): $reason" ;;
        esac
    done <"$seen/missing"
    if ! have apt-get; then
        say "this is not Debian (no apt-get): install the programs named above by this system's own means"
        return 1
    fi
    command="apt-get install --no-install-recommends $packages"
    if [ "$(id -u)" -ne 0 ]; then
        apt_lists_there || command="apt-get update && $command"
        say "only root installs packages; an administrator must run: $command"
        return 1
    fi
    say "$command"
    # shellcheck disable=SC2086 # a list of packages
    install_packages $packages
    while read -r package program reason; do
        is_there "$program" ||
            fail "package $package is installed, but it brought no usable $program $(python_complaints)"
    done <"$seen/missing"
}

case ${1-} in
demo) pins=lab needed="python demo" wished= ;;
bench) pins=bench needed="python demo" wished=bench ;;
test) pins=dev needed=python wished="demo test containers" ;;
check) pins=dev needed=python wished= ;;
*) fail "usage: setup/setup.sh demo | bench | test | check" ;;
esac

if [ -n "${PYTHON-}" ] && ! venv_is_current; then
    find_python || fail "PYTHON=$PYTHON will not do: $PYTHON $(python_problem "$PYTHON")"
fi

# shellcheck disable=SC2086 # lists of sections
{
    install_missing $needed || fail "cannot go on without the programs named above"
    [ -z "$wished" ] || install_missing $wished ||
        say "going on without; what needs them says so when it is skipped"
}
make_venv
