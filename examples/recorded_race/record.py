"""Read the znode of a dead session, with window W2 held open, and write down what was seen.

python examples/recorded_race/record.py race.jsonl && orchestrator check race.jsonl

Starts an ensemble of its own and ends it.
"""

import argparse
import sys
from pathlib import Path

from client.errors import LagkeeperError, SessionExpiredError
from client.recording import HistoryWriter
from client.sync import Client
from orchestrator.ensemble import Ensemble
from orchestrator.errors import OrchestratorError


def run(file: Path) -> None:
    """Be told that a session expired, and read its znode, before and behind a sync."""
    with HistoryWriter(file, source="record.py") as history, Ensemble(members=3) as ensemble:
        leader = ensemble.leader()
        follower = 1 if leader != 1 else 2
        me = history.program(1)
        reader = Client(ensemble.address(follower), history=me).start()
        owner = Client(ensemble.address(leader), history=me).start()
        owner.create("/lock", ephemeral=True)
        reader.sync()
        same = (owner.session_id, owner.password)
        owner.go_silent()
        with ensemble.window("W2", owner.session_id, on=follower):
            try:
                Client(ensemble.address(leader), session=same, history=me).start()
            except SessionExpiredError as told:
                print(told)
            print("the znode is", "still there" if reader.exists("/lock") else "gone")
        reader.sync()
        print("behind a sync it is", "still there" if reader.exists("/lock") else "gone")
        reader.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Record the race in window W2.")
    parser.add_argument("file", type=Path, help="where to write the history, JSON lines")
    try:
        run(parser.parse_args().file)
    except (LagkeeperError, OrchestratorError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
