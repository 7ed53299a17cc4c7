#!/bin/sh
# The steps of `make release` that are not tests: setup/release.sh check | build | tag X.Y.Z
#
#   check  refuse what is not ready: all reasons at once, each with its remedy; changes nothing
#   build  check, then the source archive, the wheel and, where a container engine answers, the image
#   tag    check, then an annotated tag vX.Y.Z; nothing is pushed
#
# docs/releasing.md says what to do before.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'release: %s\n' "$*"; }

refused=
refuse() {
    printf 'release: %s\n' "$*" >&2
    refused=yes
}

# stated FILE: the version that a file names, by its first sentence about it.
stated() {
    case $1 in
    appliance/__init__.py) sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$1" ;;
    Dockerfile) sed -n 's/^ARG VERSION=//p' "$1" ;;
    docs/reference.md) sed -n 's/^VGW \([0-9][0-9A-Za-z.+-]*\)\. Contents:.*/\1/p' "$1" ;;
    docs/design.md) sed -n 's/^What VGW \([^ ]*\) is made of.*/\1/p' "$1" ;;
    esac | head -n 1
}

check() {
    printf '%s\n' "$version" | grep -Eqx '(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?' ||
        refuse "'$version' is no version; say which one is meant: make release VERSION=1.2.3"

    git rev-parse --verify --quiet HEAD >/dev/null || refuse "this is no git checkout; a release is made from one"
    changed=$(git status --porcelain 2>/dev/null | head -n 3)
    [ -z "$changed" ] || refuse "the tree has changes; commit them or take them away:
$changed"

    for file in appliance/__init__.py Dockerfile docs/reference.md docs/design.md; do
        there=$(stated "$file")
        [ "$there" = "$version" ] ||
            refuse "$file names version ${there:-(none)}, not $version; change it, and the expected files by \`make golden\`"
    done

    last=$(git tag --list 'v[0-9]*' | sed 's/^v//' | sort --version-sort | tail -n 1)
    newest=$(printf '%s\n%s\n' "$last" "$version" | sort --version-sort | tail -n 1)
    if [ "$last" = "$version" ]; then
        refuse "$version is released already (tag v$last); raise __version__ in appliance/__init__.py"
    elif [ "$newest" != "$version" ]; then
        refuse "$version comes before $last, which is released (tag v$last)"
    fi

    heading=$(sed -n 's/^## //p' CHANGELOG.md | head -n 1)
    printf '%s\n' "$heading" | grep -Eqx '[^ ]+, [0-9]{4}-[0-9]{2}-[0-9]{2}' && [ "${heading%%,*}" = "$version" ] ||
        refuse "CHANGELOG.md begins with '## ${heading:-(nothing)}'; it should with '## $version, $(date +%Y-%m-%d)'"

    [ -z "$refused" ] || exit 1
}

build() {
    revision=$(git rev-parse HEAD)
    rm -rf dist
    # The time of the commit, so that who builds it again gets the same bytes.
    SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct) .venv/bin/hatchling build --directory dist
    if command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
        docker build --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "vgw:$version" .
        docker image inspect --format '{{.Id}}' "vgw:$version" >dist/image-id
        say "image vgw:$version, $(cat dist/image-id)"
    else
        say "no container engine answers: the image was not built; where one does, run: setup/release.sh build $version"
    fi
    (cd dist && sha256sum -- *.whl *.tar.gz >SHA256SUMS)
    say "in dist/: $(cd dist && echo *)"
}

verb=${1-}
version=${2-}
case $verb in
check) check ;;
build)
    check
    build
    ;;
tag)
    check
    git tag --annotate "v$version" --message "VGW $version"
    say "tagged v$version; it is not pushed"
    ;;
*)
    echo "usage: setup/release.sh check | build | tag X.Y.Z" >&2
    exit 2
    ;;
esac
