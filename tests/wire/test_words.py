"""Four-letter words on real members, line by line as a real ZooKeeper 3.8.0 writes them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from nodes.wire.words import environment
from tests.wire import ops
from tests.wire.conftest import TICK_MS, Lab
from tests.wire.raw import Raw, four_letters

pytestmark = pytest.mark.processes

NUMBER = r"-?\d+"
SESSION = r"0x[0-9a-f]+"
CLIENT_ADDRESS = rf"/127\.0\.0\.1:{NUMBER}"
CLIENT = rf"{CLIENT_ADDRESS}\[[01]\]\(queued={NUMBER},recved={NUMBER},sent={NUMBER}"
DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ \d{4}"
VERSION = r"3\.8\.0-\S+, built on .+"
STATS = (
    rf"Latency min/avg/max: {NUMBER}/{NUMBER}\.\d+/{NUMBER}\nReceived: {NUMBER}\nSent: {NUMBER}\n"
    rf"Connections: {NUMBER}\nOutstanding: {NUMBER}\nZxid: 0x[0-9a-f]+\nMode: (\w+)\n"
    rf"Node count: {NUMBER}\n"
)
SIZES = "Proposal sizes last/min/max: -1/-1/-1\n"


def word(lab: Lab, sid: int, name: str) -> str:
    return four_letters(lab.address(sid), name)


def matches(pattern: str, text: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text)
    assert match is not None, text
    return match


def test_words_that_look_at_the_server(lab: Lab) -> None:
    for sid in (1, 2, 3):
        leads = sid == lab.ensemble.leader()
        mode = "leader" if leads else "follower"
        sizes = SIZES if leads else ""
        srvr = matches(rf"Zookeeper version: {VERSION}\n{STATS}{sizes}", word(lab, sid, "srvr"))
        assert srvr[1] == mode
        matches(
            rf"Zookeeper version: {VERSION}\nClients:\n(?: {CLIENT}\)\n)+\n{STATS}{sizes}",
            word(lab, sid, "stat"),
        )
        assert word(lab, sid, "ruok") == "imok"
        assert word(lab, sid, "isro") == "rw"
        assert word(lab, sid, "gtmk") == "306"
        assert word(lab, sid, "envi").startswith("Environment:\nzookeeper.version=3.8.0-")


def test_a_process_without_a_user_or_a_directory_has_an_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 2)
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert environment().endswith("\nuser.name=<NA>\nuser.home=<NA>\nuser.dir=<NA>\n")


def test_conf_tells_of_this_member_and_all_others(lab: Lab) -> None:
    text = word(lab, 2, "conf")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert lines["clientPort"] == str(lab.address(2)[1])
    assert lines["serverId"] == "2"
    assert lines["tickTime"] == str(TICK_MS)
    assert lines["minSessionTimeout"] == str(2 * TICK_MS)
    assert lines["maxClientCnxns"] == "60"
    # The last line has no end, as in ZooKeeper.
    assert "membership: \nserver.1=127.0.0.1:" in text
    assert text.endswith("\nversion=0")


def test_dirs_counts_what_is_there(lab: Lab) -> None:
    """Files come and go meanwhile; a link that leads nowhere is found as one that has gone."""
    gone = Path(lab.ensemble.status().directory) / "member-1" / "gone"
    gone.symlink_to("nowhere")
    try:
        sizes = matches(
            rf"datadir_size: ({NUMBER})\nlogdir_size: ({NUMBER})\n", word(lab, 1, "dirs")
        )
    finally:
        gone.unlink()
    assert int(sizes[1]) > 0


def test_words_that_look_at_sessions(lab: Lab) -> None:
    sid = lab.follower
    with Raw.open(lab.address(sid), timeout_ms=3000) as raw:
        raw.call(ops.create("/words"))
        raw.call(ops.create("/words/e", flags=1))
        raw.call(ops.get_data("/words", watch=True))
        session = f"{raw.session_id:#x}"
        cons = word(lab, sid, "cons")
        matches(
            rf"(?: {CLIENT}(?:,sid={SESSION},lop=[A-Z]+,est={NUMBER},to={NUMBER},"
            rf"lcxid={SESSION},lzxid={SESSION},lresp={NUMBER},llat={NUMBER},minlat={NUMBER},"
            rf"avglat={NUMBER},maxlat={NUMBER})?\)\n)+\n",
            cons,
        )
        mine = next(line for line in cons.splitlines() if session in line)
        assert "(queued=0,recved=4,sent=4,sid=" in mine
        assert f"lop=GETD,est={str(int(time.time()))[:6]}" in mine
        assert "to=3000,lcxid=0x3,lzxid=0x1" in mine
        assert word(lab, sid, "wchs") == "1 connections watching 1 paths\nTotal watches:1\n"
        assert word(lab, sid, "wchp") == f"/words\n\t{session}\n\n"
        ephemerals = (
            rf"ephemeral nodes dump:\nSessions with Ephemerals \(1\):\n{session}:\n\t/words/e\n"
        )
        connections = (
            rf"Connections dump:\nConnections Sets \({NUMBER}\)/\({NUMBER}\):\n"
            rf"(?:{NUMBER} expire at {DATE}:\n(?:\tip: {CLIENT_ADDRESS} sessionId: {SESSION}\n)+)+"
        )
        matches(
            rf"SessionTracker dump:\nGlobal Sessions\({NUMBER}\):\n(?:{SESSION}\t\d+ms\n)+"
            rf"{ephemerals}{connections}",
            word(lab, sid, "dump"),
        )
        matches(
            rf"SessionTracker dump:\nSession Sets \({NUMBER}\)/\({NUMBER}\):\n"
            rf"(?:{NUMBER} expire at {DATE}:\n(?:\t{SESSION}\n)+)+{ephemerals}{connections}",
            word(lab, lab.ensemble.leader(), "dump"),
        )
        assert word(lab, sid, "crst") == "Connection stats reset.\n"
        raw.call(ops.delete("/words/e"))
        raw.call(ops.delete("/words"))
        mine = next(line for line in word(lab, sid, "cons").splitlines() if session in line)
        assert "recved=2,sent=3" in mine  # the event, too


def test_mntr_has_the_keys_that_tools_read(lab: Lab) -> None:
    def values(sid: int) -> dict[str, str]:
        text = word(lab, sid, "mntr")
        assert text.endswith("\n")
        pairs = [line.split("\t") for line in text.splitlines()]
        assert all(len(pair) == 2 and pair[0].startswith("zk_") for pair in pairs)
        return dict(pairs)

    everywhere = """version server_state peer_state znode_count watch_count ephemerals_count
        approximate_data_size num_alive_connections outstanding_requests packets_received
        packets_sent avg_latency min_latency max_latency global_sessions local_sessions uptime
        open_file_descriptor_count max_file_descriptor_count"""
    on_the_leader = """learners synced_followers synced_observers pending_syncs leader_uptime
        last_proposal_size min_proposal_size max_proposal_size"""
    leader, follower = values(lab.ensemble.leader()), values(lab.follower)
    assert {f"zk_{name}" for name in everywhere.split()} <= follower.keys() & leader.keys()
    only_there = {f"zk_{name}" for name in on_the_leader.split()}
    assert only_there <= leader.keys()
    assert not only_there & follower.keys()
    assert (leader["zk_server_state"], leader["zk_peer_state"]) == ("leader", "leading - broadcast")
    assert follower["zk_peer_state"] == "following - broadcast"
    assert (leader["zk_learners"], leader["zk_synced_followers"]) == ("2", "2")
    assert int(follower["zk_packets_received"]) > 0


def test_srst_counts_anew(lab: Lab) -> None:
    assert word(lab, 3, "srst") == "Server stats reset.\n"
    assert "\nReceived: 1\nSent: 0\n" in word(lab, 3, "srvr")


def test_a_word_that_is_not_allowed_is_not_executed(lab: Lab) -> None:
    refusal = "wchc is not executed because it is not in the whitelist.\n"
    assert word(lab, 1, "wchc") == refusal


def test_kazoo_reads_the_version_and_the_mode(lab: Lab) -> None:
    client = KazooClient(hosts=lab.ensemble.zookeeper_hosts)
    client.start()
    try:
        assert client.server_version() == (3, 8, 0)
        assert "Mode: " in client.command(b"stat")
    finally:
        client.stop()
        client.close()
