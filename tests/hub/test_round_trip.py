"""Push, load and push again: the real client against a Hub on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import TOKEN, USER, Commit, FakeHub, Fault, Repository
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from tiny import DIALOGUE, build, logits
from tiny_training import encoded, trainer_for
from without_emonet import run_without_emonet

from emonet.cli.main import main
from emonet.data import load_conversations
from emonet.errors import EmoNetError
from emonet.hub.push import push_run
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.train_trainer import EmoNetTrainingArguments

MODEL = f"{USER}/tiny"
DATASET = f"{USER}/albatross"
WHOLE = {
    *("config.json", "model.safetensors", "tokenizer.json", "speakers.json", "README.md", "handler.py"),
    *("requirements.txt", "modeling_emonet.py", "configuration_emonet.py", "processing_emonet.py"),
    "pipeline_emonet.py",
}
EDIT = "\n## From its author\n\nThis was written on the Hub by hand.\n"
NETWORK_ERROR = HfHubHTTPError.__mro__[1]  # the HTTP library's own, whichever one the client uses
CLEAR_ERRORS = (EmoNetError, HfHubHTTPError, NETWORK_ERROR, RuntimeError)

LOAD = """
import json
from pathlib import Path
from datasets import load_dataset
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

asked = json.loads(Path("asked.json").read_text())
name, turns, trust = asked["model"], asked["turns"], dict(trust_remote_code=True)

def scores(rows):
    return [row["scores"] for row in rows]

try:
    import emonet
    raise SystemExit("emonet can be imported here")
except ImportError:
    pass
model = AutoModel.from_pretrained(name, **trust)
head = AutoModelForSequenceClassification.from_pretrained(name, **trust)
pipe = pipeline("emotion-in-conversation", model=name, **trust)
datasets = {view: load_dataset(asked["dataset"], view) for view in ("dialogues", "utterances")}
report(dict(
    labels=AutoConfig.from_pretrained(name, **trust).label_names,
    tokens=AutoTokenizer.from_pretrained(name, **trust)("great we won")["input_ids"],
    logits=model(**model.processor([turns])).logits.tolist(),
    main=dict(
        AutoModel=scores(model.predict(turns)), head=scores(head.predict(turns)), pipeline=scores(pipe(turns))
    ),
    revisions={
        revision: scores(AutoModel.from_pretrained(name, revision=revision, **trust).predict(turns))
        for revision in asked["revisions"]
    },
    pipeline={
        revision: scores(pipeline("emotion-in-conversation", model=name, revision=revision, **trust)(turns))
        for revision in asked["revisions"][:1]
    },
    datasets={
        view: {
            split: dict(features=repr(rows.features), rows=rows.to_list()) for split, rows in splits.items()
        }
        for view, splits in datasets.items()
    },
))
"""


class World:
    """What one whole story of pushes left behind; `expected` holds the scores that each
    revision must give.
    """

    def __init__(self, hub: FakeHub, root: Path):
        self.hub = hub
        self.run, self.second, self.third, self.reader = (
            root / name for name in ("run", "second", "third", "reader")
        )
        self.root = root
        self.expected: dict[str, Any] = {}
        self.trained: dict[str, Any] = {}

    @property
    def commits(self) -> dict[str, Commit]:
        return {commit.message: commit for commit in self.hub.repository(MODEL).history()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Training with pushes; a card edited on the Hub; a second version; a third as a pull
    request.
    """
    with FakeHub() as hub:
        world = World(hub, tmp_path_factory.mktemp("world"))
        world.trained = train_and_push(world)
        for message, said in zip(list(world.commits)[1:3], world.trained["epochs"], strict=True):
            world.expected[world.commits[message].sha] = scores(said)
        world.expected[hub.repository(MODEL).commit_at("main").sha] = scores(world.trained["end"])
        with hub.here(world.root / "writer"):
            card = hub.files(MODEL)["README.md"].decode() + EDIT
            HfApi().upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=MODEL)
            world.expected["main"] = other_version(world.run, world.second, 2.0)
            push_run(world.second, MODEL)
            world.expected["refs/pr/1"] = other_version(world.run, world.third, -1.0)
            push_run(world.third, MODEL, create_pr=True)
        yield world


@pytest.fixture(scope="module")
def loaded(world: World) -> dict[str, Any]:
    """What a process without the package finds."""
    world.reader.mkdir()
    revisions = [revision for revision in world.expected if revision != "main"]
    asked = {"model": MODEL, "dataset": DATASET, "turns": DIALOGUE, "revisions": revisions}
    (world.reader / "asked.json").write_text(json.dumps(asked))
    return run_without_emonet(LOAD, world.reader, **world.hub.environment)


def train_and_push(world: World) -> dict[str, Any]:
    """Run `train_and_push.py` in a process whose Hub is the fake one."""
    tests = Path(__file__).parents[1] / "helpers"
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tests), env.get("PYTHONPATH")]))
    env.update(
        world.hub.environment,
        HF_HOME=str(world.root / "trainer"),
        HF_HUB_DISABLE_XET="1",
        OMP_NUM_THREADS="1",
    )
    command = [
        sys.executable,
        str(Path(__file__).with_name("train_and_push.py")),
        str(world.run),
        MODEL,
        DATASET,
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def other_version(source: Path, target: Path, factor: float) -> list[Any]:
    """Save `source` with other weights as `target` and give its scores."""
    model = EmoNetForSequenceClassification.from_pretrained(source)
    with torch.no_grad():
        model.classifier[-1].weight.mul_(factor)
    model.save_pretrained(target)
    return scores(model.predict(DIALOGUE))


def scores(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.approx(row["scores"], abs=1e-6) for row in rows]


# A training, its pushes and their readers


@pytest.mark.slow
def test_every_push_of_the_trainer_is_a_whole_repository(world: World) -> None:
    messages = [commit.message for commit in world.hub.repository(MODEL).history()]
    assert messages[:4] == [
        "initial commit",
        "Training in progress, epoch 1",
        "Training in progress, epoch 2",
        "End of training",
    ]
    for message in messages[1:]:
        assert set(world.commits[message].files) >= WHOLE, message
    first, second, end = (
        world.commits[message].files["model.safetensors"].sha256 for message in messages[1:4]
    )
    assert first != second and end == first  # at the end the best epoch's, which is the first here


def test_loading_without_the_package_gives_the_same_scores(world: World, loaded: dict[str, Any]) -> None:
    for form in ("AutoModel", "head", "pipeline"):
        assert loaded["main"][form] == world.expected["main"], form
    model = EmoNetForSequenceClassification.from_pretrained(world.second)
    assert torch.allclose(torch.tensor(loaded["logits"]), logits(model, model.processor, DIALOGUE), atol=1e-6)
    assert loaded["labels"] == model.config.label_names
    assert loaded["tokens"] == model.processor.tokenizer("great we won")["input_ids"]


def test_earlier_revisions_and_the_pull_request_give_their_own_scores(
    world: World, loaded: dict[str, Any]
) -> None:
    assert len(loaded["revisions"]) >= 3
    for revision, found in {**loaded["revisions"], **loaded["pipeline"]}.items():
        assert found == world.expected[revision], revision


def test_the_pull_request_left_main_alone(world: World) -> None:
    repository = world.hub.repository(MODEL)
    assert repository.commit_at("refs/pr/1").parent == repository.commit_at("main").sha
    assert world.hub.files(MODEL)["model.safetensors"] == (world.second / "model.safetensors").read_bytes()
    assert (
        world.hub.files(MODEL, "refs/pr/1")["model.safetensors"]
        == (world.third / "model.safetensors").read_bytes()
    )


def test_an_edit_of_the_card_on_the_hub_survives(world: World) -> None:
    assert EDIT in world.hub.files(MODEL)["README.md"].decode()
    assert EDIT not in world.commits["End of training"].files["README.md"].content.decode()


def test_the_dataset_comes_back_as_it_was_built(world: World, loaded: dict[str, Any]) -> None:
    assert set(loaded["datasets"]) == {"dialogues", "utterances"}
    for view, splits in loaded["datasets"].items():
        built = load_conversations("sample", view=view)
        assert set(splits) == set(built)
        for split, rows in built.items():
            assert splits[split]["features"] == repr(rows.features)
            assert splits[split]["rows"] == json.loads(json.dumps(rows.to_list()))


@pytest.mark.slow
def test_all_of_it_works_offline_after_the_first_time(world: World, loaded: dict[str, Any]) -> None:
    requests = len(world.hub.log)
    environment = {**world.hub.environment, "HF_HUB_OFFLINE": "1"}
    assert run_without_emonet(LOAD, world.reader, **environment) == loaded
    assert len(world.hub.log) == requests


def test_the_token_is_in_no_file(world: World, loaded: dict[str, Any]) -> None:
    written = [path for path in world.root.rglob("*") if path.is_file()]
    contents = [*world.hub.all_blobs(), *(path.read_bytes() for path in written)]
    assert (
        sum(b"EmoNetForSequenceClassification" in content for content in contents) > 10
    )  # the scan does find things
    assert any(path.name == "training_args.bin" for path in written)
    token = world.hub.token.encode()
    assert not [path for path in written if token in path.read_bytes()]
    assert not any(token in content for content in contents)
    assert any(entry.authorized for entry in world.hub.log)


def test_a_token_in_the_arguments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="HF_TOKEN"):
        EmoNetTrainingArguments(output_dir=str(tmp_path), hub_token=TOKEN, use_cpu=True)


# Other pushes


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub() as running, running.here(tmp_path / "cache"):
        yield running


@pytest.fixture(scope="module")
def versions(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two saved models; the older one has a code file that the newer one has not."""
    root = tmp_path_factory.mktemp("versions")
    for name, preset in (("old", "emonet-thesis"), ("new", "context")):
        model, model.processor = build(tokenizer, preset)
        model.save_pretrained(root / name)
    (root / "old" / "abandoned.py").write_text("GONE = True\n")
    return root / "old", root / "new"


def test_the_trainer_keeps_an_edit_of_the_card_on_the_hub(
    hub: FakeHub, tokenizer: Any, tmp_path: Path
) -> None:
    trainer = trainer_for(encoded(tokenizer, "emonet-thesis"), tmp_path / "run", hub_model_id=MODEL)
    trainer.push_to_hub()
    card = hub.files(MODEL)["README.md"].decode() + EDIT
    HfApi().upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=MODEL)
    trainer.push_to_hub()
    assert EDIT in hub.files(MODEL)["README.md"].decode()


def test_a_push_removes_code_that_the_new_version_lacks(hub: FakeHub, versions: tuple[Path, Path]) -> None:
    old, new = versions
    push_run(old, MODEL)
    assert "abandoned.py" in hub.files(MODEL)
    push_run(new, MODEL)
    assert "abandoned.py" not in hub.files(MODEL) and set(hub.files(MODEL)) >= WHOLE


def test_a_private_repository_and_a_branch(hub: FakeHub, versions: tuple[Path, Path]) -> None:
    old, new = versions
    address = push_run(old, MODEL, private=True)
    repository = hub.repository(MODEL)
    main = repository.commit_at("main")
    assert repository.private and address.endswith(main.sha)
    push_run(new, MODEL, revision="next", commit_message="a new head")
    assert repository.commit_at("main") == main
    assert repository.commit_at("next").message == "a new head"


STEPS = {"preupload": ("POST", "/preupload/"), "storage": ("PUT", "."), "commit": ("POST", "/commit/")}


@pytest.fixture(scope="module")
def states(versions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Repository]:
    """The repository after a push of the older version, and after one of the newer, with
    nothing in the way.
    """
    found = []
    with FakeHub() as hub, hub.here(tmp_path_factory.mktemp("states")):
        for folder in versions:
            push_run(folder, MODEL)
            found.append(deepcopy(hub.repository(MODEL)))
    return found


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize("fault", ["drop", "lost", "500", "429"])
@pytest.mark.parametrize("step", list(STEPS))
def test_an_interrupted_push_leaves_the_old_version_or_the_new_one(
    hub: FakeHub, versions: tuple[Path, Path], states: list[Repository], step: str, fault: Fault, times: int
) -> None:
    before, after = (state.commit_at("main").files for state in states)
    hub.repositories["model", MODEL] = repository = deepcopy(states[0])
    hub.fail(*STEPS[step], fault, times)
    try:
        push_run(versions[1], MODEL)
        assert repository.commit_at("main").files == after
    except CLEAR_ERRORS as error:
        assert str(error) and (times > 1 or step == "commit")
        # A commit whose answer was lost is there.
        assert repository.commit_at("main").files == (
            after if (step, fault) == ("commit", "lost") else before
        )
    hub.heal()
    push_run(versions[1], MODEL)
    assert repository.commit_at("main").files == after


@pytest.mark.parametrize("step", list(STEPS))
def test_the_command_reports_an_interrupted_push_in_one_line(
    hub: FakeHub, versions: tuple[Path, Path], step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.fail(*STEPS[step], "drop", times=99)
    push = ["push", "--model", str(versions[0]), "--repo-id", MODEL, "--private"]
    assert main(push) == 2
    assert "emonet: " in capsys.readouterr().err.splitlines()[-1]
    hub.heal()
    assert main(push) == 0
    assert f"/{MODEL}/commit/" in capsys.readouterr().out
    assert set(hub.files(MODEL)) >= WHOLE and hub.repository(MODEL).private


@pytest.mark.parametrize("step", list(STEPS))
def test_an_interrupted_push_of_the_trainer_changes_nothing(
    hub: FakeHub, tokenizer: Any, tmp_path: Path, step: str
) -> None:
    trainer = trainer_for(encoded(tokenizer, "emonet-thesis"), tmp_path / "run", hub_model_id=MODEL)
    trainer.push_to_hub()
    before = hub.repository(MODEL).commit_at("main")
    with torch.no_grad():
        trainer.model.classifier[-1].weight.mul_(2)
    hub.fail(*STEPS[step], "drop", times=99)
    with pytest.raises(CLEAR_ERRORS):
        trainer.push_to_hub()
    assert hub.repository(MODEL).commit_at("main") == before
    hub.heal()
    trainer.push_to_hub()
    assert hub.files(MODEL)["model.safetensors"] == (tmp_path / "run" / "model.safetensors").read_bytes()


def test_no_trouble_splits_a_push_of_the_trainer(
    hub: FakeHub, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `hf_xet`, `HfApi.upload_folder` breaks a commit of more than 20 files up where
    the Hub fails for long.
    """
    trainer = trainer_for(encoded(tokenizer, "emonet-thesis"), tmp_path / "run", hub_model_id=MODEL)
    trainer.push_to_hub()
    before = len(hub.repository(MODEL).history())
    for number in range(30):
        (tmp_path / "run" / f"part_{number}.py").write_text("PART = True\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(
        "fake_hub.endpoints.needs_lfs", lambda path, sample: False
    )  # there is no Xet server here
    hub.fail("POST", "/commit/", "500", times=36)
    with suppress(*CLEAR_ERRORS):
        trainer.push_to_hub()
    assert len(hub.repository(MODEL).history()) <= before + 1
