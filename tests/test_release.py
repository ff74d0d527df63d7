"""What a release says of itself agrees: versions, bounds, pins, citation, workflows."""

import configparser
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from emonet.version import PACKAGE_VERSION

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")
DIRECT = [Requirement(line) for line in SETUP["options"]["install_requires"].split()]
EXTRAS = [Requirement(line) for extra in SETUP["options.extras_require"].values() for line in extra.split()]


def pins(file: str) -> dict[str, str]:
    lines = [
        line for line in (ROOT / file).read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]
    return {normal(name): version.split()[0] for name, _, version in (line.partition("==") for line in lines)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def bound(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == ">=", f"setup.cfg: {requirement} wants a lower bound alone"
    return specifier.version


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_the_lowest_versions_are_those_of_the_bounds(requirement: Requirement) -> None:
    if requirement.name == "torch":
        return  # .ci/lowest says why
    found = pins(".ci/lowest.txt").get(normal(requirement.name))
    same = found is not None and (found == bound(requirement) or found.startswith(f"{bound(requirement)}."))
    assert same, (
        f".ci/lowest.txt has {requirement.name}=={found}, setup.cfg {requirement}: make the file anew, as it says"
    )


@pytest.mark.parametrize("requirement", DIRECT + EXTRAS, ids=str)
def test_every_requirement_has_a_tested_version(requirement: Requirement) -> None:
    version = pins("constraints.txt").get(normal(requirement.name))
    assert version, f"constraints.txt: pin {requirement.name}"
    assert requirement.specifier.contains(version), (
        f"constraints.txt: {requirement.name}=={version} is below {requirement}"
    )


def test_every_wheel_of_ci_is_known_by_its_digest_at_the_tested_version() -> None:
    tested, hashed = pins("constraints.txt"), pins(".ci/hashes.txt")
    wrong = {name: version for name, version in hashed.items() if tested.get(name) != version}
    assert not wrong, f"constraints.txt has others: run .ci/make_hashes ({wrong})"
    extras = [
        Requirement(line)
        for extra in ("dev", "docs")
        for line in SETUP["options.extras_require"][extra].split()
    ]
    missing = {normal(requirement.name) for requirement in DIRECT + extras} - {"torch"} - set(hashed)
    assert not missing, f".ci/hashes.txt lacks {missing}: run .ci/make_hashes"
    lines = (ROOT / ".ci" / "hashes.txt").read_text("utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name
)
def test_an_action_is_a_commit(file: Path) -> None:
    """A tag can be moved to other code, which then runs with the rights of the job."""
    for line in re.findall(r"uses: (.+)", file.read_text("utf-8")):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), f"{file.name}: {line}"


def test_the_citation_has_the_packages_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PACKAGE_VERSION and citation["license"] == SETUP["metadata"]["license"]
    assert f"## [{PACKAGE_VERSION}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name
)
def test_a_workflow_is_whole(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}, "more is asked for by the job that needs it"
    for job in workflow["jobs"].values():
        assert job["runs-on"] and all("uses" in step or "run" in step for step in job["steps"])
        for need in [job["needs"]] if "needs" in job else []:
            assert need in workflow["jobs"]
        for script in re.findall(r"\.ci/[\w.]+", str(job)):
            assert (ROOT / script).is_file(), script
