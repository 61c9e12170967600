"""Whatever stands in a catalogue's files: questions about it are answered, and nothing else."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osqual.catalogue.ancestry import AncestryReader
from osqual.catalogue.builds import builds_of
from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.describe import Describer
from osqual.catalogue.facts import read_facts
from osqual.catalogue.recipes import RecipeReader, group_by_recipe
from osqual.errors import OsqualError
from osqual.plan.plan import Action, make_plan
from tests.fixtures.catalogue_small import LEAF, publish, small_catalogue, template

OTHER = LEAF.replace("centos", "rhel")
IMAGES = {"us-west-2": "ami-0f"}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["ami-1", "us-west-2", "never", "../../../../../../../etc/passwd", "{{user `x`}}"]
    )
    | st.sampled_from(
        ["file", "shell", "amazon-ebs", "install.sh", ".", "/", "{{env `A`}}", "\x00"]
    )
)
KEYS = st.sampled_from(
    [
        "builders",
        "provisioners",
        "variables",
        "type",
        "script",
        "scripts",
        "source",
        "region",
        "tests_to_run",
        "publish_dcos_images_after",
        "run_framework_tests",
        "us-west-2",
        "user_data_file",
        "builds",
        "artifact_id",
        "build_time",
        "verdict",
        "images",
        "recipe",
        "inputs",
        "source_ami",
    ]
) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@st.composite
def broken_templates(draw: st.DrawFn) -> str:
    """A good template with something else in one or two places."""
    document = template()
    for _ in range(draw(st.integers(1, 2))):
        section = draw(st.sampled_from(["builders", "provisioners"]))
        entry = document[section]
        if isinstance(entry, list) and entry and isinstance(entry[0], dict):
            entry[draw(st.integers(0, len(entry) - 1))][draw(KEYS)] = draw(VALUES)
        if draw(st.booleans()):
            document[draw(KEYS)] = draw(VALUES)
    return json.dumps(document)


TEXTS = VALUES.map(json.dumps) | broken_templates() | st.text(max_size=60)
CONTENTS = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=40)
NAMES = st.sampled_from(
    [
        "packer.json",
        "base_images.json",
        "cluster_profile.tfvars",
        "publish_and_test_config.yaml",
        "dcos_images.yaml",
        "packer_build_history.json",
        "qualification.json",
        "setup.sh",
    ]
)


def ask_everything(catalogue: Catalogue) -> None:
    """Every question; each must tell about the other configuration as if nothing were broken."""
    facts, _ = read_facts(catalogue)
    assert {item.path: item.images for item in facts}[OTHER] == IMAGES
    reader = RecipeReader(catalogue=catalogue)
    built = {item.path: reader.built(item) for item in catalogue.configurations()}
    assert built[OTHER].recipe is not None
    group_by_recipe(built.values())
    ancestry = AncestryReader(catalogue=catalogue)
    ancestry.read()
    assert ancestry.of("ami-0f").known
    plan = make_plan(catalogue, catalogue.configurations())
    assert {step.configuration.path: step.action for step in plan.steps}[OTHER] is Action.RUN
    leaf = catalogue.configuration(LEAF)
    Describer(catalogue=catalogue).describe(leaf)
    builds_of(catalogue, leaf)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, CONTENTS, min_size=1, max_size=3))
def test_any_content_of_one_configuration_s_files(files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory).resolve() / "catalogue"
        small_catalogue(root, LEAF, OTHER)
        publish(root, OTHER, IMAGES)
        for name, content in files.items():
            (root / LEAF / name).write_bytes(content)
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        ask_everything(open_catalogue(root))
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
        assert [path.name for path in root.parent.iterdir()] == ["catalogue"]


@given(VALUES | st.fixed_dictionaries({"layout": st.text("{}[]/-abos_.", max_size=30)}))
def test_any_settings_are_used_or_refused(document: object) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        small_catalogue(root)
        (root / "osqual.yaml").write_text(json.dumps(document))
        try:
            found = len(open_catalogue(root).configurations())
        except OsqualError as error:
            found = 1 if error.exit_code == 2 else -1
        assert found >= 0
