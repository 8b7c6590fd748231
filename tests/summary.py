#!/usr/bin/env python3
"""Sums JUnit XML results: summary.py DIR EXPECTED.xml...

Prints what failed and was skipped, then `N passed, N failed, N skipped` alone on the last line. An expected file that is
missing or unreadable is one failure: a suite that dies must not look like one that passed.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main(directory, expected):
    passed, failed, skipped = 0, [], []
    for name in expected:
        try:
            cases = list(ET.parse(Path(directory) / name).iter("testcase"))
        except (OSError, ET.ParseError) as error:
            failed.append(f"{name}: no result ({error})")
            continue
        if not cases:
            failed.append(f"{name}: ran no test")
        for case in cases:
            title = f"{name.removesuffix('.xml')}: {case.get('name')}"
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(title)
            elif skip is not None:
                skipped.append(f"{title}: {skip.get('message') or 'no reason given'}")
            else:
                passed += 1
    for line in skipped:
        print("skipped", line)
    for line in failed:
        print("FAILED ", line)
    sys.stdout.flush()
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
