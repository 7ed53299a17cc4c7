#!/bin/sh
# Pin the Python packages again: pyproject.toml and build.in to setup/requirements/*.txt.
#
# Each file is whole (lab.txt holds runtime.txt, bench.txt holds lab.txt, dev.txt holds bench.txt),
# with the hashes of every wheel of a version, and without the address of any index: where packages
# come from is pip's configuration on the machine that installs.
set -eu
cd "$(dirname "$0")/.."

tools=.venv-lock
python=${PYTHON:-python3}

# The lowest Python we support decides: it needs the most packages.
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "lock: $python is not Python 3.11, the lowest that pyproject.toml allows;" \
        "run: make lock PYTHON=/path/to/python3.11" >&2
    exit 1
}

"$python" -m venv --clear "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check 'pip-tools==7.6.2'

# pin NAME WHAT...: write setup/requirements/NAME.txt from the given sources.
pin() {
    name=$1
    shift
    echo "lock: setup/requirements/$name.txt"
    printf '# %s: pinned by make lock; do not edit\n' "$name" >"$tools/$name.txt"
    CUSTOM_COMPILE_COMMAND='make lock' "$tools/bin/pip-compile" --quiet --generate-hashes \
        --strip-extras --allow-unsafe --no-annotate --no-header --no-emit-options \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        ${UPGRADE:+--upgrade} --output-file "$tools/out/$name.txt" "$@"
    cat "$tools/out/$name.txt" >>"$tools/$name.txt"
}

# Former pins are kept unless UPGRADE=1 asks for new ones.
mkdir -p "$tools/out"
for name in dev bench lab runtime build; do
    if [ -f "setup/requirements/$name.txt" ]; then
        grep -v '^# ' "setup/requirements/$name.txt" >"$tools/out/$name.txt" || :
    fi
done

# The largest set first: the smaller ones take their versions from it.
pin dev --extra lab --extra bench --extra dev pyproject.toml
pin bench --extra lab --extra bench --constraint "$tools/out/dev.txt" pyproject.toml
pin lab --extra lab --constraint "$tools/out/dev.txt" pyproject.toml
pin runtime --constraint "$tools/out/dev.txt" pyproject.toml
pin build --constraint "$tools/out/dev.txt" setup/requirements/build.in

for name in dev bench lab runtime build; do
    mv "$tools/$name.txt" "setup/requirements/$name.txt"
done
rm -rf "$tools"
