"""Wheel and sdist are whole, the page on PyPI has no dead link, and a release refuses what is not ready."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import make_release
import pytest
import yaml

from tests.environments import ROOT, run

SCHEMAS = {
    "CITATION.cff": "citation-file-format",
    ".github/dependabot.yml": "dependabot",
    ".github/workflows/*.yml": "github-workflows",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    ".github/ISSUE_TEMPLATE/[bi]*.yml": "github-issue-forms",
    "compose.yaml": "compose-spec",
}
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2030-01-02)\n\n- All of it.\n\n## 1.1.0 (2029-01-02)\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist, after the checks of a release."""
    for tool in ("build", "hatchling", "hatch_fancy_pypi_readme", "twine", "check_wheel_contents"):
        pytest.importorskip(tool)
    out = tmp_path_factory.mktemp("dist")
    make_release.build(out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_the_page_on_pypi_leads_nowhere_else_and_needs_no_checkout(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        packed = set(wheel.namelist())
        metadata = message_from_bytes(wheel.read(next(name for name in packed if name.endswith("/METADATA"))))
    sources = {path for path in (ROOT / "src").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert {str(path.relative_to(ROOT / "src")) for path in sources} <= packed
    page = str(metadata.get_payload())
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []
    assert "![" not in page
    assert "<!--" not in page
    assert "CONTRIBUTING.md, architecture" in page  # links became their texts
    assert page.startswith("# firstday\n")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert {line.split()[0] for line in commands} == {"pip", "firstday"}
    assert "`make" not in page
    assert metadata["Version"] == make_release.read_version()
    assert metadata["Description-Content-Type"].startswith("text/markdown")


def test_the_sdist_has_all_that_the_repository_has(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    packed = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()} - {"PKG-INFO"}
    if not (ROOT / ".git").exists():  # these tests run from an sdist: it packs itself again
        assert {"Makefile", "Dockerfile", ".ci/run", "tests/test_ranking.py", "CITATION.cff"} <= packed
        return
    listed = run("git", "ls-files", folder=ROOT).splitlines()
    assert {path for path in listed if (ROOT / path).exists()} - packed == set()
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_ranking.py", folder=unpacked)
    run("make", "--dry-run", "test", folder=unpacked)


@pytest.mark.parametrize(("files", "schema"), SCHEMAS.items(), ids=SCHEMAS.get)
def test_forms_workflows_and_citation_follow_their_schemas(files: str, schema: str) -> None:
    paths = sorted(ROOT.glob(files))
    assert paths
    pytest.importorskip("check_jsonschema")
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *paths, folder=ROOT)


def test_workflows_run_what_make_has_and_publish_without_a_password() -> None:
    workflows = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in workflows.values():
        for target in re.findall(r"\bmake ([a-z]+)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for action in re.findall(r"uses: (?!\./)(.+)", text):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    jobs = yaml.safe_load(workflows["release"])["jobs"]
    for name, right in (("publish", "id-token"), ("build", "attestations"), ("image", "attestations")):
        assert jobs[name]["permissions"][right] == "write"
    assert jobs["publish"]["environment"] == "pypi"
    assert "secrets." not in workflows["release"]


def make_repository(
    folder: Path,
    *,
    changelog: str = CHANGELOG,
    citation: str = "1.2.0",
    urls: str = "[project.urls]\nRepository = 'https://example.org'",
) -> Path:
    """Return a repository that has just what a release looks at."""
    (folder / "src" / "firstday").mkdir(parents=True)
    (folder / "src" / "firstday" / "__init__.py").write_text('"""Package."""\n\n__version__ = "1.2.0"\n')
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {citation}\ndate-released: 2030-01-02\n")
    (folder / "CHANGELOG.md").write_text(changelog)
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'firstday'\n{urls}\n")
    (folder / "clients" / "js").mkdir(parents=True)
    (folder / "clients" / "js" / "package.json").write_text(
        '{\n  "name": "client",\n  "version": "1.2.0",\n  "x": 1\n}\n'
    )
    author = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "all"]):
        run("git", *command, folder=folder)
    return folder


def test_a_repository_that_is_ready_can_be_released_once(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    assert make_release.find_faults(root) == []
    assert make_release.find_faults(root, "v1.2.0") == []
    run("git", "tag", "v1.2.0", folder=root)
    assert make_release.find_faults(root) == ["v1.2.0: is tagged already; raise the version."]
    assert make_release.find_faults(root, "v1.2.0") == []


def test_a_release_names_everything_that_is_not_ready(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path, changelog=CHANGELOG.replace("## 1.2", "- New.\n\n## 1.3"), citation="1.1.0", urls=""
    )
    (root / "notes.txt").write_text("later")
    assert make_release.find_faults(root, "v1.2.1") == [
        "the working tree has 1 change(s), such as notes.txt; commit them first.",
        "version: src/firstday/__init__.py has 1.2.0, CITATION.cff has 1.1.0, clients/js/package.json has "
        "1.2.0, CHANGELOG.md has 1.3.0; make them the same, in the changelog as '## 0.1.0 (2026-11-27)'.",
        "pyproject.toml: has no [project.urls]; enter the repository's address, as its comment says.",
        "CHANGELOG.md: has entries under Unreleased; put the version and its date into that heading.",
        "the tag is v1.2.1 and the version 1.2.0; tag v1.2.0, or change the version.",
    ]


def test_version_and_date_are_the_same_wherever_they_stand() -> None:
    for places in (make_release.PLACES, make_release.DATES):
        values = {re.findall(pattern, (ROOT / place).read_text(), re.MULTILINE)[0] for place, pattern in places.items()}
        assert len(values) == 1
