"""OSQ501-502: settings under which a run can publish or test nothing."""

from collections.abc import Iterator

from osqual.lint.finding import Found, error, warning
from osqual.lint.view import View
from osqual.model import PublishPoint

_POINT = "publish_dcos_images_after"


def unreachable(view: View) -> Iterator[Found]:
    """Publishing that waits for tests that are switched off."""
    for path in view.known_files(view.catalogue.conventions.files.config):
        config = view.config(path)
        if (
            config is not None
            and config.publish_after is PublishPoint.INTEGRATION_TESTS
            and not config.run_integration_tests
        ):
            yield Found(
                file=path,
                line=view.yaml_line(path, [_POINT]),
                key=_POINT,
                message="publishing waits for integration tests, which run_integration_tests "
                "switches off",
            )


def nothing_to_test(view: View) -> Iterator[Found]:
    """`never` builds no image, and there is none that could be tested."""
    for leaf in view.leaves:
        config = view.config(leaf.config)
        if (
            config is not None
            and config.publish_after is PublishPoint.NEVER
            and not view.images(leaf.images)
        ):
            yield Found(
                file=leaf.config,
                line=view.yaml_line(leaf.config, [_POINT]),
                key=_POINT,
                message="`never` tests the published image, and there is none",
                configuration=leaf.path,
            )


RULES = (
    error("OSQ501", "Publishing cannot be reached", unreachable),
    warning("OSQ502", "Nothing to test", nothing_to_test),
)
