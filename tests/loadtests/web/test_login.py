"""The tab behind Locust's `--web-login`, in a process of its own: Locust patches the whole one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ORDER = {"links": "1->2", "rule": "cut"}
PROGRAM = """
import json, sys
from argparse import Namespace
from locust.env import Environment
from loadtests.web.tab import add_stale_reads_tab
import flask_login

class Somebody(flask_login.UserMixin):
    id = "somebody"

environment = Environment()
environment.create_local_runner()
web_ui = environment.create_web_ui(delayed_start=True, web_login=True)
environment.parsed_options = Namespace(members="", dir=sys.argv[1])
web_ui.app.secret_key = "of this test"
web_ui.login_manager.user_loader(lambda name: Somebody())
web_ui.app.add_url_rule("/enter", view_func=lambda: str(flask_login.login_user(Somebody())))
add_stale_reads_tab(environment)

client = web_ui.app.test_client()
def ask():
    answer = client.post("/stale-reads/links/set", json=json.loads(sys.argv[2]))
    return answer.status_code, answer.text
stranger = ask(), client.get("/stale-reads/data").status_code
client.get("/enter")
print(json.dumps([stranger, ask()]))
"""


def test_stranger_may_nothing_and_others_are_told_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), json.dumps(ORDER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    stranger, known = json.loads(done.stdout)
    assert stranger[0][0] == 302
    assert stranger[1] == 302
    # The ensemble is not there: that they are told so shows that the order was carried out.
    assert known[0] == 409
    assert json.loads(known[1])["error"].startswith(f"no ensemble runs in {tmp_path}")
