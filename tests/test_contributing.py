"""What contributors are told is what is run."""

import re

import yaml

from tests.end_to_end.processes import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text()


def _recipe(target: str) -> list[str]:
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_the_hooks_before_a_commit_are_what_make_lint_runs() -> None:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    assert hooks == _recipe("lint")


def test_every_target_that_is_named_exists() -> None:
    for page in ("CONTRIBUTING.md", "README.md", "docs/studies.md"):
        for target in re.findall(r"`make ([a-z-]+)`", (REPOSITORY / page).read_text()):
            assert re.search(rf"^{target}:", MAKEFILE, re.M), f"{page}: make {target}"


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
