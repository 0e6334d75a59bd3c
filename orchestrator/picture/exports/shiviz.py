"""ShiViz's form: an event a line with its vector clock, computed from the messages.

The first line is the regular expression that ShiViz is to parse the log with, the second, empty,
the delimiter of executions: there is one. A host's own entry of the clock counts its events from 1.
"""

from __future__ import annotations

import json
import re
from typing import TextIO

from orchestrator.picture.exports.moments import Moment, moments_of
from orchestrator.picture.scene import Scene

PARSER = r"(?<host>\S*) (?<clock>{.*})\n(?<event>.*)"


def write_shiviz(scene: Scene, out: TextIO) -> int:
    """Write the events of a scene; return how many."""
    hosts = {lane.key: _host(lane.title) for lane in scene.lanes}
    clocks: dict[str, dict[str, int]] = {host: {} for host in hosts.values()}
    carried: dict[int, dict[str, int]] = {}
    out.write(f"{PARSER}\n\n")
    written = 0
    for moment in moments_of(scene):
        host = hosts.get(moment.lane)
        if host is None:
            continue
        clock = clocks[host]
        if moment.arrow is not None and moment.is_arrival:
            for name, count in carried.pop(id(moment.arrow), {}).items():
                clock[name] = max(clock.get(name, 0), count)
        clock[host] = clock.get(host, 0) + 1
        if moment.arrow is not None and not moment.is_arrival:
            carried[id(moment.arrow)] = dict(clock)
        out.write(f"{host} {json.dumps(clock)}\n{_text(scene, moment)}\n")
        written += 1
    return written


def _host(title: str) -> str:
    """A name without spaces, as the parser wants it."""
    return re.sub(r"\s+", "-", title)


def _text(scene: Scene, moment: Moment) -> str:
    when = f"{moment.at[0] - scene.zero_ms:+.3f} ms"
    if moment.mark is not None:
        return f"{moment.mark.text} ({when})"
    arrow = moment.arrow
    assert arrow is not None
    other = scene.lane(arrow.sender if moment.is_arrival else arrow.receiver)
    name = other.title if other is not None else "?"
    what = arrow.label or arrow.says or "answer"
    verb = "receives" if moment.is_arrival else "sends"
    kept = ", kept back" if arrow.is_kept and not moment.is_arrival else ""
    return f"{verb} {what} {'from' if moment.is_arrival else 'to'} {name}{kept} ({when})"
