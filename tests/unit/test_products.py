"""Product definitions: finding, reading, and every mistake with its place."""

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from osqual.errors import InvalidInput, NotFound
from osqual.model import Suite, Topology
from osqual.products.definition import InstallStep, load_product
from osqual.products.node_set import NodeSet
from osqual.suites.registry import check_suites
from tests.scopes import make_cluster


@dataclass(frozen=True)
class Folder:
    products: str = "products"


MINIMAL = "suites: [{name: integration, stage: integration, kind: pytest, path: tests}]\n"


def define(root: Path, text: str, name: str = "thing") -> Path:
    directory = root / "products" / name
    (directory / "tests").mkdir(parents=True)
    (directory / "init.sh").write_text("#!/bin/sh\n")
    (directory / "product.yaml").write_text(text)
    return directory


def problems(root: Path, text: str) -> str:
    define(root, text)
    with pytest.raises(InvalidInput) as caught:
        load_product("thing", root, Folder())
    assert "product.yaml" in caught.value.brief
    return caught.value.details


def test_a_whole_definition(tmp_path: Path) -> None:
    directory = define(
        tmp_path,
        """
description: A thing.
environment: {COLOUR: red}
install:
  - name: init
    script: init.sh
    nodes: first_master
    timeout: 30
    outputs: [PORT]
    secrets: [TOKEN]
  - {name: ready, script: init.sh, nodes: masters, user: ssh, parallel: false, poll: 0.5}
suites:
  - name: integration
    stage: integration
    kind: pytest
    path: tests
    arguments: [-x]
    environment: {A: "1"}
    timeout: 60
""",
    )
    product = load_product("thing", tmp_path, Folder())
    assert (product.name, product.description) == ("thing", "A thing.")
    assert product.environment == {"COLOUR": "red"}
    assert product.install[0] == InstallStep(
        name="init",
        script=directory / "init.sh",
        nodes=NodeSet.FIRST_MASTER,
        timeout_s=30,
        outputs=("PORT",),
        secrets=("TOKEN",),
    )
    second = product.install[1]
    assert (second.as_root, second.in_parallel, second.poll_s) == (False, False, 0.5)
    (suite,) = product.suites
    assert (suite.path, suite.arguments, suite.timeout_s) == (directory / "tests", ("-x",), 60)


def test_the_name_is_found_in_any_case(tmp_path: Path) -> None:
    define(tmp_path, MINIMAL, name="dcos")
    assert load_product("DCOS", tmp_path, Folder()).name == "dcos"


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    define(tmp_path, MINIMAL, name="swarm")
    with pytest.raises(NotFound) as caught:
        load_product("../swarm", tmp_path, Folder())
    assert "Known products: dcos, swarm" in caught.value.details


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("suites: []", "suites:"),
        (MINIMAL + "colour: red", "line 2: colour: unknown key"),
        (MINIMAL + "instal: []", "line 2: instal: unknown key (did you mean 'install'?)"),
        (
            MINIMAL + "install: [{name: a, script: init.sh, nods: all}]",
            "install[0].nods: unknown key (did you mean 'nodes'?)",
        ),
        (MINIMAL.replace("integration, kind", "smoke, kind"), "suites[0].stage"),
        (MINIMAL.replace("path: tests", "path: nothing"), "suites[0].path: 'nothing' does not"),
        (MINIMAL.replace("path: tests", "path: ../.."), "suites[0].path: '../..' leads out"),
        (MINIMAL.replace("path: tests", "path: tests, timeout: -1"), "suites[0].timeout"),
        (MINIMAL + "install: [{name: A b, script: init.sh}]", "install[0].name"),
        (MINIMAL + "install: [{name: a, script: tests}]", "install[0].script: 'tests' is not a"),
        (MINIMAL + "install: [{name: a, script: init.sh, nodes: workers}]", "install[0].nodes"),
        (
            MINIMAL + "install: [{name: a, script: init.sh}, {name: a, script: init.sh}]",
            "install[1].name: 'a' is used twice",
        ),
        (
            MINIMAL + "install: [{name: a, script: init.sh, outputs: [TOKEN]}]",
            "install[0].outputs: only a script that runs on one node",
        ),
        (
            MINIMAL
            + "install: [{name: a, script: init.sh, nodes: first_master, outputs: [OSQUAL_X]}]",
            "install[0].outputs: 'OSQUAL_X' is taken",
        ),
        (
            MINIMAL + "install: [{name: a, script: init.sh, nodes: first_master, "
            "outputs: [A], secrets: [A]}]",
            "install[0].outputs: 'A' is given twice",
        ),
        (MINIMAL + "environment: {PATH: /evil}", "environment: 'PATH' is taken"),
        (MINIMAL + "environment: {a-b: c}", "environment: 'a-b' is not"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, place: str) -> None:
    assert place in problems(tmp_path, text)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    details = problems(tmp_path, "suites: [{name: a}]\ncolour: red\n")
    assert len(details.splitlines()) >= 4


@pytest.mark.parametrize(
    "content",
    [b"a: [", b"\xff\xfe", b"a: 2024-99-99", b"[" * 100_000, b"#" * 5_000_000],
    ids=["broken", "no text", "no date", "deep", "large"],
)
def test_unreadable_files(tmp_path: Path, content: bytes) -> None:
    (define(tmp_path, "") / "product.yaml").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"product\.yaml"):
        load_product("thing", tmp_path, Folder())


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        (NodeSet.ALL, "master-1 master-2 private-agent-1 public-agent-1"),
        (NodeSet.FIRST_MASTER, "master-1"),
        (NodeSet.MASTERS, "master-1 master-2"),
        (NodeSet.OTHER_MASTERS, "master-2"),
        (NodeSet.OTHERS, "master-2 private-agent-1 public-agent-1"),
        (NodeSet.AGENTS, "private-agent-1 public-agent-1"),
        (NodeSet.PRIVATE_AGENTS, "private-agent-1"),
        (NodeSet.PUBLIC_AGENTS, "public-agent-1"),
    ],
)
def test_node_sets(nodes: NodeSet, names: str) -> None:
    cluster = make_cluster(Topology(masters=2))
    assert [node.name for node in nodes.of(cluster)] == names.split()


DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "product.md"


def test_the_reference_shows_a_definition_that_can_be_used(tmp_path: Path) -> None:
    text = DOCUMENT.read_text().partition("```yaml\n")[2].partition("```")[0]
    directory = define(tmp_path, text)
    (directory / "install").mkdir()
    for name in ("init", "join", "ready"):
        (directory / "install" / f"{name}.sh").touch()
    assert len(load_product("thing", tmp_path, Folder()).install) == 3


def test_the_reference_explains_every_key() -> None:
    text = DOCUMENT.read_text()
    for section in (InstallStep, Suite):
        keys = {field.name for field in fields(section)} - {"as_root", "in_parallel", "poll_s"}
        keys = {key.removesuffix("_s") for key in keys} | {"user", "parallel", "poll"}
        assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_example_products_can_be_used() -> None:
    examples = DOCUMENT.parents[2] / "examples"
    for path in sorted((examples / "products").iterdir()):
        product = load_product(path.name.upper(), examples, Folder())
        check_suites(product.suites)
