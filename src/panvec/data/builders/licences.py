"""Which licences a builder takes, by their names."""

from __future__ import annotations

import re

PERMISSIVE = frozenset(
    [
        "0bsd",
        "apache-2.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsl-1.0",
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "hpnd",
        "isc",
        "mit",
        "mit-0",
        "mit-cmu",
        "ofl-1.1",
        "psf-2.0",
        "python-2.0",
        "unicode-3.0",
        "unicode-dfs-2016",
        "unlicense",
        "zlib",
    ]
)
"""SPDX names, in lower case, of licences that ask for no more than to be named."""
_SHARED = frozenset(
    ["cc-by-sa-3.0", "cc-by-sa-4.0", "gpl-2.0", "gpl-2.0-or-later", "gpl-3.0", "gpl-3.0-or-later", "lgpl-3.0", "mpl-2.0"]
)
_SPOKEN = {
    "apache": "apache-2.0",
    "apache 2": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "apache license version 2.0": "apache-2.0",
    "apache software license": "apache-2.0",
    "apache 2.0 license": "apache-2.0",
    "bsd": "bsd-3-clause",
    "bsd license": "bsd-3-clause",
    "3-clause bsd": "bsd-3-clause",
    "new bsd": "bsd-3-clause",
    "bsd 3-clause": "bsd-3-clause",
    "bsd 3-clause license": "bsd-3-clause",
    "isc license (iscl)": "isc",
    "mit license": "mit",
    "the mit license": "mit",
    "the unlicense (unlicense)": "unlicense",
    "python software foundation license": "psf-2.0",
}


def is_free(name: str) -> bool:
    """Whether everybody may use, change and share what has this licence, for any purpose (so no NC and no ND)."""
    return _spdx(name) in PERMISSIVE | _SHARED


def is_permissive(expression: str) -> bool:
    """Whether a licence, or every licence of an expression such as `MIT AND (Apache-2.0 OR GPL-2.0)`, is permissive.

    Of an OR one permissive side is enough, where it has no AND beside it.
    """
    names = [_spdx(name) for name in re.split(r"\s+(?:AND|OR)\s+", re.sub(r"[()]", " ", expression))]
    wanted = any if " OR " in expression and " AND " not in expression else all
    return wanted(name in PERMISSIVE for name in names) or _spdx(expression) in PERMISSIVE


def _spdx(name: str) -> str:
    plain = " ".join(name.lower().split())
    return _SPOKEN.get(plain, plain)
