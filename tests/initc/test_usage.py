"""Arguments, plans and help."""

import json
import re

import pytest
from hubseed import MODEL

COMMANDS = ("fetch", "verify", "show")


def test_help_has_the_commands_and_every_exit_code(initc):
    out = initc.run("--help").must().out
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", out, re.M)
    assert re.findall(r"^ +(\d+)  ", out, re.M) == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130", "143"]
    assert "hf://" in out and "https://" in out and "pvc://" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_is_in_its_help_and_no_other_is_taken(initc, command, volume):
    text = initc.run(command, "--help").must().out
    flags = re.findall(r"^  (--[a-z-]+)( [A-Z]+)?", text, re.M)
    everything = {f for c in COMMANDS for f, _ in re.findall(r"^  (--[a-z-]+)( [A-Z]+)?", initc.run(c, "--help").must().out, re.M)}
    assert ("--help", "") in flags
    for flag in everything - {f for f, _ in flags}:
        assert "unknown flag" in initc.run(command, flag, "x").must(2).err
    for flag, value in flags:
        if value:
            assert f"{flag} needs a value:{value and ' ' + flag}{value}" in initc.run(command, flag).must(2).err
        elif flag != "--help":
            assert f"{flag} takes no value" in initc.run(command, f"{flag}=1").must(2).err


def test_the_version_is_one_line(initc):
    assert re.fullmatch(r"modelberth-initc \d+\.\d+\.\d+\n", initc.run("--version").must().out)


@pytest.mark.parametrize(("args", "message"), [
    ([], "usage:"), (["fetsh"], "unknown command 'fetsh'"), (["fetch", "--verfiy", "quick"], "did you mean '--verify'"),
    (["fetch", "--zzzzzzzzzzzz"], "--help lists all"), (["fetch", "hf://a/b"], "needs --to DIR"), (["fetch", "--to", "/x"], "--to needs a SOURCE"),
    (["fetch", "hf://a/b", "--to", "x", "--connections", "0"], "'0' is not a number from 1 to 64"),
    (["fetch", "hf://a/b", "--to", "x", "--range-size", "1Q"], "not a size"), (["fetch", "hf://a/b", "--to", "x", "--timeout", "soon"], "not a duration"),
    (["fetch", "hf://a/b", "--to", "x", "--timeout", "9000h"], "longer than 7 days"), (["fetch", "hf://a/b", "c", "--to", "x"], "unexpected argument 'c'"),
    (["fetch", "hf://a/b", "--to", "x", "--verify", "maybe"], "not one of auto"), (["fetch", "ftp://a/b", "--to", "x"], "scheme 'ftp' is not supported"),
    (["fetch", "hf://a", "--to", "x"], "hf://org/name"), (["fetch", "hf://a/b", "--to", "/"], "other than '/'"),
    (["fetch", "hf://a/b", "--to", "../../x/../.."], ""), (["fetch", "hf://a/b", "--to", "x", "--credentials", "/nowhere"], "no directory '/nowhere'"),
    (["verify"], "a directory expected"), (["verify", "x", "--mode", "off"], "verifies nothing"), (["show", "--json"], "a directory expected"),
])
def test_wrong_usage_is_exit_2_with_a_hint(initc, args, message, tmp_path):
    done = initc.run(*args, cwd=tmp_path).must(2)
    assert message in done.err


def test_a_bad_variable_is_told_by_its_name(initc, volume):
    done = initc.fetch(f"hf://{MODEL}", volume / "m", env={"MODELBERTH_STALL_TIMEOUT": "x"}).must(2)
    assert "MODELBERTH_STALL_TIMEOUT" in done.err


@pytest.mark.parametrize(("plan", "message"), [
    ("", "no plan"), ("{", "not JSON"), ('{"v":2,"models":[]}', "plan.v is 2"), ('{"v":1}', ""),
    ('{"v":1,"crit":["mirrors"],"models":[{"root":"/x","path":"y"}]}', "does not know 'mirrors'"),
    ('{"v":1,"models":[{"root":"relative","path":"y"}]}', "must be absolute"),
    ('{"v":1,"models":[{"root":"/x","path":"../y"}]}', "'..' segment"),
    ('{"v":1,"models":[{"root":"/x","path":"y","source":"gopher://z"}]}', "'gopher' is not supported"),
    ('{"v":1,"models":[{"root":"/x","path":"y","verify":"maybe"}]}', "'maybe' is not one of"),
    ('{"v":1,"models":[{"root":"/x","path":"y","version":"v1"}]}', "a version needs a source"),
    ('{"v":1,"models":' + "[" * 5000, ""),
])
def test_a_bad_plan_is_exit_2_with_a_termination_message(initc, plan, message, tmp_path):
    log = tmp_path / "log"
    log.touch()
    done = initc.run("fetch", env={"MODELBERTH_PLAN": plan, "MODELBERTH_TERMINATION_LOG": str(log)}).must(2)
    assert message in done.error
    assert message in log.read_text() and "exit code 2" in log.read_text()


def test_fields_that_an_older_program_may_ignore_are_ignored(initc, hub, volume):
    model = {"root": str(volume), "path": "m", "source": f"hf://{MODEL}@v1", "colour": "green"}
    text = json.dumps({"v": 1, "crit": ["include"], "later": True, "models": [model]})
    initc.run("fetch", env={"MODELBERTH_PLAN": text}).must()


def test_paths_are_taken_as_people_write_them(initc, hub, volume):
    initc.run("fetch", f"hf://{MODEL}@v1", "--to", "a//b/model/", cwd=volume).must()
    initc.run("verify", "a/b/model", cwd=volume).must()
    initc.run("verify", ".", cwd=volume / "a/b/model").must()
    initc.run("fetch", f"hf://{MODEL}@v1", "--to=./a/b/model", cwd=volume).must()
