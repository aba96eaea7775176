"""What is said of a command line or a config file that the parser refuses: full keys, plainly."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from vfer.config.keys import alternatives, key_types

_PLAIN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    type(None): "null",
}


def legal(hint: Any) -> str:  # noqa: ANN401 - a type hint
    """Say what values a type hint allows."""
    said = []
    for one in alternatives(hint):
        if get_origin(one) is Literal:
            values = dict.fromkeys(str(v) for v in get_args(one))
            said.append(f"one of {', '.join(values)}" if len(values) > 1 else min(values))
        elif get_origin(one) is list:
            said.append(f"a list, each {legal(get_args(one)[0])}")
        else:
            said.append(_PLAIN.get(one, "keys below it"))
    return ", or ".join(said)


def _unknown(key: str, known: Iterable[str], dashes: str = "") -> str:
    """Say that there is no such key, and which may be meant."""
    names = [*known]
    last = key.rpartition(".")[2]
    near = [name for name in names if name.rpartition(".")[2] == last and name != last]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.75) or near[:3]
    meant = f"did you mean {' or '.join(dashes + name for name in near)}? " if near else ""
    what = "option" if dashes else "key of the config"
    return f"{dashes}{key} is no {what}; {meant}--help=all lists all of them"


def refusal(message: str, options: Iterable[str]) -> str:
    """Put what jsonargparse says into one line that names the full key.

    Args:
        message: Of jsonargparse's error.
        options: The options that are no keys of the config, without dashes.
    """
    types = key_types()
    said = re.sub(r"\bfrom_\b", "from", " ".join(message.split()))
    if said.endswith("required: data.corpus"):
        return "no corpus is named: give --config FILE, such as configs/demo.yaml"
    if given := re.match("unrecognized arguments: (.*)", said):
        words = [word.partition("=")[0] for word in given[1].split(" ")]
        for word in words:
            if word.startswith("--"):
                return _unknown(word[2:], [*types, *options], "--")
        return f"{words[0]!r} is no option; options begin with --, such as --config FILE"
    if given := re.search("Group '(.*)' does not accept option '(.*?)'", said):
        return _unknown(f"{given[1]}.{given[2]}", types)
    if given := re.search("Option '(.*?)' is not accepted", said):
        return _unknown(given[1], types)
    if given := re.search('Parser key "([^"]*)": .*(?:Got|Given) value: (.*)', said):
        key, value = given.groups()
        if below := re.fullmatch(r"NestedArg\(key='(.*)', val=(.*)\)", value):
            key, value = f"{key}.{below[1]}", below[2]
        if key in types:
            return f"{key} is {value}; it must be {legal(types[key])}"
    return re.sub('Parser key "([^"]*)": ', r"\1: ", said)
