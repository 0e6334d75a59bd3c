"""One keeper a directory; what a dead one left behind deceives nobody."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from orchestrator.directory import Claim, Keeper, find_keeper
from orchestrator.errors import NotPossible


def test_a_claimed_directory_is_refused_to_another(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.publish("127.0.0.1:1")
    with pytest.raises(NotPossible, match=rf"runs in .* already \(pid {os.getpid()}\)"):
        Claim(tmp_path)
    claim.release()
    Claim(tmp_path).release()


def test_a_published_keeper_is_found(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    with pytest.raises(NotPossible, match="still starting"):
        find_keeper(tmp_path)
    claim.publish("127.0.0.1:7")
    assert find_keeper(tmp_path) == Keeper(os.getpid(), "127.0.0.1:7")
    claim.release()


def test_the_file_of_a_dead_keeper_is_stale(tmp_path: Path) -> None:
    # Its pid may live again as another program's; the lock tells.
    stale = {"pid": os.getpid(), "address": "127.0.0.1:7"}
    (tmp_path / "orchestrator.json").write_text(json.dumps(stale))
    (tmp_path / "orchestrator.lock").touch()
    with pytest.raises(NotPossible, match="no ensemble runs"):
        find_keeper(tmp_path)
    claim = Claim(tmp_path)
    with pytest.raises(NotPossible, match="still starting"):
        find_keeper(tmp_path)
    claim.release()


def test_release_removes_the_file(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.publish("127.0.0.1:7")
    claim.release()
    assert not (tmp_path / "orchestrator.json").exists()


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotPossible, match="cannot write in directory"):
        Claim(tmp_path / "file" / "below")
