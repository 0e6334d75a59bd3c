"""The tab's routes over HTTP, on a running Locust and a real ensemble."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loadtests.web.ensemble import describe, open_links
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotAnswering, NotPossible
from orchestrator.ports import free_ports
from tests.loadtests.web.site import Site

pytestmark = pytest.mark.processes
SET, CLEAR = "/stale-reads/links/set", "/stale-reads/links/clear"
RULE = "delay=7ms only=COMMIT"


def rules_of(ensemble: Ensemble) -> dict[str, list[str]]:
    """The rules in force, by link, as the ensemble itself tells."""
    links = describe(ensemble.status())["links"]
    return {link["link"]: [r["rule"] for r in link["rules"]] for link in links if link["rules"]}


def test_locusts_page_loads_the_tab(site: Site) -> None:
    page = site.get("/").text
    assert '"title": "Stale reads"' in page
    script = re.search(r'src="\.(/stale-reads/[^"]+)"', page)
    assert script is not None
    assert site.get(script[1]).status == 200


def test_page_needs_nothing_from_elsewhere(site: Site) -> None:
    page = site.get("/stale-reads/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
    scripts = [name for name in loaded if name.endswith(".js")]
    assert scripts
    sources = {name: site.get(f"/stale-reads/{name}") for name in loaded}
    for name in scripts:
        for imported in re.findall(r'from "\./([^"]+)"', sources[name].text):
            sources[imported] = site.get(f"/stale-reads/static/{imported}")
    assert {answer.status for answer in sources.values()} == {200}
    texts = [page.text, *(answer.text for answer in sources.values())]
    urls = {url for text in texts for url in re.findall(r"(?:https?:)?//[\w.]+\.[\w./]+", text)}
    # Not an address: the name of SVG's elements.
    assert urls == {"http://www.w3.org/2000/svg"}


def test_links_show_every_member_and_link(site: Site, ensemble: Ensemble) -> None:
    seen = site.get("/stale-reads/links").json
    roles = {member["sid"]: member["role"] for member in seen["members"]}
    assert roles[ensemble.leader()] == "leader"
    assert sorted(roles) == [1, 2, 3]
    assert sorted(roles.values()) == ["follower", "follower", "leader"]
    assert len(seen["links"]) == 6


def test_rule_is_set_and_cleared(site: Site, ensemble: Ensemble, leader_link: str) -> None:
    done = site.post(SET, {"links": leader_link, "rule": RULE})
    assert (done.status, done.json["links"]) == (200, [leader_link])
    assert rules_of(ensemble) == {leader_link: [RULE]}
    assert site.post(CLEAR, {"links": leader_link}).status == 200
    assert rules_of(ensemble) == {}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"links": "LINK", "rule": "delay=50"}, "without a unit; one of us, ms, s"),
        ({"links": "LINK", "rule": "slow"}, "not a rule's word; valid are delay="),
        ({"links": "LINK", "rule": "delay=5ms only=COMIT"}, "unknown message kind"),
        ({"links": "3->9", "rule": "cut"}, "9"),
        ({"links": "3-1", "rule": "cut"}, "not a link; write 3->1"),
        ({"links": "2->2", "rule": "cut"}, "a member has no link to itself"),
        ({"links": "LINK", "rule": " "}, "rule: say which"),
        ({"links": "LINK"}, "rule: say which"),
        ({"links": 31, "rule": "cut"}, "links: say which"),
        (["cut"], "not a JSON object"),
    ],
)
def test_bad_order_is_one_clear_line(
    site: Site, ensemble: Ensemble, leader_link: str, values: Any, words: str
) -> None:
    if isinstance(values, dict) and values["links"] == "LINK":
        values = {**values, "links": leader_link}
    refused = site.post(SET, values)
    assert refused.status == 400
    assert words in refused.json["error"]
    assert "\n" not in refused.json["error"]
    assert rules_of(ensemble) == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Content_Type": "text/plain"}, 415),
    ],
)
def test_order_of_a_foreign_page_changes_nothing(
    site: Site, ensemble: Ensemble, leader_link: str, headers: dict[str, str], status: int
) -> None:
    order = {"links": leader_link, "rule": RULE}
    assert site.post(SET, order, **headers).status == status
    assert rules_of(ensemble) == {}
    assert site.post(SET, order).status == 200
    assert site.post(CLEAR, {"links": "*->*"}, **headers).status == status
    assert rules_of(ensemble) == {leader_link: [RULE]}


def test_order_is_never_a_get_and_never_long(site: Site, ensemble: Ensemble) -> None:
    assert site.get(f"{CLEAR}?links=*->*").status == 405
    long = site.post(SET, {"links": "1->2", "rule": "delay=1ms " * 10_000})
    assert (long.status, "4096 bytes" in long.json["error"]) == (413, True)
    assert rules_of(ensemble) == {}


# The way to members without a keeper


def test_members_named_by_address_take_rules(ensemble: Ensemble, leader_link: str) -> None:
    with open_links(",".join(ensemble.members), "nowhere") as links:
        assert links.set_rule(leader_link, RULE) == [leader_link]
        assert rules_of(ensemble) == {leader_link: [RULE]}
        with pytest.raises(InvalidInput, match="without a unit"):
            links.set_rule(leader_link, "delay=50")
        with pytest.raises(InvalidInput, match="9"):
            links.set_rule("1->9", "cut")
        links.clear("*->*")
    assert rules_of(ensemble) == {}


def test_silent_member_is_shown_and_its_links_are_refused(ensemble: Ensemble) -> None:
    silent = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    addresses = [*ensemble.members[:2], silent]
    with open_links(",".join(addresses), "nowhere") as links:
        members = describe(links.view())["members"]
        assert members[-1] == {"sid": 0, "address": silent, "role": "silent"}
        with pytest.raises(NotPossible, match=r"member 3 does not answer.*nothing was changed"):
            links.set_rule("*->1", "delay=7ms")
    assert rules_of(ensemble) == {}


def test_ensemble_that_is_not_there_is_one_line(tmp_path: Any) -> None:
    with pytest.raises(NotPossible, match="no ensemble runs in"), open_links("", str(tmp_path)):
        pass
    with pytest.raises(InvalidInput, match="--members"), open_links("nonsense", ""):
        pass
    address = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    with open_links(address, "") as links, pytest.raises(NotAnswering, match=f"none of {address}"):
        links.set_rule("1->2", "cut")
