import os
import subprocess

import psutil

from bloomdiff.experiments.processes import is_alive, pipeline_owner, this_process


def test_this_process_lives():
    assert is_alive(this_process())
    assert int(this_process().split(":")[1]) == os.getpid()


def test_a_reused_pid_is_another_process():
    host, pid, started = this_process().rsplit(":", 2)
    assert not is_alive(f"{host}:{pid}:{float(started) - 60:.2f}")


def test_an_ended_process_is_dead_even_unreaped():
    process = subprocess.Popen(["true"])
    created = psutil.Process(process.pid).create_time()
    name = f"{this_process().rsplit(':', 2)[0]}:{process.pid}:{created:.2f}"
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and left a zombie
    assert not is_alive(name)
    process.wait()
    assert not is_alive(name)


def test_other_hosts_cannot_be_judged():
    assert is_alive("elsewhere:1:0.00")
    assert not is_alive("elsewhere:1:0.00", elsewhere=False)


def test_without_dvc_a_process_owns_itself(monkeypatch):
    monkeypatch.setattr(psutil.Process, "parents", lambda self: [])
    assert pipeline_owner() == this_process()


def test_the_nearest_dvc_owns_the_execution(monkeypatch):
    class Ancestor:
        def __init__(self, pid, command):
            self.pid, self._command = pid, command

        def cmdline(self):
            if self._command is None:
                raise psutil.AccessDenied
            return self._command

    ancestors = [
        Ancestor(1, ["/bin/sh", "-c", "bloomdiff stage embed"]),
        Ancestor(2, None),
        Ancestor(os.getpid(), ["python", "/env/bin/dvc", "repro"]),
        Ancestor(3, ["dvc", "exp", "run"]),
    ]
    monkeypatch.setattr(psutil.Process, "parents", lambda self: ancestors)
    assert pipeline_owner() == this_process()
