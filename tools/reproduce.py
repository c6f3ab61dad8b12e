"""Measure every row of the ledger and store the numbers: `make ledger`, in about a minute.

With keys (`make ledger ONLY="C07 C20"`) it measures these and keeps the others. What the rows are
stands in notebooks/ledger_rows.py; another run on the same machine changes no byte.
"""

from __future__ import annotations

import json
import sys
import time

from pybtex.database import parse_file
from threadpoolctl import threadpool_limits

from notebooks import NOTEBOOKS, ROOT

sys.path.insert(0, str(NOTEBOOKS))
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import forms
import ledger


def sources() -> dict[str, list[str]]:
    """Authors and year of each source, as a citation names them, and where it can be read."""
    entries = parse_file(str(forms.SOURCES)).entries
    found = {}
    for key in sorted({row.source for row in ledger.ROWS}):
        who, year = forms.label(entries[key])
        found[key] = [f"{who} ({year})", forms.address(entries[key])]
    return found


def main(names: list[str]) -> int:
    known = {row.key for row in ledger.ROWS}
    if unknown := sorted(set(names) - known):
        print(f"no row called {', '.join(unknown)}")
        return 2
    threadpool_limits(1)  # two threads add in another order
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
    content = {"of": ledger.fingerprint(), "sources": sources(), "rows": rows}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    ledger.STORED.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
