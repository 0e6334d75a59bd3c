"""Path rules: ZooKeeper's `PathUtils.validatePath`."""

from __future__ import annotations

import pytest

from nodes.core.paths import validate_path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/b",
        "/a b",
        "/..a",
        "/a..",
        "/a./b",
        "/...",
        "/.../b",
        "/\u00e9\u00a0",
        "/\ud7ff",
        "/\uf900",
        "/\uffef",
        "/~",
    ],
)
def test_wellformed_path_is_valid(path: str) -> None:
    assert validate_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "a/b",
        "//",
        "//a",
        "/a/",
        "/a//b",
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/a\0",
        "/a\x01",
        "/a\x1f",
        "/a\n",
        "/a\x7f",
        "/a\x9f",
        "/a\ud800",
        "/a\ue000",
        "/a\uf8ff",
        "/a\ufff0",
        "/a\uffff",
        "/a\U0001f600",
        "/\u00e9/",
        "/\u00e9//a",
        "/\u00e9/.",
        "/\u00e9/../a",
    ],
)
def test_malformed_path_is_refused(path: str) -> None:
    assert not validate_path(path)
