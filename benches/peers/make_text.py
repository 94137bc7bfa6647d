"""Writes Markdown of a given size: paragraphs of real documents and manifests, mixed anew for every document.

Usage: make_text.py SOURCES DIRECTORY MEGABYTES. Documents have about 20 kB. The same sources give the same text.
"""

import pathlib
import random
import sys

DOCUMENT_BYTES = 20_000
MANIFEST_SHARE = 0.2


def paragraphs(sources, ending):
    found = []
    for file in sorted(sources.rglob(f"*{ending}")):
        text = file.read_text(errors="replace")
        found += [part for part in text.split("\n\n" if ending == ".md" else "\n---\n") if part.strip()]
    return found


def main():
    sources, out, size = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]) * 1_000_000
    prose, manifests = paragraphs(sources, ".md"), paragraphs(sources, ".yaml")
    if not prose:
        sys.exit(f"there is no Markdown below {sources}")
    choose, written, number = random.Random(1), 0, 0
    part = out.with_name(out.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    while written < size:
        pieces, length = [f"# Document {number}"], 0
        while length < DOCUMENT_BYTES:
            if manifests and choose.random() < MANIFEST_SHARE:
                pieces.append(f"```yaml\n{choose.choice(manifests)}\n```")
            else:
                pieces.append(choose.choice(prose))
            length += len(pieces[-1].encode()) + 2
        text = "\n\n".join(pieces) + "\n"
        (part / f"{number:06}.md").write_text(text)
        written, number = written + len(text.encode()), number + 1
    part.rename(out)


if __name__ == "__main__":
    main()
