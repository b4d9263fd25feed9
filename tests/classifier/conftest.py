"""What tests of the classifier share beside the fixtures of all tests."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _fast_forests(few_trees):
    """Let all fits of these tests be fast: they are about all but the forests' accuracy."""
