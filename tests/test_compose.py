"""``compose.yaml`` and ``nginx.conf``: they agree, and everything they name is there."""

import ast
import re
import shlex
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import yaml

from core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
NGINX = (ROOT / "core/cluster/nginx.conf").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COPIES = [name for name in SERVICES if name.startswith("app-")]
RAY = ["ray-head", "ray-worker"]


def _address(service: str) -> str:
    return str(SERVICES[service]["networks"]["inside"]["ipv4_address"])


def test_it_holds_what_it_is_for() -> None:
    assert len(COPIES) >= 2 and set(SERVICES) == {"proxy", *COPIES, *RAY}
    # Without the profile, nobody waits for a cluster.
    assert [name for name, service in SERVICES.items() if "profiles" in service] == RAY
    assert all(SERVICES[name]["profiles"] == ["ray"] for name in RAY)
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    assert set(SERVICES["proxy"]["depends_on"]) == set(COPIES)


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_kept_small(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"] and not service.get("privileged")
    # The image's own user where it is ours (the Dockerfile's test), one without rights where it is not.
    assert "build" in service or service["user"] == "101:101"
    assert "user" not in service or not str(service["user"]).startswith(("0", "root"))


@pytest.mark.parametrize("name", [*COPIES, *RAY])
def test_images_are_built_from_what_is_here(name: str) -> None:
    service = SERVICES[name]
    assert service["build"]["context"] == "."
    assert set(service["build"]["args"]) <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.M))
    # One name, one way to build it: the last build would win.
    twins = [other for other in SERVICES.values() if other.get("image") == service["image"]]
    assert all(other["build"] == service["build"] for other in twins)
    volumes = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert set(volumes) <= set(COMPOSE["volumes"])
    assert list(volumes.values()) == re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.M) == ["/data"]


@pytest.mark.parametrize("name", [*COPIES, *RAY])
def test_every_option_is_one(name: str) -> None:
    environment = SERVICES[name]["environment"]
    ours = {key: value for key, value in environment.items() if key.startswith("TALLER_")}
    for key, value in ours.items():
        field = key.removeprefix("TALLER_").lower()
        assert field in Settings.model_fields, key
        if "$" not in value:
            Settings.model_validate({field: value})
    for key in environment:
        if key.startswith("STREAMLIT_"):
            section, option = key.removeprefix("STREAMLIT_").lower().split("_", 1)
            words = option.split("_")
            st.get_option(f"{section}.{words[0]}" + "".join(word.title() for word in words[1:]))  # raises if it is none
    assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_copies_share_secrets_and_files_and_nothing_stands_in_the_file() -> None:
    first, *others = (SERVICES[name] for name in COPIES)
    for other in others:
        assert {**other, "networks": None} == {**first, "networks": None}
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not key.endswith(("SECRET", "TOKEN")) or re.fullmatch(rf"\$\{{{key}:[-?].*\}}", value), key
    # Without one, each copy would make its own.
    assert first["environment"]["STREAMLIT_SERVER_COOKIE_SECRET"].startswith("${STREAMLIT_SERVER_COOKIE_SECRET:?")
    assert float(first["environment"]["TALLER_MEMORY_FRACTION"]) * len(COPIES) <= 0.8


def test_nginx_knows_the_copies_and_they_believe_it_alone() -> None:
    subnet = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    given = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["ip_range"])
    fixed = [_address(name) for name in ("proxy", *COPIES)]
    assert len(set(fixed)) == len(fixed)
    assert all(ip_address(one) in subnet and ip_address(one) not in given for one in fixed)
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.M)
    places = {f"{_address(name)}:{port}" for name in COPIES}
    groups = {name: re.findall(r"server ([^\s;]+)(.*);", body) for name, body in _blocks("upstream")}
    assert set(groups) == {"taller_any", *(f"taller_{name.removeprefix('app-')}" for name in COPIES)}
    for group, servers in groups.items():
        assert {server for server, _how in servers} == places, group
        if group != "taller_any":
            # Its own copy first, all others in its stead.
            own = f"{_address('app-' + group.removeprefix('taller_'))}:{port}"
            assert [server for server, how in servers if "backup" not in how] == [own]
    (answered,) = [body for name, body in _blocks("map") if name == "$upstream_addr $taller_answered"]
    assert dict(re.findall(r'"~(\S+)\$" (\w+);', answered)) == {
        re.escape(f"{_address(name)}:{port}"): name.removeprefix("app-") for name in COPIES
    }
    (chosen,) = [body for name, body in _blocks("map") if name == "$cookie_taller_replica $taller_replica"]
    assert dict(re.findall(r"(\w+) (\w+);", chosen)) == {
        "default": "taller_any",
        **{name.removeprefix("app-"): f"taller_{name.removeprefix('app-')}" for name in COPIES},
    }
    for name in COPIES:
        assert SERVICES[name]["environment"]["TALLER_TRUSTED_PROXIES"] == _address("proxy")
        assert "ports" not in SERVICES[name], "past the proxy's limits"


def _blocks(kind: str) -> list[tuple[str, str]]:
    """Name and body of the blocks of a kind in nginx's file; none of them holds another."""
    return re.findall(rf"^ *{kind} ([^{{\n]+?) \{{\n(.*?)^ *\}}$", NGINX, re.M | re.S)


def test_the_proxy_reads_our_file_and_listens_where_it_is_published() -> None:
    proxy = SERVICES["proxy"]
    (source, place, mode), *more = [volume.split(":") for volume in proxy["volumes"]]
    assert not more and mode == "ro" and (ROOT / source).is_file()
    assert (ROOT / source).read_text(encoding="utf-8") == NGINX
    assert place in proxy["entrypoint"] and proxy["entrypoint"][0] == "nginx"
    listening = re.findall(r"^ *listen (\d+);", NGINX, re.M)
    assert [port.rsplit(":", 1)[1] for port in proxy["ports"]] == listening
    assert f"http://127.0.0.1:{listening[0]}/health/live" in proxy["healthcheck"]["test"]
    # It writes where it may.
    written = re.findall(r"^ *(?:pid|\w+_temp_path) (\S+);", NGINX, re.M)
    assert len(written) == 6 and all(path.startswith("/tmp/") for path in written)


def test_health_is_asked_where_the_app_answers() -> None:
    for name in COPIES:
        how, python, option, program = SERVICES[name]["healthcheck"]["test"]
        assert (how, python, option) == ("CMD", "python", "-c")
        ast.parse(program)
        assert "http://127.0.0.1:8501/health/live" in program


def test_the_cluster_starts_what_is_here() -> None:
    shell, option, script = SERVICES["ray-head"]["command"]
    assert (shell, option) == ("sh", "-c")
    words = shlex.split(script)
    assert (ROOT / words[-1]).is_file() and words[-3:-1] == ["serve", "run"]
    served = yaml.safe_load((ROOT / words[-1]).read_text(encoding="utf-8"))
    # What the comment in the file says to put into TALLER_RAY_ADDRESS.
    assert f"http://ray-head:{served['http_options']['port']} " in (ROOT / "compose.yaml").read_text(encoding="utf-8")
    (port,) = [word.removeprefix("--port=") for word in words if word.startswith("--port=")]
    assert f"--address=ray-head:{port}" in SERVICES["ray-worker"]["command"]
    for name in RAY:
        assert SERVICES[name]["build"]["args"]["RAY"]
    assert not any(SERVICES[name]["build"]["args"].get("RAY") for name in COPIES)
