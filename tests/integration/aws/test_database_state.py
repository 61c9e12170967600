"""Terraform's state where the store is: another machine can destroy what this one made."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.integration.aws.conftest import NETWORK, World
from tests.postgres import Server, running_server

pytestmark = [pytest.mark.aws, pytest.mark.postgres, pytest.mark.timeout(900)]
STATES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'osqual%'"


def states(server: Server) -> list[str]:
    with create_engine(server.url, poolclass=NullPool).connect() as connection:
        return list(connection.scalars(text(STATES)))


def test_a_cluster_is_destroyed_from_its_state_when_its_machine_is_gone(world: World) -> None:
    world.without_cluster(NETWORK)
    with running_server() as server:
        result = world.run("--keep", "always", OSQUAL_STORE=server.url)
        directory = Path(result["directory"])
        assert world.cloud.left() != {}
        assert not list(directory.rglob("module/terraform.tfstate"))
        (schema,) = states(server)
        assert schema.endswith(result["run"].replace("-", "_"))

        shutil.rmtree(directory)
        elsewhere = {"OSQUAL_STATE_DIR": str(world.root / "elsewhere")}
        done = world.osqual("destroy", result["run"], OSQUAL_STORE=server.url, **elsewhere)
        assert done.returncode == 0, done.stderr
        assert "by the run's tag" not in done.stderr, "Terraform ended all of it"
        assert world.cloud.left() == {}
        assert states(server) == []
        (state,) = (world.root / "elsewhere").rglob("module/terraform.tfstate")
        assert '"resources": []' in state.read_text()
