"""A Slurm cluster of one node, with daemons of its own: Debian's packages slurm-wlm and munge have them."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
_CONFIG = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """What this machine lacks for it."""
    return [name for name in DAEMONS if shutil.which(name) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """Meanwhile there is one; its configuration, for SLURM_CONF."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    config = folder / "slurm.conf"
    config.write_text(
        _CONFIG.format(
            host=socket.gethostname(), ports=ports, user=getuser(), folder=folder, cores=os.cpu_count()
        )
    )
    munge = ["munged", "--force", f"--key-file={key}", f"--socket={folder}/munge"]
    munge += [f"--{kind}-file={folder}/munged.{kind}" for kind in ("log", "pid", "seed")]
    daemons = ([*munge, "--foreground"], ["slurmctld", "-D"], ["slurmd", "-D"])
    started: list[subprocess.Popen[bytes]] = []
    env = {**os.environ, "SLURM_CONF": str(config)}
    try:
        for command in daemons:
            with (folder / f"{command[0]}.out").open("wb") as out:
                started.append(subprocess.Popen(command, env=env, stdout=out, stderr=out))
        _wait(env, folder)
        yield config
    finally:
        for each in reversed(started):
            each.terminate()
            each.wait(30)


def _wait(env: dict[str, str], folder: Path) -> None:
    """Until its node takes jobs."""
    for _ in range(60):
        said = subprocess.run(["sinfo", "--noheader", "--format=%T"], env=env, capture_output=True, text=True)
        if said.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("*.out")))
    raise RuntimeError(f"no cluster: {said.stdout}{said.stderr}\n{logs}")
