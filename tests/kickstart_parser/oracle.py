"""Judges kickstarts as `ksvalidator -v RHEL7` does, many in one process.

Writes one line of JSON, the grammar; reads one line of JSON, a list of texts; writes one line of JSON, a list of lists of messages.
A text without messages is accepted.
"""

import copy
import io
import json
import sys
import tempfile
import warnings

from pykickstart.errors import KickstartError, KickstartParseWarning
from pykickstart.parser import KickstartParser, preprocessKickstart
from pykickstart.version import makeVersion


def option(action):
    """One option of an argparse parser, as far as a generator needs it."""
    kind = "flag" if action.nargs == 0 else getattr(action.type, "__name__", "str")
    return {
        "names": action.option_strings,
        "kind": "choice" if action.choices else kind,
        "choices": list(action.choices or []),
        "required": action.required,
    }


def options(parser):
    return [option(action) for action in parser._actions if action.option_strings]


def grammar():
    handler = makeVersion("RHEL7")
    parser = KickstartParser(handler)
    commands = {name: options(command._getParser()) for name, command in handler.commands.items()}
    sections = {name: options(section._getParser()) for name, section in parser._sections.items() if hasattr(section, "_getParser")}
    return {"commands": commands, "sections": sections}


class Handler:
    """One handler for many texts, since making one takes 25 ms: what a text changed is put back."""

    def __init__(self):
        self.handler = makeVersion("RHEL7")
        self.commands = {id(command): command for command in self.handler.commands.values()}.values()
        self.states = [self.state(command) for command in self.commands]
        self.own = {name: copy.deepcopy(getattr(self.handler, name)) for name in ("packages", "scripts", "certificates", "_null_section_strings")}

    @staticmethod
    def state(command):
        return {name: copy.deepcopy(value) for name, value in command.__dict__.items() if name not in ("op", "handler")}

    def fresh(self):
        for command, state in zip(self.commands, self.states):
            if command.seen:
                kept = {name: command.__dict__[name] for name in ("op", "handler") if name in command.__dict__}
                command.__dict__.clear()
                command.__dict__.update(kept, **copy.deepcopy(state))
        for name, value in self.own.items():
            setattr(self.handler, name, copy.deepcopy(value))
        return self.handler


def judge(text, path, handler):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    parser = KickstartParser(handler, followIncludes=False, errorsAreFatal=False)
    said, real = io.StringIO(), sys.stderr
    sys.stderr = said
    messages = []
    try:
        processed = preprocessKickstart(path)
        if processed is None:
            raise RuntimeError("Empty file")
        parser.readKickstart(processed)
    except KickstartError as error:
        messages.append(str(error))
    except Exception as error:
        messages.append("General error in input file: %s" % error)
    finally:
        sys.stderr = real
    spoken = [line for line in said.getvalue().split("\n") if line]
    if parser.errorsCount:
        messages = (spoken or ["an error without a message"]) + messages
    return messages


def main():
    # ksvalidator makes these errors; Python shows each other warning, which is not one, on standard error.
    warnings.filterwarnings(action="ignore")
    warnings.filterwarnings(action="error", category=KickstartParseWarning)
    print(json.dumps(grammar()), flush=True)
    texts = json.loads(sys.stdin.readline())
    kept = Handler()
    verdicts = []
    with tempfile.TemporaryDirectory() as directory:
        tempfile.tempdir = directory
        path = directory + "/ks.cfg"
        for number, text in enumerate(texts):
            verdicts.append(judge(text, path, kept.fresh()))
            # That the kept handler is as good as a new one.
            if number % 40 == 0 and judge(text, path, makeVersion("RHEL7")) != verdicts[-1]:
                raise RuntimeError("a used handler judges otherwise: %r" % text)
    print(json.dumps(verdicts), flush=True)


main()
