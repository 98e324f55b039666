"""The results of `dit-gen bench` as the Markdown table of docs/attention.md, several files as one.

dit-gen bench --attention naive,full,swa --level operation,block --out a
dit-gen bench --attention naive,full,swa --level model --limit-minutes 5 --out b
python benchmarks/attention_table.py a.json b.json
"""

import json
import sys
from pathlib import Path

from markdown_tables import table

from dit_generators.bench.results import HEADINGS, left_out, rows_of


def main() -> None:
    files = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    if not files:
        sys.exit(__doc__)
    cells = [cell for found in files for cell in found["results"]]
    machines = {f"{f['model']}, {f['device']}, {f['threads']} threads, torch {f['torch']}" for f in files}
    print("; ".join(sorted(machines)), end=".\n\n")
    print("\n".join(table(HEADINGS, rows_of(cells))))
    print("", *left_out(cells), sep="\n")


if __name__ == "__main__":
    main()
