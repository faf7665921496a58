"""The command line, mostly called in this process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
import yaml

from flows.cli import CONF, entry, stamp
from flows.config import check_all
from flows.errors import UserError

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "tensorboard", "jinja2", "pydantic"}


def check(config):
    check_all(config, trusted=config["trusted_packages"])


@pytest.fixture
def call(tmp_path, tmp_path_factory, monkeypatch, capfd):
    """Call a program in an empty folder; gives status, stdout, stderr and the configurations it ran with.

    These by way of a file, for the jobs of a sweep run in processes of their own.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    ledger = tmp_path_factory.mktemp("ran") / "configs"

    def note(config):
        with ledger.open("a") as file:
            file.write(f"{json.dumps(config)}\n")

    def run(*arguments, task=note, check=check):
        ledger.write_text("")
        main = entry("config", check)(task)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        status = 0
        try:
            main()
        except SystemExit as leaving:
            status = leaving.code
        ran = [json.loads(line) for line in ledger.read_text().splitlines()]
        return status, *capfd.readouterr(), ran

    return run


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_flags_may_stand_among_the_keys(call, tmp_path):
    status, _, err, ran = call("seed=3", "-m", "model.width=4,8", "run_dir=sweep")
    assert (status, err) == (0, "")
    assert [(config["seed"], config["model"]["width"]) for config in ran] == [(3, 4), (3, 8)]


REFUSALS = [
    ("model=realnpv", "model=realnpv: no such option; did you mean model=realnvp? options: "),
    ("model=", "model=: no such option; options: "),
    ("model=3", "a group takes the name of an option"),
    ("experiment=nope", "experiment=nope: no such option"),
    ("model.widht=3", "model.widht: no such key; did you mean model.width? keys: activation, bound"),
    ("+model.widht=3", "model.widht: no such key; did you mean model.width?"),
    ("++model.widht=3", "model.widht: no such key; did you mean model.width?"),
    ("modle=realnvp", "modle: no such key; did you mean model? keys: dataset, "),
    ("+modle=x", "modle: no such key; did you mean model?"),
    ("+foo=1", "foo: no such key; keys: dataset, "),
    ("width=3", "width: no such key; did you mean model.width?"),
    ("sede=3", "sede: no such key; did you mean seed?"),
    ("trainer.optimizer.lrr=3", "did you mean trainer.optimizer.lr?"),
    ("trainer.optimizer._target_=torch.optim.SGD", "gives it, ~trainer.optimizer.betas drops it"),
    ("seed=9223372036854775808", "expected int >= 0 and < 9223372036854775808"),
    ("dataset.seed=99999999999999999999", "expected int >= 0 and < 9223372036854775808"),
    ("runtime.threads=100000000000", "expected int >= 1 and <= 1024 or null"),
    ("dataset.noise=1e300", "dataset.noise=1e+300: expected float >= 0.001 and <= 1000.0"),
    ("dataset.noise=1e-300", "dataset.noise=1e-300: expected float >= 0.001 and <= 1000.0"),
    ("hydra.job.chdir=true", "hydra.job.chdir: a run stays"),
    ("hydra.output_subdir=x", "hydra.output_subdir: a run writes"),
    ("+trainer.optimizer.lrr=3", "did you mean trainer.optimizer.lr?"),
    ("dataset@other=moons", "dataset@other: no such group"),
    ("model.width=wide", "model.width='wide': expected int >= 1"),
    ("model.width=true", "model.width=true: expected int >= 1"),
    ("model.width='3'", "model.width='3': expected int >= 1"),
    ("model.width=", "model.width='': expected int >= 1"),
    ("model.width=null", "model.width=null: expected int >= 1"),
    ("model.width=???", "model.width: missing value; give model.width=VALUE (int >= 1)"),
    ("model.width.x=3", "model.width={x: 3}: expected int >= 1"),
    ("model.width=${nothing}", "model.width: Interpolation key 'nothing' not found"),
    ("trainer.optimizer.lr=-1", "trainer.optimizer: Invalid learning rate: -1"),
    ("seed=-1", "seed=-1: expected int >= 0"),
    ("~model", "model=null: nothing chosen; give model=NAME"),
    ("~model.nothing", "'model.nothing' does not exist"),
    ("seed", "seed: can't be read; give KEY=VALUE"),
    ("seed=[1", "seed=[1: can't be read; give KEY=VALUE"),
    ("run_dir=outputs/größe", """can't be read; if that is all meant, quote it: 'run_dir="outputs/größe"'"""),
    ("seed=0,1", "seed=0,1: several values need -m, a sweep; a list needs brackets, seed=[0,1]"),
    ("run_dir=/dev/null/below", "run_dir: can't make /dev/null/below: Not a directory"),
    ("run_dir=[1]", "run_dir"),
    ("hydra.mode=FOO", "hydra.mode=FOO: Invalid value 'FOO'"),
    ("--config-dir=nowhere", "nowhere: no such folder"),
    ("--resolve", "--resolve flag can only be used"),
    ("--experimental-rerun=x", "--experimental-rerun: would unpickle a file"),
    ("--config-name=evaluate", "--config-path, --config-name: fixed here"),
    ("--config-path=.", "--config-path, --config-name: fixed here"),
]


SWEPT = {
    *("model=realnpv", "model.widht=3", "+model.widht=3", "modle=realnvp", "+modle=x", "model.width=wide"),
    *("model.width=???", "model.width=${nothing}", "seed=[1", "run_dir=/dev/null/below", "hydra.mode=FOO"),
}


@pytest.mark.parametrize(
    ("flags", "argument", "says"),
    [([], *pair) for pair in REFUSALS] + [(["-m"], *pair) for pair in REFUSALS if pair[0] in SWEPT],
)
def test_a_refusal_is_one_line_and_leaves_nothing(call, tmp_path, flags, argument, says):
    status, out, err, ran = call(*flags, argument)
    assert (status, out, ran) == (2, "", [])
    assert err.startswith("train.py: error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not re.search(r"\+(model|trainer|seed|foo|sede|width)", err)
    assert files(tmp_path) == []


def test_a_sweep_is_checked_whole_before_its_first_run(call, tmp_path):
    status, _, err, ran = call("-m", "seed=0,-1")
    assert (status, ran, files(tmp_path)) == (2, [], [])
    assert err == "train.py: error: seed=-1: expected int >= 0 and < 9223372036854775808\n"


@pytest.mark.parametrize("key", ["trainer.optimizer.amsgrad", "+trainer.optimizer.amsgrad"])
def test_every_key_of_a_signature_can_be_given(call, key):
    status, _, err, ran = call(f"{key}=true")
    assert (status, err) == (0, "")
    assert ran[0]["trainer"]["optimizer"]["amsgrad"] is True


def test_another_optimizer_can_be_named(call):
    dropped = [f"~trainer.optimizer.{key}" for key in ("betas", "fused")]
    given = ["trainer.optimizer._target_=torch.optim.SGD", "trainer.optimizer.momentum=0.9"]
    status, _, err, ran = call(*given, *dropped)
    assert (status, err) == (0, "")
    assert ran[0]["trainer"]["optimizer"]["momentum"] == 0.9


HUGE = {
    "list": lambda: [0] * 2**60,
    "numpy": lambda: numpy.empty(2**60),
    "numpy's range": lambda: numpy.arange(10**20),
    "torch": lambda: torch.empty(2**55),
    "torch's product": lambda: torch.empty(2**40, 2**40),
    "torch's sizes": lambda: torch.empty(10**20),
}


@pytest.mark.parametrize("name", HUGE)
def test_too_little_memory_is_one_line(call, tmp_path, name):
    status, _, err, _ = call(task=lambda config: HUGE[name]())
    assert (status, files(tmp_path)) == (2, [])
    assert err.startswith("train.py: error: not enough memory for this; ask for fewer examples")
    assert err.count("\n") == 1


def test_only_what_has_a_run_dir_is_swept(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "-m", "seed=0,1"])
    with pytest.raises(SystemExit) as leaving:
        entry("evaluate")(lambda _: Path("ran").touch())()
    out, err = capfd.readouterr()
    assert (leaving.value.code, out, files(tmp_path)) == (2, "", [])
    assert err.startswith("evaluate.py: error: -m: no sweep here")
    assert err.count("\n") == 1


def test_what_the_task_refuses_is_one_line_too(call, tmp_path):
    def task(config):
        raise UserError("this pair\ncan't work")

    assert call("run_dir=a/b", task=task)[:3] == (2, "", "train.py: error: this pair can't work\n")
    assert files(tmp_path) == []


def test_folders_that_were_there_or_are_in_use_stay(call, tmp_path):
    def task(config):
        if config["seed"] == 1:
            Path(config["run_dir"], "weights").touch()
        raise UserError("no")

    (tmp_path / "mine").mkdir()
    call("run_dir=mine", task=task)
    call("run_dir=new", "seed=1", task=task)
    assert files(tmp_path) == ["mine", "new", "new/weights"]


def test_a_bug_keeps_its_traceback(call):
    for bug in (KeyError("a bug"), ValueError("a bug"), OSError("a bug")):

        def task(config, bug=bug):
            raise bug

        with pytest.raises(type(bug), match="a bug"):
            call(task=task)


def test_full_errors_show_a_traceback(call, monkeypatch, capfd):
    main = entry("config", check)(print)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=-1"])
    with pytest.raises(SystemExit):
        main()
    err = capfd.readouterr().err
    assert err.startswith("train.py: error: seed=-1: expected int >= 0 and < 9223372036854775808\nTraceback")
    assert "in check_all" in err


def test_an_interrupt_is_one_line(call):
    def task(config):
        raise KeyboardInterrupt

    assert call(task=task)[:3] == (130, "", "train.py: interrupted\n")


def test_a_run_gets_plain_values_and_a_folder_of_its_own(call, tmp_path):
    status, out, err, [config] = call("model.width=7", "seed=3")
    assert (status, out, err) == (0, "", "")
    assert (config["model"]["width"], config["seed"]) == (7, 3)
    assert {type(value) for value in config.values()} <= {dict, list, str, int, type(None)}
    assert re.fullmatch(r"outputs/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{8}", config["run_dir"])
    assert files(tmp_path) == ["outputs", config["run_dir"]]
    assert "hydra" not in config
    _, _, _, [again] = call()
    assert again["run_dir"] != config["run_dir"]


def test_run_dir_can_be_given(call, tmp_path):
    for _ in range(2):
        _, _, _, [config] = call("run_dir=a/b")
        assert config["run_dir"] == "a/b"
    assert files(tmp_path) == ["a", "a/b"]


@pytest.mark.parametrize("given", [[], ["run_dir=mine"]], ids=["stamped", "given"])
def test_each_run_of_a_sweep_has_its_folder(call, tmp_path, given):
    status, out, err, ran = call("-m", "seed=0,1", "model.width=4,8", *given)
    assert (status, err) == (0, "")
    assert out.splitlines() == [f"#{k} seed={k // 2} model.width={(4, 8)[k % 2]}" for k in range(4)]
    assert [(c["seed"], c["model"]["width"]) for c in ran] == [(0, 4), (0, 8), (1, 4), (1, 8)]
    [sweep] = {str(Path(c["run_dir"]).parent) for c in ran}
    assert [c["run_dir"] for c in ran] == [f"{sweep}/{k}" for k in range(4)]
    assert sweep == "mine" if given else sweep.startswith("outputs/")
    assert {path.name for path in (tmp_path / sweep).iterdir()} == {"0", "1", "2", "3", "multirun.yaml"}
    assert {path.name for path in (tmp_path / sweep).glob("?/*")} == {"overrides.yaml"}


def test_two_processes_in_one_second_have_two_folders(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from flows.cli import entry\n"
        "entry('config')(lambda config: print(config['run_dir']))()\n"
    )
    both = [subprocess.Popen([sys.executable, script], cwd=tmp_path, stdout=-1, text=True) for _ in range(2)]
    folders = {process.communicate()[0].strip() for process in both}
    assert len(folders) == 2
    assert {f"outputs/{path.name}" for path in (tmp_path / "outputs").iterdir()} == folders


def test_a_reader_that_leaves_early_gets_no_complaint(tmp_path):
    command = [sys.executable, ROOT / "train.py", "--help"]
    program = subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, text=True)
    program.stdout.close()
    assert program.stderr.read() == ""
    assert program.wait() == 141
    program.stderr.close()


def test_stamps_differ_within_a_second():
    assert len({stamp() for _ in range(1000)}) == 1000


def test_the_whole_truth_is_what_runs(call):
    _, out, err, ran = call("--cfg", "job", "--resolve", "model.width=7", "run_dir=here")
    assert (err, ran) == ("", [])
    assert "${" not in out
    _, _, _, [config] = call("model.width=7", "run_dir=here")
    assert yaml.safe_load(out) == config


def test_help_shows_groups_options_and_examples(call, tmp_path):
    status, out, err, ran = call("--help")
    assert (status, err, ran, files(tmp_path)) == (0, "", [], [])
    for group in ("dataset", "model", "trainer", "runtime", "logger"):
        options = ", ".join(sorted(file.stem for file in (CONF / group).glob("*.yaml")))
        assert f"{group}: {options}\n" in out
    assert out.count("\n  python train.py") >= 6
    assert "Powered by" not in out
    assert "$" not in out.replace('"$(python', "").replace("${stamp:}", "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python train.py mod", "model. model="),
        ("python train.py model=r", "model=realnvp"),
        ("python train.py model.wid", "model.width="),
        ("python train.py dataset=rings dataset.ri", "dataset.rings="),
        ("python train.py modle=x model.wid", ""),
        ("python train.py model=[ model.wid", ""),
    ],
)
def test_tab_completes_and_never_complains(call, monkeypatch, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    _, out, err, _ = call("-sc", "query=bash")
    assert (out.strip(), err) == (expected, "")


@pytest.mark.parametrize("program", ["train", "evaluate"])
def test_help_and_completion_import_nothing_heavy(program, tmp_path):
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / f'{program}.py')!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('loaded:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    for arguments in (["--help"], ["-sc", "query=bash"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env={"COMP_LINE": f"python {program}.py "},
            capture_output=True,
            text=True,
        )
        assert done.stdout.endswith("loaded: []\n"), done.stdout + done.stderr
        assert len(done.stdout) > 100


# --- a user's own folder of options, and own package


@pytest.fixture
def own(tmp_path, monkeypatch):
    house = tmp_path / "own"
    (house / "model").mkdir(parents=True)
    (house / "experiment").mkdir()
    (house / "own_package").mkdir()
    (house / "own_package" / "nets.py").write_text(
        "from flows.core import Flow, Spec\n"
        "from flows.models.realnvp import realnvp\n"
        "def net(spec: Spec, width: int) -> Flow:\n"
        "    return realnvp(spec, width=width)\n"
    )
    monkeypatch.syspath_prepend(house)
    (house / "model" / "wide.yaml").write_text("_target_: flows.models.realnvp.realnvp\nwidth: 96\n")
    (house / "model" / "own.yaml").write_text("_target_: own_package.nets.net\nwidth: 5\n")
    (house / "model" / "open.yaml").write_text("_target_: own_package.nets.net\nwidth: ???\n")
    (house / "model" / "torn.yaml").write_text("a: b: c\n")
    yield house
    for name in [name for name in sys.modules if name.startswith("own_package")]:
        del sys.modules[name]


def test_a_users_own_options(call, own):
    _, _, _, [config] = call("--config-dir", str(own), "model=wide", "model.width=97")
    assert config["model"] == {"_target_": "flows.models.realnvp.realnvp", "width": 97}
    status, _, err, _ = call("--config-dir", str(own), "model=wdie")
    assert (status, "did you mean model=wide?" in err) == (2, True)
    assert all(option in err for option in ("own", "realnvp", "wide"))


def test_a_users_unreadable_file_is_named(call, own):
    status, _, err, _ = call("--config-dir", str(own), "model=torn")
    assert status == 2
    assert err.count("\n") == 1
    assert "torn.yaml" in err
    assert "line 1" in err


def test_a_users_own_package_is_trusted_on_the_command_line(call, own):
    arguments = ["--config-dir", str(own), "model=own"]
    status, _, err, _ = call(*arguments)
    assert status == 2
    assert "not allowed" in err
    assert "trusted_packages=[NAME]" in err
    assert "own_package" not in sys.modules
    status, _, err, [config] = call(*arguments, "trusted_packages=[own_package]")
    assert (status, err) == (0, "")
    assert config["trusted_packages"] == ["own_package"]
    _, _, err, _ = call("--config-dir", str(own), "model=open", "trusted_packages=[own_package]")
    assert err == "train.py: error: model.width: missing value; give model.width=VALUE (int)\n"


@pytest.mark.parametrize(
    "text",
    [
        "trusted_packages: [own_package]",
        "trusted_packages: ${own}\nown: [own_package]",
        "hydra:\n  sweeper:\n    params:\n      trusted_packages: '[own_package]'",
    ],
)
def test_no_file_may_trust_a_package(call, own, text):
    (own / "experiment" / "sly.yaml").write_text(f"# @package _global_\n{text}\n")
    arguments = ("-m", "--config-dir", str(own), "experiment=sly", "model=own", "seed=0,1")
    status, _, err, ran = call(*arguments)
    assert (status, ran) == (2, [])
    assert "only the command line may trust a package" in err
    status, _, _, ran = call(*arguments, "trusted_packages=[another]")
    assert (status, ran) == (2, [])
    assert "own_package" not in sys.modules


@pytest.mark.parametrize("value", ["own_package", "[${model.name}]", "['a b']", "[1]", "null", "a,b"])
def test_trusted_packages_are_names(call, value):
    status, _, err, ran = call("-m", f"trusted_packages={value}")
    assert (status, ran) == (2, [])
    assert "trusted_packages: expected a list of package names, as in trusted_packages=[mypackage]" in err
