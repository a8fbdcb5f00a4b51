"""`python -m learning`: the library's commands. Each is loaded only when it is called."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from learning.errors import LearningError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 for success, 1 for runs that failed, 2 for what cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m learning", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    for name, (add, help_text) in _COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        if given[:1] == [name]:  # the others' options would load what they are made of
            add(command)
    options = parser.parse_args(given)
    try:
        return int(options.run(options))
    except LearningError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _replay(parser: argparse.ArgumentParser) -> None:
    from learning.replay import command

    command.add_arguments(parser)
    parser.set_defaults(run=command.run)


def _encoder_card(parser: argparse.ArgumentParser) -> None:
    from learning.card import command

    command.add_arguments(parser)
    parser.set_defaults(run=command.run)


def _judge_report(parser: argparse.ArgumentParser) -> None:
    from learning.judges import report

    report.add_arguments(parser)
    parser.set_defaults(run=report.run)


def _serve_judge(parser: argparse.ArgumentParser) -> None:
    from learning.judges import serve

    serve.add_arguments(parser)
    parser.set_defaults(run=serve.run)


def _route(parser: argparse.ArgumentParser) -> None:
    from learning.routing.replay import command

    command.add_arguments(parser)
    parser.set_defaults(run=command.run)


def _finetune(parser: argparse.ArgumentParser) -> None:
    from learning.finetune import compare

    compare.add_arguments(parser)
    parser.set_defaults(run=compare.run)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    from learning.finetune import evaluate

    evaluate.add_arguments(parser)
    parser.set_defaults(run=evaluate.run)


def _score(parser: argparse.ArgumentParser) -> None:
    from learning.finetune import score

    score.add_arguments(parser)
    parser.set_defaults(run=score.run)


def _language_features(parser: argparse.ArgumentParser) -> None:
    from learning.finetune import language_command

    language_command.add_arguments(parser)
    parser.set_defaults(run=language_command.run)


def _catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it here")
    parser.set_defaults(run=_print_catalogue)


def _print_catalogue(options: argparse.Namespace) -> int:
    from learning.catalogue import catalogue

    text = json.dumps(catalogue(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")
    return 0


_COMMANDS = {
    "replay": (_replay, "label annotated files again, as if now, with several functions"),
    "encoder-card": (_encoder_card, "say what an encoder can learn from the answers of a file"),
    "judge-report": (_judge_report, "say how judges of a file agree with people, and how they err"),
    "serve-judge": (_serve_judge, "serve a judge on this machine that speaks the chat protocol"),
    "route": (_route, "let people and a judge answer files again, within budgets"),
    "finetune": (_finetune, "say whether training the encoder pays, and from how many labels"),
    "evaluate": (_evaluate, "say how good a reward model is on annotated files"),
    "score": (_score, "write the reward of every response of a file"),
    "language-features": (_language_features, "write how likely a language model finds responses"),
    "catalogue": (_catalogue, "print acquisition functions and heads with their options"),
}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)  # as shells say it of SIGINT
