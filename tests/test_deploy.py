"""The files of `deploy/` say what this version understands, as far as that can be seen without Docker."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from dashboard.serve import _problem, parse, rules_of

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def test_the_compose_file_starts_a_public_server_behind_its_proxy():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    command = [
        part.replace("${ICE_HOST:-localhost}", "ice.example.org") for part in services["dashboard"]["command"]
    ]
    options = parse(command[1:])
    assert command[0] == "itslive-dashboard"
    assert options.public
    assert options.use_xheaders
    assert options.allow_websocket_origin == ["ice.example.org"]
    assert _problem(options) is None
    assert rules_of(options).memory == options.memory == 2 * 10**9
    assert services["dashboard"]["expose"] == [str(options.port)]
    assert "ports" not in services["dashboard"]  # only the proxy is reached from outside
    assert f"reverse_proxy dashboard:{options.port}" in (DEPLOY / "Caddyfile").read_text()
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists()


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf"])
def test_proxies_pass_sockets_on_and_keep_numbers_to_themselves(name):
    text = re.sub(r"#.*", "", (DEPLOY / name).read_text())
    assert text.count("{") == text.count("}")
    assert "/metrics" in text
    assert "gzip" in text
    if name == "nginx.conf":
        for header in ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "Upgrade", "Connection"):
            assert f"proxy_set_header {header} " in text


def test_the_image_is_public_by_default():
    text = (ROOT / "Dockerfile").read_text()
    command = shlex.split(re.search(r"exec itslive-dashboard (.*)\"\]", text)[1].replace("$PORT", "5006"))
    assert parse(command).public
    assert "/health" in text


def test_the_notes_on_jupyter_are_python_and_options_that_exist():
    text = (DEPLOY / "jupyterhub.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, "jupyterhub.md", "exec")
    command = re.search(r'"command": \[(.*?)\]', text, re.DOTALL)[1]
    arguments = [part.format(port=1, base_url="/user/x/") for part in re.findall(r'"(.*?)"', command)][1:]
    options = parse(arguments)
    assert (options.port, options.prefix) == (1, "/user/x/itslive")
    assert _problem(options) is None
    assert parse(shlex.split(re.search(r"`itslive-dashboard (--public.*?)`", text)[1])).public


def test_every_option_of_a_server_is_explained():
    text = (ROOT / "docs" / "hosting.md").read_text()
    shown = {
        option
        for line in text.splitlines()
        if line.startswith("| `--")
        for option in re.findall(r"--[\w-]+", line)
    }
    for option in (
        "public",
        "allow-host",
        "prefix",
        "use-xheaders",
        "num-procs",
        "memory",
        "sessions",
        "metrics",
        "log-json",
    ):
        assert f"--{option}" in shown
