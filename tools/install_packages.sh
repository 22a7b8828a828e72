#!/usr/bin/env bash
# Installs what is missing of Debian 12's packages: tools/install_packages.sh [--check] GROUP...
#
# Groups: build, test, style, fuzz. docs/dependencies.md gives each package its reason; a test compares the two lists.
# With --check nothing is installed: what is missing is printed, and the exit code is 1 when something is.
set -euo pipefail

declare -A packages=(
    [build]="g++ cmake ninja-build ccache mold git ca-certificates pkg-config python3 libboost1.81-dev
        libboost-json1.81-dev libssl-dev zlib1g-dev libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev
        libsqlite3-dev prometheus-cpp-dev doctest-dev libbenchmark-dev libkainjow-mustache-dev libxxhash-dev
        libhiredis-dev libcctz-dev tzdata librabbitmq-dev"
    [test]="chromium fonts-dejavu-core python3-websockets curl openssl sqlite3 redis-server python3-django
        python3-django-channels python3-channels-redis daphne rabbitmq-server celery iproute2"
    [style]="clang-format-14 clang-tidy-14 shellcheck"
    [fuzz]="clang libclang-rt-14-dev"
    [node]="nodejs npm"
)

say() { printf '%s\n' "$*" >&2; }

# Node comes with every group: the pages are bundled by it. A Node from elsewhere conflicts with Debian's npm,
# therefore Debian's two packages are asked for only where a command is missing or too old.
node_is_enough() {
    command -v node >/dev/null && command -v npm >/dev/null || return 1
    local major
    major=$(node --version | sed -E 's/^v([0-9]+).*/\1/')
    [[ $major =~ ^[0-9]+$ ]] && ((major >= 18))
}

# Adds to `missing` what is not installed of one group.
find_missing() {
    local package status names
    read -r -d '' -a names <<<"${packages[$1]}" || true
    for package in "${names[@]}"; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ $status == installed ]] || missing+=("$package")
    done
}

explain_and_fail() {
    say "$1"
    say "Install them as root, then start this again:"
    say "  apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
    exit 1
}

become_root() {
    if ((EUID == 0)); then
        as_root=(env DEBIAN_FRONTEND=noninteractive)
    elif ! command -v sudo >/dev/null; then
        explain_and_fail "These packages are missing, and there is no sudo here: ${missing[*]}"
    elif [[ ! -t 0 || -n ${CI:-} ]] && ! sudo -n true 2>/dev/null; then
        explain_and_fail "These packages are missing, and sudo wants a password that nobody can type: ${missing[*]}"
    else
        as_root=(sudo DEBIAN_FRONTEND=noninteractive)
    fi
}

check_only=false
missing=()
as_root=()
groups=()
for argument in "$@"; do
    case $argument in
    --check) check_only=true ;;
    build | test | style | fuzz) groups+=("$argument") ;;
    *) say "usage: tools/install_packages.sh [--check] build|test|style|fuzz..." && exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "This is not a Debian system: packages are neither checked nor installed. Needed are the equivalents of"
    for group in "${groups[@]}"; do
        say "  ${packages[$group]}"
    done
    say "  and Node 18 or newer with npm."
    exit 0
fi

for group in "${groups[@]}"; do
    find_missing "$group"
done
node_is_enough || find_missing node

if ((${#missing[@]} == 0)); then
    node_is_enough && exit 0
    say "Node $(node --version 2>/dev/null || true) is here, but Carillon needs Node 18 or newer and npm."
    say "It did not come from this Debian's own packages: update it where it came from."
    exit 1
fi
if $check_only; then
    say "Missing packages: ${missing[*]}"
    exit 1
fi
become_root
say "Installing what is missing: ${missing[*]}"
"${as_root[@]}" apt-get update --quiet || explain_and_fail "The package lists could not be fetched."
"${as_root[@]}" apt-get install --yes --quiet --no-install-recommends "${missing[@]}" ||
    explain_and_fail "These packages could not be installed: ${missing[*]}"
