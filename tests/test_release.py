"""Check that versions, bounds, pins, citation and workflows of a release agree."""

import configparser
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from emonet.constants import PACKAGE_VERSION

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")
DIRECT = [Requirement(line) for line in SETUP["options"]["install_requires"].split()]
EXTRAS = [Requirement(line) for extra in SETUP["options.extras_require"].values() for line in extra.split()]


def pins(file: str) -> dict[str, str]:
    lines = [
        line for line in (ROOT / file).read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]
    return {
        normalized(name): version.split()[0] for name, _, version in (line.partition("==") for line in lines)
    }


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def bound(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == ">=", f"setup.cfg: {requirement} must have a lower bound only"
    return specifier.version


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_lowest_versions_equal_bounds(requirement: Requirement) -> None:
    if requirement.name == "torch":
        return  # .ci/lowest explains why
    found = pins(".ci/lowest.txt").get(normalized(requirement.name))
    same = found is not None and (found == bound(requirement) or found.startswith(f"{bound(requirement)}."))
    assert same, (
        f".ci/lowest.txt has {requirement.name}=={found}, setup.cfg {requirement}: "
        "make the file again with the command in its first lines"
    )


@pytest.mark.parametrize("requirement", DIRECT + EXTRAS, ids=str)
def test_requirement_is_pinned(requirement: Requirement) -> None:
    version = pins("constraints.txt").get(normalized(requirement.name))
    assert version, f"constraints.txt: pin {requirement.name}"
    assert requirement.specifier.contains(version), (
        f"constraints.txt: {requirement.name}=={version} is below {requirement}"
    )


def test_ci_wheels_have_digests() -> None:
    tested, hashed = pins("constraints.txt"), pins(".ci/hashes.txt")
    wrong = {name: version for name, version in hashed.items() if tested.get(name) != version}
    assert not wrong, f"constraints.txt has other versions of {wrong}: run .ci/make_hashes"
    extras = [
        Requirement(line)
        for extra in ("dev", "docs")
        for line in SETUP["options.extras_require"][extra].split()
    ]
    missing = {normalized(requirement.name) for requirement in DIRECT + extras} - {"torch"} - set(hashed)
    assert not missing, f".ci/hashes.txt lacks {missing}: run .ci/make_hashes"
    lines = (ROOT / ".ci" / "hashes.txt").read_text("utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name
)
def test_actions_are_pinned_to_commits(file: Path) -> None:
    """A tag can be moved to other code, which would run with the rights of the job."""
    for line in re.findall(r"uses: (.+)", file.read_text("utf-8")):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), f"{file.name}: {line}"


def test_citation_has_package_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PACKAGE_VERSION and citation["license"] == SETUP["metadata"]["license"]
    assert f"## [{PACKAGE_VERSION}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name
)
def test_workflow_is_complete(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}, "a job that needs more asks for it"
    for job in workflow["jobs"].values():
        assert job["runs-on"] and all("uses" in step or "run" in step for step in job["steps"])
        for need in [job["needs"]] if "needs" in job else []:
            assert need in workflow["jobs"]
        for script in re.findall(r"\.ci/[\w.]+", str(job)):
            assert (ROOT / script).is_file(), script
