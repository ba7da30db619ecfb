"""The MLflow UI in a headless browser: what a person does to compare trials."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
MISSING = "needs a browser: apt-get install chromium chromium-driver"

_SECONDS = 60
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--window-size=1700,1000"),
)
_RUN_NAME = '[col-id="attributes.`Run Name`"]'
_HEADER = ".ag-header-cell"
_CHECKBOX = 'input.ag-checkbox-input[aria-label*="row selection"]'


class MlflowUi:
    """A browser that has the UI open."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self._driver = driver
        self._address = address

    def open_runs(self, experiment_id: str, search: str = "") -> None:
        """Open the list of runs of an experiment, or of those that a search finds."""
        query = f"?{urlencode({'searchFilter': search})}" if search else ""
        self._driver.get(f"{self._address}/#/experiments/{experiment_id}/runs{query}")
        self._wait_for(f"{_RUN_NAME} a")
        for panel in self._driver.find_elements(By.CSS_SELECTOR, '[aria-label="Close"]'):
            panel.click()

    def open(self, link: str) -> None:
        """Open a link that the program printed, in a page of its own."""
        self._driver.get("about:blank")
        self._driver.get(link)

    def open_view(self, link: str) -> None:
        """Open a link to a saved view, and wait for its runs."""
        self.open(link)
        self._wait_for(f"{_RUN_NAME} a")
        for panel in self._driver.find_elements(By.CSS_SELECTOR, '[aria-label="Close"]'):
            panel.click()

    def columns(self) -> list[str]:
        """The names of the columns that are shown."""
        return [name for cell in self._all(_HEADER) if (name := cell.text.strip())]

    def wait_for_columns(self, names: list[str]) -> None:
        """Wait until these columns are shown, in any order, beside those that always are."""
        self._wait(lambda: set(names) <= set(self.columns()))

    def column(self, name: str) -> list[str]:
        """What is shown in a column, from top to bottom."""
        place = next(cell for cell in self._all(_HEADER) if cell.text.strip() == name)
        column = str(place.get_attribute("col-id")).replace('"', '\\"')
        return [cell.text for cell in self._all(f'.ag-row [col-id="{column}"]')]

    def wait_for_text(self, text: str) -> None:
        """Wait until the page says something."""
        self._wait(lambda: text in self.text())

    def run_names(self) -> list[str]:
        """The names of the runs that are listed."""
        return [link.text for link in self._all(f"{_RUN_NAME} a")]

    def expand(self) -> None:
        """Expand every parent in the list."""
        for place in reversed(range(len(self._all(f"{_RUN_NAME} button")))):
            before = len(self.run_names())
            self._all(f"{_RUN_NAME} button")[place].click()
            self._wait(lambda before=before: len(self.run_names()) > before)

    def select(self, *names: str) -> None:
        """Tick the runs of these names."""
        for name, checkbox in zip(self.run_names(), self._all(f".ag-row {_CHECKBOX}"), strict=True):
            if name in names:
                checkbox.click()

    def compare(self) -> None:
        """Press Compare and wait for its page."""
        (button,) = [b for b in self._all("button") if b.text.strip() == "Compare"]
        button.click()
        self._wait(lambda: "Run details" in self.text())

    def compared(self, name: str) -> list[str]:
        """The values of a param, metric or tag on the Compare page, one for each run."""
        path = f"//tr[th[normalize-space()='{name}'] or td[1][normalize-space()='{name}']]"
        rows = self._driver.find_elements(By.XPATH, path)
        cells = rows[0].find_elements(By.CSS_SELECTOR, "td") if rows else []
        return [cell.text for cell in cells if cell.text.strip() != name]

    def text(self) -> str:
        """All the text of the page."""
        return self._driver.find_element(By.TAG_NAME, "body").text

    def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        self._driver.save_screenshot(str(path))

    def _wait(self, happened: Callable[[], bool]) -> None:
        WebDriverWait(self._driver, _SECONDS).until(lambda _driver: happened())

    def _wait_for(self, selector: str) -> WebElement:
        return WebDriverWait(self._driver, _SECONDS).until(
            lambda driver: driver.find_element(By.CSS_SELECTOR, selector)
        )

    def _all(self, selector: str) -> list[WebElement]:
        return self._driver.find_elements(By.CSS_SELECTOR, selector)


@contextmanager
def open_ui(address: str) -> Iterator[MlflowUi]:
    """Start the browser for the UI at `address`."""
    assert CHROMIUM is not None, MISSING
    assert CHROMEDRIVER is not None, MISSING
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in _FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    try:
        yield MlflowUi(driver, address)
    finally:
        driver.quit()
