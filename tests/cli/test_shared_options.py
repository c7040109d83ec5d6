"""Options that several commands share read and behave the same in all of them."""

import importlib
import inspect
from dataclasses import dataclass

import click
import pytest

from lumbar.cli import options
from lumbar.cli.main import VERBS
from lumbar.cli.options import grouped

COMMANDS = {name: getattr(importlib.import_module(where.split(":")[0]), where.split(":")[1]) for name, (where, _) in VERBS.items()}
MOST_PARAMETERS = 8


def declared(decorator) -> click.Option:
    """The option that a decorator of `cli/options.py` declares."""
    return decorator(lambda: None).__click_params__[0]


SHARED = {"--json": "json_option", "--overwrite": "overwrite_option", "--quiet": "quiet_option", "--models": "models_option", "--threads": "threads_option"}


def options_of(name: str) -> dict[str, click.Option]:
    return {flag: option for option in COMMANDS[name].params if isinstance(option, click.Option) for flag in option.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_are_declared_once(name):
    for flag, shared in SHARED.items():
        option = options_of(name).get(flag)
        if option is None or (name, flag) == ("batch", "--threads"):  # its default depends on the number of workers
            continue
        training = flag == "--threads" and name.startswith("train ")
        expected = declared(options.training_threads_option if training else getattr(options, shared))
        assert (option.name, option.opts, option.help, option.is_flag) == (expected.name, expected.opts, expected.help, expected.is_flag)
        assert type(option.type) is type(expected.type)


@pytest.mark.parametrize("name", COMMANDS)
def test_results_go_to_output_and_replace_nothing_unasked(name):
    own = options_of(name)
    assert ("-o" in own) == ("--output" in own)
    assert "--out" not in own
    if "-o" in own:
        assert (own["-o"].name, own["-o"].secondary_opts) == ("out", [])
        assert "--overwrite" in own or name in {"batch", "prepare rsna2024"}  # which resume what is there


@pytest.mark.parametrize("name", [name for name in COMMANDS if {"-o", "--models"} <= set(options_of(name)) and name != "prepare rsna2024"])  # runs processes
def test_commands_that_run_networks_take_a_number_of_threads(name):
    assert "--threads" in options_of(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_line_of_help(name):
    assert not [option.opts for option in COMMANDS[name].params if isinstance(option, click.Option) and not option.help]


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_take_few_parameters_and_no_untyped_ones(name):
    parameters = inspect.signature(COMMANDS[name].callback).parameters.values()
    assert len(parameters) <= MOST_PARAMETERS
    # the options of serve are laid over the tables of its settings file
    assert name == "serve" or not [one for one in parameters if one.kind is inspect.Parameter.VAR_KEYWORD]


@dataclass(frozen=True)
class Pair:
    """Two options, one with a default that no option of the command fills."""

    first: int
    second: str = "kept"


def test_grouped_options_arrive_as_one_parameter():
    @grouped("pair", Pair)
    def command(other: int, pair: Pair) -> tuple[int, Pair]:
        return other, pair

    assert command(other=1, first=2) == (1, Pair(2, "kept"))
    with pytest.raises(TypeError):
        command(other=1, third=3)
