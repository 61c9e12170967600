"""Keys in a real ssh agent: found by their public half, asked to sign, and what is said if not."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.attest.agent import SOCKET_VARIABLE, agent_keys
from osqual.attest.keys import FILE_VARIABLE, SigningKey, read_public_key, signing_key, write_keys
from osqual.attest.policy import Policy
from osqual.attest.published_files import find_published
from osqual.attest.verify import Trust, verify
from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InvalidInput, PublishFailed
from tests.fixtures.command import osqual
from tests.unit.test_attest import NOW
from tests.unit.test_workflow import LEAF, World

KEY = SigningKey.new()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an agent that holds an RSA key and ours; what is given to it is gone."""
    address = tmp_path / "agent"
    server = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        environ = {**os.environ, SOCKET_VARIABLE: str(address)}
        while not address.exists():
            assert server.poll() is None
        private = tmp_path / "key"
        write_keys(private, KEY, openssh=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(tmp_path / "rsa")], check=True
        )
        for name in ("rsa", "key"):
            subprocess.run(["ssh-add", "-q", str(tmp_path / name)], check=True, env=environ)
        private.unlink()
        yield environ
    finally:
        server.terminate()
        server.communicate()


def ssh_add(environ: dict[str, str], directory: Path, word: str) -> None:
    """Lock or unlock the agent: it asks a program for the passphrase, without a terminal."""
    program = directory / "askpass"
    program.write_text("#!/bin/sh\necho passphrase\n")
    program.chmod(0o700)
    asking = {**environ, "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", word], check=True, env=asking)


def test_what_an_agent_signs_is_what_the_key_itself_would_sign(
    agent: dict[str, str], tmp_path: Path
) -> None:
    found = signing_key({**agent, FILE_VARIABLE: str(tmp_path / "key.pub")}, None)
    assert found is not None
    assert found.sign(b"data" * 10_000) == KEY.sign(b"data" * 10_000)
    assert [key.public.id for key in agent_keys(agent)] == [KEY.public.id]


def test_a_run_is_signed_by_the_agent_and_proven_by_the_public_key(
    agent: dict[str, str], tmp_path: Path
) -> None:
    world = World(tmp_path / "world")
    world.environ = {**agent, FILE_VARIABLE: str(tmp_path / "key.pub")}
    world.run()
    root = world.root / "catalogue"
    proof = verify(
        find_published(open_catalogue(root), str(root / LEAF)),
        Trust(keys=[read_public_key(tmp_path / "key.pub")]),
        Policy(),
        NOW,
    )
    assert proof.key_id == KEY.public.id


def test_a_key_that_the_agent_does_not_hold_is_refused_before_anything_begins(
    agent: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other.pub"
    other.write_text(SigningKey.new().public.pem)
    with pytest.raises(InvalidInput, match="does not hold the signing key") as refused:
        signing_key(agent, other)
    assert KEY.public.id[:16] in refused.value.details
    for gone in ({}, {SOCKET_VARIABLE: str(tmp_path / "nobody")}):
        with pytest.raises(InvalidInput, match="No ssh agent answers"):
            signing_key(gone, other)


def test_an_agent_that_was_locked_meanwhile_is_a_failure_to_publish(
    agent: dict[str, str], tmp_path: Path
) -> None:
    key = signing_key(agent, tmp_path / "key.pub")
    assert key is not None
    ssh_add(agent, tmp_path, "-x")
    with pytest.raises(PublishFailed, match="did not sign"):
        key.sign(b"data")
    ssh_add(agent, tmp_path, "-X")
    assert key.public.verifies(key.sign(b"data"), b"data")
    with pytest.raises(PublishFailed, match="did not sign"):
        key.sign(bytes(300_000))


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0", b"\0\0\0\0", b"\0\0\0\1\5", b"\0\0\0\5\14\0\0\0\1", b"HTTP/1.1 400 no"]
)
def test_what_is_no_agent_is_said(tmp_path: Path, answer: bytes) -> None:
    address = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(address))
        server.listen()

        def answering() -> None:
            link, _ = server.accept()
            with link:
                link.recv(100)
                link.sendall(answer)

        thread = threading.Thread(target=answering)
        thread.start()
        with pytest.raises(InvalidInput, match="No ssh agent answers"):
            agent_keys({SOCKET_VARIABLE: str(address)})
        thread.join()


def test_the_commands_show_what_the_agent_holds(
    agent: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SOCKET_VARIABLE, agent[SOCKET_VARIABLE])
    monkeypatch.setenv(FILE_VARIABLE, "key.pub")
    for words in (["--agent"], ["--agent", "--json"], [], ["key.pub"]):
        assert osqual("keys", "show", *words) == 0
        assert KEY.public.id in capsys.readouterr().out
    assert osqual("keys", "show", "key.pub", "--agent") == 2
    assert osqual("keys", "show", "rsa.pub") == 2
    assert "not an Ed25519 key" in capsys.readouterr().err
    assert osqual("keys", "new", "ssh", "--openssh") == 0
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", "ssh"], check=True, capture_output=True, text=True
    )
    assert "ED25519" in listed.stdout
