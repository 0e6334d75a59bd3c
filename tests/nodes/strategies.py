"""Hypothesis strategies for everything that travels or is stored."""

from __future__ import annotations

from hypothesis import strategies as st

from nodes.core import messages, requests, txns
from nodes.core.errors import ErrorCode

INT32 = st.integers(-(2**31), 2**31 - 1)
COUNT = st.integers(0, 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
ZXIDS = st.integers(0, 2**63 - 1)
SIDS = st.integers(0, 255)
TEXTS = st.text(max_size=20)
DATA = st.none() | st.binary(max_size=30)
ERRORS = st.sampled_from(ErrorCode)
PATHS = st.lists(TEXTS, max_size=3).map(tuple)

# Registered by the server, never by a client.
SCHEMES = st.sampled_from(("world", "auth", "digest", "ip", "super"))
IDS = st.builds(requests.Id, SCHEMES, TEXTS)
# The open list, an empty one, and any other: each has its own form on the wire.
ACLS = st.just(requests.OPEN_ACL) | st.lists(st.builds(requests.Acl, INT32, IDS), max_size=3).map(
    tuple
)

SIMPLE_BODIES = st.one_of(
    st.builds(txns.CreateTxn, TEXTS, DATA, st.booleans(), INT32, ACLS, INT64),
    st.builds(txns.DeleteTxn, TEXTS),
    st.builds(txns.SetDataTxn, TEXTS, DATA, INT32),
    st.builds(txns.CheckTxn, TEXTS),
    st.builds(txns.ErrorTxn, ERRORS),
)
BODIES = st.one_of(
    SIMPLE_BODIES,
    st.builds(txns.MultiTxn, st.lists(SIMPLE_BODIES, max_size=4).map(tuple)),
    st.builds(txns.SetAclTxn, TEXTS, ACLS, INT32),
    st.builds(txns.CreateSessionTxn, COUNT),
    st.builds(txns.CloseSessionTxn, PATHS),
)
TXNS = st.builds(txns.Txn, INT64, INT32, ZXIDS, INT64, BODIES)

ZNODES = st.builds(
    txns.ZnodeImage,
    TEXTS,
    DATA,
    ZXIDS,
    ZXIDS,
    ZXIDS,
    INT64,
    INT64,
    INT32,
    INT32,
    INT32,
    INT64,
    ACLS,
    INT64,
)
SESSIONS = st.lists(st.tuples(INT64, COUNT), max_size=3).map(tuple)
SNAPSHOTS = st.builds(txns.Snapshot, ZXIDS, st.lists(ZNODES, max_size=4).map(tuple), SESSIONS)

MULTI_PARTS = st.one_of(
    st.builds(requests.Create, TEXTS, DATA, COUNT, ACLS, st.booleans()),
    st.builds(requests.CreateContainer, TEXTS, DATA, ACLS, COUNT),
    st.builds(requests.CreateTtl, TEXTS, DATA, INT64, ACLS, COUNT),
    st.builds(requests.Delete, TEXTS, INT32),
    st.builds(requests.SetData, TEXTS, DATA, INT32),
    st.builds(requests.Check, TEXTS, INT32),
)
MULTI_READ_PARTS = st.one_of(
    st.builds(requests.GetData, TEXTS), st.builds(requests.GetChildren, TEXTS)
)
NAMES = st.none() | TEXTS
WRITES = st.one_of(
    MULTI_PARTS,
    st.builds(requests.Multi, st.lists(MULTI_PARTS, max_size=4).map(tuple)),
    st.builds(requests.SetAcl, TEXTS, ACLS, INT32),
    st.builds(requests.DeleteContainer, TEXTS),
    st.builds(requests.Reconfig, NAMES, NAMES, NAMES, INT64),
    st.builds(requests.CloseSession),
)
READS = st.one_of(
    st.builds(requests.GetData, TEXTS, st.booleans()),
    st.builds(requests.Exists, TEXTS, st.booleans()),
    st.builds(requests.GetChildren, TEXTS, st.booleans()),
    st.builds(requests.GetAcl, TEXTS),
    st.builds(requests.GetEphemerals, TEXTS),
    st.builds(requests.GetAllChildrenNumber, TEXTS),
    st.builds(requests.WhoAmI),
    st.builds(requests.MultiRead, st.lists(MULTI_READ_PARTS, max_size=4).map(tuple)),
    st.builds(requests.AddWatch, TEXTS, INT32),
    st.builds(requests.CheckWatches, TEXTS, INT32),
    st.builds(requests.RemoveWatches, TEXTS, INT32),
    st.builds(requests.SetWatches, INT64, PATHS, PATHS, PATHS, PATHS, PATHS),
    st.builds(requests.Ping),
)
OPS = st.one_of(
    WRITES,
    READS,
    st.builds(requests.Sync, TEXTS),
    st.builds(requests.Auth, TEXTS, st.binary(max_size=20)),
)

MESSAGES = st.one_of(
    st.builds(
        messages.Notification,
        st.sampled_from(messages.ServerState),
        SIDS,
        INT64,
        INT64,
        INT64,
    ),
    st.builds(messages.FollowerInfo, INT64),
    st.builds(messages.ObserverInfo, INT64),
    st.builds(messages.LeaderInfo, INT64),
    st.builds(messages.AckEpoch, INT64, INT64),
    st.builds(messages.Diff, ZXIDS),
    st.builds(messages.Trunc, ZXIDS),
    st.builds(messages.Snap, SNAPSHOTS),
    st.builds(messages.NewLeader, ZXIDS),
    st.builds(messages.UpToDate, ZXIDS),
    st.builds(
        messages.Request,
        INT64,
        INT32,
        OPS | st.builds(requests.CreateSession, COUNT) | st.builds(requests.MalformedWrite),
        st.lists(IDS, max_size=3).map(tuple),
    ),
    st.builds(messages.Proposal, TXNS),
    st.builds(messages.Ack, ZXIDS),
    st.builds(messages.Commit, ZXIDS),
    st.builds(messages.Inform, TXNS),
    st.builds(messages.Ping, SESSIONS),
    st.builds(messages.Revalidate, INT64, COUNT),
    st.builds(messages.Revalidated, INT64, st.booleans()),
    st.builds(messages.SyncPacket),
    st.builds(messages.Fin),
)

STATS = st.builds(
    requests.Stat,
    ZXIDS,
    ZXIDS,
    INT64,
    INT64,
    INT32,
    INT32,
    INT32,
    INT64,
    COUNT,
    COUNT,
    ZXIDS,
)
