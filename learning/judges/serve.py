"""`python -m learning serve-judge`: a judge on this machine that speaks the chat protocol."""

from __future__ import annotations

import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import FrameType

from learning.encoders import load_encoder
from learning.judges.causal import load
from learning.judges.scorer import Scorer
from learning.judges.served import Answerer, DemoAnswerer, ModelAnswerer, serving


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="a Hugging Face language model with safetensors; without one an open scorer answers",
    )
    parser.add_argument("--encoder", default="default", help="of the scorer")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for the model")


def run(options: Namespace) -> int:
    """Serve until interrupted or terminated; the address and the model go to standard output."""
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    before = {one: signal.signal(one, ask_to_stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serving(answerer(options), options.port) as server:
            sys.stdout.write(f"{server.url} {server.answerer.name}\n")
            sys.stdout.flush()
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def answerer(options: Namespace) -> Answerer:
    """Load what was asked for."""
    if options.model is not None:
        return ModelAnswerer(load(options.model, threads=options.threads))
    return DemoAnswerer(Scorer(load_encoder(options.encoder, threads=options.threads)))
