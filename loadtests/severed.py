"""A client's own network, which can be cut and mended: to the client silence, to the member too.

Owns a layer between one client and the lines that all clients share (`client.sync_line`). While
it is cut nothing gets through in either direction, and neither end is told. Nothing else in the
process is touched. Delays nothing: links between members are the ensemble's.
"""

from __future__ import annotations

import itertools

from client.line import Frame, Handler
from client.ops import ClientFrame, SessionRequest
from client.sync_line import Callbacks, Line, Lines, Timers

MENDED = "the network was cut meanwhile"


class SeverableLines(Lines):
    """The shared lines as one client sees them; give it to `Client(lines=...)`."""

    def __init__(self, shared: Lines) -> None:
        super().__init__()
        self.is_cut = False
        self.routes: dict[int, Route] = {}
        self.numbers = itertools.count(1)
        self._shared = shared

    def cut(self) -> None:
        """From now on nothing gets through."""
        self.is_cut = True

    def mend(self) -> None:
        """Let frames through again; connections from before are broken, as TCP would find."""
        self.is_cut = False
        routes, self.routes = self.routes, {}
        for route in routes.values():
            route.end()

    def hold(self) -> None:
        """Keep the shared lines."""
        self._shared.hold()

    def release(self) -> None:
        """Give up a hold of the shared lines."""
        self._shared.release()

    def to(self, member: str) -> Line:
        """A line that can be cut."""
        return SeverableLine(self, self._shared.to(member))  # type: ignore[return-value]

    @property
    def timers(self) -> Timers:
        """The shared ones."""
        return self._shared.timers

    @property
    def callbacks(self) -> Callbacks:
        """The shared ones."""
        return self._shared.callbacks


class Route:
    """One connection of the client. `number` is its number on the line; 0: never got there."""

    def __init__(self, lines: SeverableLines, line: Line, handler: Handler, token: int) -> None:
        self.number = 0
        self.line = line
        self._lines = lines
        self._handler = handler
        self._token = token

    def on_frame(self, token: int, frame: Frame) -> None:
        """Pass it on, unless the network is cut."""
        if not self._lines.is_cut:
            self._handler.on_frame(token, frame)

    def on_lost(self, token: int, reason: str) -> None:
        """Pass it on; in a cut network nobody hears that the other end is gone."""
        if not self._lines.is_cut:
            self._handler.on_lost(token, reason)

    def end(self) -> None:
        """Tell both ends."""
        if self.number:
            self.line.drop(self.number)
        self._handler.on_lost(self._token, MENDED)


class SeverableLine:
    """A line that can be cut: what `client.shell.Line` asks for."""

    def __init__(self, lines: SeverableLines, line: Line) -> None:
        self._lines = lines
        self._line = line

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Take up a connection; in a cut network the attempt is made, and nobody answers."""
        lines = self._lines
        route = Route(lines, self._line, handler, token)
        if not lines.is_cut:
            route.number = self._line.open(route, token, request)
            if not route.number:
                return 0
        number = next(lines.numbers)
        lines.routes[number] = route
        return number

    def send(self, number: int, frame: ClientFrame) -> None:
        """Queue a frame, or lose it."""
        route = self._lines.routes.get(number)
        if route is not None and not self._lines.is_cut:
            self._line.send(route.number, frame)

    def drop(self, number: int) -> None:
        """Forget a connection; the member is told once the network is mended."""
        if not self._lines.is_cut:
            route = self._lines.routes.pop(number, None)
            if route is not None and route.number:
                self._line.drop(route.number)
