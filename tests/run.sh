#!/bin/bash
# Runs test suites and closes with one line: `N passed, N failed, N skipped`.
#
#   tests/run.sh [--fast] [--update] SUITE...
#
#   unit        C unit tests (cmocka)             golden      mutations, case by case
#   server      the admission server over TLS     initc       the init container against the local hub
#   manifests   what is installed in a cluster    hub         the local hub against the real client
#   cluster     the images and the test Kubernetes itself
#   e2e         everything on a real Kubernetes
#
# --fast leaves out what waits for deadlines or starts an API server; --update rewrites the files that golden expects.
# The test Kubernetes is stopped afterwards if it was down before. Results are JUnit XML in $MODELBERTH_BUILD/results; a
# suite that dies without one counts as failed.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${MODELBERTH_BUILD:-build}
results=$build/results
export MODELBERTH_WEBHOOK=${MODELBERTH_WEBHOOK:-$PWD/$build/modelberth-webhook}
export MODELBERTH_INITC=${MODELBERTH_INITC:-$PWD/$build/modelberth-initc}

update=()
fast=()
suites=()
for argument in "$@"; do
    case $argument in
    --update) update=(--update) ;;
    --fast) fast=(-m "not slow") ;;
    unit | golden | server | initc | manifests | hub | cluster | e2e) suites+=("$argument") ;;
    *) sed -n '2,15p' "$0" >&2; exit 2 ;;
    esac
done

rm -rf "$results"
mkdir -p "$results"

unit() {
    local program name
    for program in "$build"/unit/*/test_*; do
        [ -x "$program" ] || continue
        case $program in *.d) continue ;; esac
        name=$(basename "$(dirname "$program")")-$(basename "$program")
        expected+=("unit-$name.xml")
        CMOCKA_MESSAGE_OUTPUT=XML CMOCKA_XML_FILE="$results/unit-$name.xml" "$program" || echo "unit: $name failed" >&2
    done
}

pytest() {
    local suite=$1 folder=$2
    shift 2
    expected+=("$suite.xml")
    "$python" -m pytest -q -p no:cacheprovider --junitxml="$results/$suite.xml" "${fast[@]}" "$folder" "$@" || true
}

expected=()
if [ "${suites[*]}" != unit ]; then
    tests/setup.sh python || exit 1
    python=$(tests/setup.sh python-path)/bin/python
fi
was_down=
case " ${suites[*]} " in
*" cluster "* | *" e2e "*) [ -n "${KUBECONFIG:-}" ] || tests/cluster/cluster.sh status >/dev/null 2>&1 || was_down=1 ;;
esac

for suite in "${suites[@]}"; do
    echo "== $suite"
    SECONDS=0
    case $suite in
    unit) unit ;;
    golden) pytest golden tests/golden "${update[@]}" ;;
    # with a KUBECONFIG another cluster takes the place of ours
    cluster) pytest cluster tests/cluster ${KUBECONFIG:+-m "not cluster"} ;;
    e2e) pytest e2e tests/e2e ;;
    # most of their time is waiting
    *) pytest "$suite" "tests/$suite" -n 4 ;;
    esac
    echo "== $suite: $SECONDS s"
done
[ -z "$was_down" ] || [ "$(id -u)" -ne 0 ] || tests/cluster/cluster.sh down
exec python3 tests/summary.py "$results" "${expected[@]}"
