"""A browser for the tests of the page, and cleaners whose findings are made up."""

import functools
import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.review import write_review

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))
chromium = importlib.import_module("chromium")
# Set by .ci/run, where a missing browser is an error.
MUST_HAVE_BROWSER = "SKDIFFUSION_LABEL_MUST_HAVE_BROWSER"


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Chromium without a window, driven by selenium."""
    if not (shutil.which(chromium.CHROMIUM) and shutil.which(chromium.DRIVER)):
        reason = f"{chromium.CHROMIUM} or {chromium.DRIVER} is missing, which the page is tested in"
        if os.environ.get(MUST_HAVE_BROWSER):
            pytest.fail(reason)
        pytest.skip(reason)
    driver = chromium.open_browser(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


class Page:
    """What a person does with an open page, and what there is to see."""

    def __init__(self, driver, downloads, path):
        self.driver, self.path, self.downloads = driver, path, downloads
        self.open()

    def open(self):
        """Load the page, as by a double click."""
        self.driver.get(self.path.as_uri())

    def press(self, *keys):
        """Press keys, one after another, wherever the focus is."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def run(self, script, *arguments):
        """Return what ``script`` returns."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        """Return all text in the first element, seen or not."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, selector):
        """Click the first element."""
        self.driver.find_element("css selector", selector).click()

    def is_seen(self, selector):
        """Return whether the first element is displayed."""
        return self.driver.find_element("css selector", selector).is_displayed()

    def in_focus(self):
        """Return the heading of the row in focus."""
        return self.text("#card h2")

    def fill(self, selector, text):
        """Type into a field in place of what it holds."""
        field = self.driver.find_element("css selector", selector)
        field.clear()
        field.send_keys(text)

    def download(self, extension):
        """Download the decisions and return the path of the file, the only one of its kind."""
        for path in self.downloads.glob(f"*.{extension}"):
            path.unlink()
        if not self.is_seen("#summary"):
            self.press("d")
        self.click(f"#download-{extension}")
        for _ in range(100):
            for path in self.downloads.glob(f"*.{extension}"):
                return path
            time.sleep(0.05)
        raise AssertionError(f"no {extension} file came within five seconds")

    def decisions(self):
        """Return the downloaded decisions by row."""
        found = json.loads(self.download("json").read_text(encoding="utf-8"))
        self.press("\ue00c")
        return {decision["row"]: decision for decision in found["decisions"]}


@pytest.fixture
def open_file(driver, tmp_path):
    """Return a function that opens a page; no page may complain on the console."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    _set_width(driver, 1280)

    driver.get("about:blank")
    driver.get_log("browser")
    yield functools.partial(Page, driver, downloads)
    complaints = driver.get_log("browser")
    driver.execute_script("try { localStorage.clear() } catch {}")
    driver.get("about:blank")
    assert complaints == []


@pytest.fixture
def open_page(open_file, tmp_path):
    """Return a function that writes a page and opens it."""

    def write_and_open(cleaner, X, **options):
        return open_file(write_review(tmp_path / "page.html", cleaner, X, **options))

    return write_and_open


def _set_width(driver, width):
    """Give the window a width in pixels; a narrow one is that of a telephone."""
    screen = {"width": width, "height": 860, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def cleaner_of(given, suggested, *, action=None, p_error=None, index=None, fingerprint="0a" * 16):
    """Return a cleaner that has found just this."""
    given, suggested = np.asarray(given, dtype=object), np.asarray(suggested, dtype=object)
    differs = given != suggested
    n = len(given)
    p_error = np.where(differs, np.linspace(0.99, 0.6, n), 0.01) if p_error is None else p_error
    cleaner = LabelCleaner()
    classes = np.unique([*(label for label in given if label is not None), *suggested])
    cleaner.classes_ = classes
    cleaner.label_issues_ = pd.DataFrame(
        {
            "is_label_issue": differs if action is None else ~np.isin(action, ["keep", "label"]),
            "label_quality": 1 - np.asarray(p_error),
            "given_label": given,
            "predicted_label": suggested,
            "suggested_label": suggested,
            "suggested_proba": np.full(n, 0.9),
            "p_label_error": p_error,
            "action": np.where(differs, "relabel", "keep") if action is None else action,
        },
        index=index,
    )
    cleaner.transition_matrix_ = np.eye(len(classes))
    cleaner.noise_rate_ = float(np.mean(p_error))
    cleaner.abstention_ = cleaner.estimator_ = None
    cleaner.fingerprint_ = fingerprint
    return cleaner


@pytest.fixture
def make_cleaner():
    """Return a function that makes up a cleaner."""
    return cleaner_of


@pytest.fixture
def set_width(driver):
    """Return a function that gives the window a width in pixels."""
    return functools.partial(_set_width, driver)


@pytest.fixture
def pets():
    """Twelve texts, of which eight are doubted, in order: cleaner and texts."""
    given = ["cat"] * 6 + ["dog"] * 6
    suggested = ["dog", "dog", "bee", "cat", "cat", "dog", "cat", "cat", "bee", "cat", "dog", "dog"]
    return cleaner_of(given, suggested), [f"This is text number {i}." for i in range(12)]
