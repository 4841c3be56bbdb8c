"""Processes that start in no time, to be killed or to train side by side: forked from one that has imported the trainers."""

import io
import multiprocessing
import os
import signal
import socket
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["spct.cli.train.all", "spct.train.sft.run", "spct.train.rl.run", "spct.train.meta.run"])


def spct(said: Path, *arguments, env=None, dies_at=None):
    """``spct`` with these arguments, started; what it says goes to the file ``said``.

    With ``dies_at`` it is killed (SIGKILL) just before it says these words.
    """
    process = CONTEXT.Process(target=_main, args=(str(said), [str(part) for part in arguments], env or {}, dies_at))
    process.start()
    return process


def together(folder: Path, *arguments, count=2) -> list[str]:
    """``spct`` with these arguments in ``count`` processes of one launch, as torchrun starts them; what each said."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    said = [folder / f"rank-{rank}.txt" for rank in range(count)]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    processes = [spct(file, *arguments, env=shared | own) for file, own in zip(said, ranks, strict=True)]
    for process, file in zip(processes, said, strict=True):
        process.join(240)
        assert process.exitcode == 0, file.read_text()[-2000:]
    return [file.read_text() for file in said]


class _Dying(io.TextIOWrapper):
    words = ""

    def write(self, text: str) -> int:
        if self.words in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(text)


def _main(said: str, arguments: list[str], env: dict[str, str], dies_at: str | None) -> None:
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    if dies_at is not None:
        sys.stderr = _Dying(os.fdopen(2, "wb"), line_buffering=True)
        sys.stderr.words = dies_at
    os.environ.update(env)
    import torch

    from spct.cli import main

    torch.set_num_threads(1)
    sys.argv = ["spct", *arguments]
    main()
