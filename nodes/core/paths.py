"""The form of znode paths. Says nothing about whether a znode exists."""

from __future__ import annotations

import re

ROOT = "/"

# An empty, "." or ".." component, a slash at the end, or a character that ZooKeeper refuses. It
# looks at UTF-16 units, so every character beyond U+FFFF is refused as a pair of surrogates.
_MALFORMED = re.compile(
    "//|/\\.\\.?(?:/|\\Z)|/\\Z|[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]"
)


def validate_path(path: str) -> bool:
    """Return whether a znode may have this path (ZooKeeper's `PathUtils.validatePath`)."""
    if not path.startswith("/"):
        return False
    # Nearly every path is plain ASCII; these scans cost a fifth of the expression's.
    if path.isascii() and path.isprintable() and "/." not in path and "//" not in path:
        return path[-1] != "/" or path == ROOT
    return _MALFORMED.search(path) is None
