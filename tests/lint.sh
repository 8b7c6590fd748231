#!/bin/bash
# Format, shell scripts, static analysis, spelling, and the sizes that one reads in a sitting.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
run() { echo "lint: $1"; shift; "$@" || failed=1; }

mapfile -t c_files < <(git ls-files '*.c' '*.h')
mapfile -t shell_files < <(git ls-files '*.sh' .ci/run)

format() { clang-format --dry-run -Werror "${c_files[@]}"; }

shells() { shellcheck -x --exclude=SC2317 "${shell_files[@]}"; } # functions are called through run()

analysis() {
    cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr --enable=warning,portability \
        --suppress=missingIncludeSystem --suppress=unknownMacro -D_GNU_SOURCE -I. common webhook initc
}

spelling() {
    git ls-files | grep -vE '^tests/golden/|\.sum$|^LICENSE$|\.lock$' |
        xargs codespell --quiet-level=2 --ignore-words-list='ro,crit,sourc,pullrequests,sorce,modle,parms'
}

# Files of at most 400 lines, functions of at most 60 (program code; tests are lists).
sizes() {
    local bad=0 file lines
    for file in "${c_files[@]}"; do
        case $file in tests/*) continue ;; esac
        lines=$(wc -l <"$file")
        [ "$lines" -le 400 ] || { echo "$file: $lines lines, at most 400"; bad=1; }
    done
    pmccabe common/*.c webhook/*.c webhook/*/*.c initc/*.c initc/*/*.c 2>/dev/null |
        awk '$5 > 60 || $1 > 15 {print $6 " " $7 ": " $5 " lines (at most 60), complexity " $1 " (at most 15)"; bad = 1} END {exit bad}' FS='[ \t]+' || bad=1
    return "$bad"
}

run format format
run shellcheck shells
run cppcheck analysis
run codespell spelling
run sizes sizes
exit $failed
