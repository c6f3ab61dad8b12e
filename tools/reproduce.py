"""Measure every row of the ledger and store the numbers: `make ledger`, in about a minute.

With keys (`make ledger ONLY="C07 C20"`) it measures these and keeps the others. What the rows are
stands in notebooks/ledger_rows.py; another run on the same machine changes no byte.
"""

from __future__ import annotations

import json
import sys
import time

from notebooks import NOTEBOOKS

sys.path.insert(0, str(NOTEBOOKS))
import ledger


def main(names: list[str]) -> int:
    known = {row.key for row in ledger.ROWS}
    if unknown := sorted(set(names) - known):
        print(f"no row called {', '.join(unknown)}")
        return 2
    numbers = ledger.stored() if names else {}
    for row in ledger.ROWS:
        if not names or row.key in names:
            started = time.perf_counter()
            numbers[row.key] = ledger.measure(row)
            found = numbers[row.key]
            verdict = row.verdict(found["measured"], found["predicted"])
            seconds = time.perf_counter() - started
            print(f"{row.key:5} {found['measured']:<10} {verdict:10} {seconds:5.1f} s", flush=True)
    rows = {row.key: numbers[row.key] for row in ledger.ROWS}
    text = json.dumps({"of": ledger.fingerprint(), "rows": rows}, indent=1)
    ledger.STORED.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
