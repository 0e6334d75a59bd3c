"""One ensemble under one keeper: watches the members' processes and asks the members themselves.

Owns what operators do to members and links. Decides nothing of the protocol: who leads and who
serves is what members say. Runs on one asyncio loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import grpc
from lagkeeper.v1 import admin_pb2, orchestrator_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub

from nodes.rule_codec import encode_rule
from nodes.rules import RuleError, parse_link_rule, parse_links
from orchestrator.config import EnsembleConfig
from orchestrator.errors import InvalidInput, NotAnswering, NotPossible, OrchestratorError
from orchestrator.processes import MemberProcess, MemberProcesses
from orchestrator.rules import read_rule
from orchestrator.views import leader_of

if TYPE_CHECKING:
    from lagkeeper.v1.admin_pb2_grpc import AdminServiceAsyncStub

Answer = TypeVar("Answer")
Link = tuple[int, int]

POLL_S = 0.01
ANSWER_S = 5.0
STATUS_S = 2.0
SERVING_S = 30.0
STOP_S = 15.0


class Supervisor:
    """Keeps the members of one ensemble.

    Remembers the rules in force on every link: they are the network's, not the member's, so a
    member that starts again gets them again. A rule for the next n messages is given only once.
    """

    def __init__(self, config: EnsembleConfig, processes: MemberProcesses) -> None:
        self.config = config
        self.processes = processes
        self.changed = asyncio.Event()
        self._rules: dict[Link, list[admin_pb2.LinkRule]] = {}
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._watched: dict[int, int] = {}
        for member in processes:
            self._watch(member)

    async def close(self) -> None:
        """Let go of the members; their processes are ended by `MemberProcesses.stop_all`."""
        for sid in self.config.sids:
            self._unwatch(sid)
        for channel in self._channels.values():
            await channel.close()

    async def wait_until_serving(self, on_wait: Callable[[str], None]) -> None:
        """Return once every member serves, with the configured rules in force.

        `on_wait` gets a line a second once it takes more than two. Raises NotPossible when a
        member ends or time is up, with what each member says.
        """
        began = time.monotonic()
        told_s = 1
        missing = list(self.processes)
        while missing:
            answers = await asyncio.gather(*(self._is_serving(member) for member in missing))
            missing = [m for m, serves in zip(missing, answers, strict=True) if not serves]
            waited_s = int(time.monotonic() - began)
            if missing and waited_s > told_s:
                told_s = waited_s
                on_wait(f"waiting for {_name(missing)} since {waited_s} s")
            if missing and waited_s >= SERVING_S:
                raise NotPossible(await self._why_not_serving(missing))
            if missing:
                await asyncio.sleep(POLL_S)
        for text in self.config.links:
            links, rule = parse_link_rule(text, self.config.sids)
            await self._set_rules(links, encode_rule(rule))

    async def view(self, *, with_digest: bool = False) -> orchestrator_pb2.GetEnsembleResponse:
        """Every member, its process and its own view, absent where it does not answer in time."""
        members = list(self.processes)
        statuses = await asyncio.gather(*(self._status(m, with_digest) for m in members))
        return orchestrator_pb2.GetEnsembleResponse(
            members=[_view(m, s) for m, s in zip(members, statuses, strict=True)],
            directory=str(self.config.directory.absolute()),
            pid=os.getpid(),
        )

    async def set_link(self, links: str, rule: admin_pb2.LinkRule) -> list[Link]:
        """Add a rule to links such as `3->1,*->2`. Returns the links."""
        read_rule(rule)
        found = self._links(links)
        self._check_senders(found)
        await self._set_rules(found, rule)
        return found

    async def clear_link(self, links: str, action: str) -> tuple[list[Link], int, int]:
        """Take rules off. Returns the links, how many rules, how many messages came free."""
        if action not in ("", "delay", "hold", "cut"):
            raise InvalidInput(f"no action '{action}'; one of delay, hold, cut, or none for all")
        found = self._links(links)
        self._check_senders(found)
        cleared = released = 0
        for link in found:
            sender, receiver = link
            remembered = self._rules.get(link, [])
            self._rules[link] = [r for r in remembered if action not in ("", _action(r))]
            if not self.processes[sender].is_alive:
                cleared += len(remembered) - len(self._rules[link])
                continue
            request = admin_pb2.ClearRulesRequest(receiver=receiver, action=action)
            answer = await self._ask(
                sender, self._stub(sender).ClearRules(request, timeout=ANSWER_S)
            )
            cleared += answer.cleared
            released += answer.released
        return found, cleared, released

    async def break_link(self, links: str) -> tuple[list[Link], int]:
        """Break links. Returns the links and how many messages were lost."""
        found = self._links(links)
        for sender, _ in found:
            self._check_running(sender)
        lost = 0
        for sender, receiver in found:
            request = admin_pb2.ResetLinkRequest(receiver=receiver)
            answer = await self._ask(
                sender, self._stub(sender).ResetLink(request, timeout=ANSWER_S)
            )
            lost += answer.lost
        return found, lost

    async def start(self, sid: int) -> None:
        """Start a member again; returns once it answers. Raises NotPossible if it ends instead."""
        member = self.processes[sid]
        if not member.is_alive:
            # Its earlier life's line would wait long before it tries to connect again, and its
            # sentinel's number may soon be another file's.
            self._unwatch(sid)
            if sid in self._channels:
                await self._channels.pop(sid).close()
        member.start()
        self._watch(member)
        deadline = time.monotonic() + SERVING_S
        while await self._status(member) is None:
            if not member.is_alive:
                raise NotPossible(_why_ended(member))
            if time.monotonic() > deadline:
                raise NotAnswering(f"member {sid} does not answer; see {_output(member)}")
            await asyncio.sleep(POLL_S)
        await self._give_rules_again(sid)
        self.changed.set()

    async def stop(self, sid: int) -> None:
        """SIGTERM, and wait for the end."""
        member = self.processes[sid]
        member.ask_to_stop()
        deadline = time.monotonic() + STOP_S
        while not member.notice_end():
            if time.monotonic() > deadline:
                raise NotAnswering(
                    f"member {sid} has not stopped within {STOP_S:.0f} s;"
                    f" end it with 'orchestrator kill {sid}'"
                )
            await asyncio.sleep(POLL_S)

    async def expire(self, session_id: int) -> int:
        """Expire a session on the leader. Returns the leader."""
        leader = await self.leader()
        request = admin_pb2.ExpireRequest(session_id=session_id)
        await self._ask(leader, self._stub(leader).Expire(request, timeout=ANSWER_S))
        return leader

    async def hold_closing(self, is_held: bool) -> int:
        """Stall the leader's expiry of sessions, or let it go on. Returns the leader."""
        leader = await self.leader()
        request = admin_pb2.HoldClosingRequest(is_held=is_held)
        await self._ask(leader, self._stub(leader).HoldClosing(request, timeout=ANSWER_S))
        return leader

    async def leader(self) -> int:
        """The member that leads. Raises NotPossible if none says so."""
        leader = leader_of(await self.view())
        if leader is None:
            raise NotPossible(
                "no member leads now; wait for an election, or start members until a majority runs"
            )
        return leader

    def _watch(self, member: MemberProcess) -> None:
        """Notice the end of a process at once."""
        self._watched[member.sid] = member.sentinel
        asyncio.get_running_loop().add_reader(member.sentinel, self._on_end, member)

    def _unwatch(self, sid: int) -> None:
        sentinel = self._watched.pop(sid, None)
        if sentinel is not None:
            asyncio.get_running_loop().remove_reader(sentinel)

    def _on_end(self, member: MemberProcess) -> None:
        self._unwatch(member.sid)
        if member.notice_end():
            self.changed.set()
        else:
            # A process closes its files a little before it can be waited for.
            asyncio.get_running_loop().call_later(POLL_S, self._on_end, member)

    def _check_senders(self, links: Sequence[Link]) -> None:
        """Raise before anything is done: an order is carried out on all its links or on none.

        A rule for a member without a process is remembered; a paused one cannot take it.
        """
        for sender, _ in links:
            if self.processes[sender].is_alive:
                self._check_running(sender)

    def _check_running(self, sid: int) -> None:
        state = self.processes[sid].state
        if state != "running":
            cure = "resume" if state == "paused" else "start"
            raise NotPossible(f"member {sid} is {state}; first 'orchestrator {cure} {sid}'")

    def _stub(self, sid: int) -> AdminServiceAsyncStub:
        self._check_running(sid)
        member = self.processes[sid]
        if sid not in self._channels:
            self._channels[sid] = grpc.aio.insecure_channel(member.address)
        return AdminServiceStub(self._channels[sid])

    async def _ask(self, sid: int, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise _translated(sid, error) from None

    async def _status(
        self, member: MemberProcess, with_digest: bool = False
    ) -> admin_pb2.GetStatusResponse | None:
        if member.state != "running" or not await self._accepts(member):
            return None
        try:
            stub = self._stub(member.sid)
            request = admin_pb2.GetStatusRequest(with_digest=with_digest)
            return await stub.GetStatus(request, timeout=ANSWER_S if with_digest else STATUS_S)
        except (grpc.aio.AioRpcError, NotPossible):
            return None

    async def _accepts(self, member: MemberProcess) -> bool:
        """Whether it listens. Once a channel has failed to connect, gRPC waits 100 ms and more
        before it tries again, so a new member's first channel is opened only when this is true.
        """
        if member.sid in self._channels:
            return True
        try:
            _, writer = await asyncio.open_connection(member.config.host, member.config.port)
        except OSError:
            return False
        writer.close()
        return True

    async def _is_serving(self, member: MemberProcess) -> bool:
        if not member.is_alive:
            raise NotPossible(_why_ended(member))
        status = await self._status(member)
        return status is not None and status.is_serving

    async def _why_not_serving(self, missing: Sequence[MemberProcess]) -> str:
        reasons = []
        for member in missing:
            status = await self._status(member)
            says = f"is {status.state} in {status.phase}" if status else "does not answer"
            reasons.append(f"member {member.sid} {says} ({_output(member)})")
        return f"not serving after {SERVING_S:.0f} s: {'; '.join(reasons)}"

    async def _set_rules(self, links: Sequence[Link], rule: admin_pb2.LinkRule) -> None:
        for link in links:
            sender, receiver = link
            if self.processes[sender].is_alive:
                request = admin_pb2.SetRuleRequest(receiver=receiver, rule=rule)
                await self._ask(sender, self._stub(sender).SetRule(request, timeout=ANSWER_S))
            same = read_rule(rule).match
            kept = [r for r in self._rules.get(link, []) if read_rule(r).match != same]
            is_spent = rule.next and self.processes[sender].is_alive
            self._rules[link] = kept if is_spent else [*kept, rule]

    async def _give_rules_again(self, sid: int) -> None:
        for (sender, receiver), rules in list(self._rules.items()):
            if sender == sid:
                for rule in rules:
                    await self._set_rules([(sender, receiver)], rule)

    def _links(self, text: str) -> list[Link]:
        try:
            return parse_links(text, self.config.sids)
        except RuleError as error:
            raise InvalidInput(str(error)) from None


def _view(
    member: MemberProcess, status: admin_pb2.GetStatusResponse | None
) -> orchestrator_pb2.MemberView:
    has_ended = not member.is_alive
    return orchestrator_pb2.MemberView(
        sid=member.sid,
        address=member.address,
        zk_address=member.zk_address,
        zk_tls_address=member.zk_tls_address,
        metrics_url=member.metrics_url,
        process=member.state,
        pid=member.pid,
        exit_code=member.exit_code,
        last_error=member.last_error if has_ended else "",
        status=status,
    )


def _translated(sid: int, error: grpc.aio.AioRpcError) -> OrchestratorError:
    said = f"member {sid}: {error.details()}"
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.NOT_FOUND:
            return InvalidInput(said)
        case grpc.StatusCode.FAILED_PRECONDITION:
            return NotPossible(said)
        case _:
            return NotAnswering(f"member {sid} did not answer: {error.details()}; try again")


def _action(rule: admin_pb2.LinkRule) -> str:
    return read_rule(rule).action_name


def _why_ended(member: MemberProcess) -> str:
    why = member.last_error or f"see {_output(member)}"
    return f"member {member.sid} ended by itself with exit code {member.exit_code}: {why}"


def _output(member: MemberProcess) -> str:
    return f"{member.config.data_dir}/output.log"


def _name(members: Sequence[MemberProcess]) -> str:
    return ("member " if len(members) == 1 else "members ") + ", ".join(
        str(member.sid) for member in members
    )
