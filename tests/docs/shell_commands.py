"""Running a command of a page, and saying what became of it."""
import collections
import re
import shlex
import subprocess

# ran; nothing here (the program understood, and this machine has nothing for it); not installed; failed.
Outcome = collections.namedtuple("Outcome", "kind detail")

UNIT = "vedette-docs-test"  # Neither a unit nor a container anywhere.
NO_SYSTEMD = r"not been booted|Failed to connect to bus|not (be )?found|not loaded|does not exist|Failed to get"
# What a program says when it has understood, and there is nothing here for it.
NOTHING_HERE = {
    "cat": r"No such file",  # /proc/mdstat, /proc/pressure/io
    "chown": r"invalid user",
    "chronyc": r"Cannot talk to daemon",
    "conntrack": r"not permitted|[Nn]ot supported|Operation failed|No such file",
    "dmesg": r"not permitted|Permission denied",
    "docker": r"[Cc]annot connect to the Docker daemon|failed to connect to the docker API|No such (container|object)",
    "ethtool": r"not supported|no stats available|No such device|not permitted",
    "id": r"no such user",
    "ionice": r"not permitted",
    "journalctl": r"No journal files|No entries|no persistent|Specifying boot ID|" + NO_SYSTEMD,
    "last": r"No such file",
    "ls": r"No such file",  # /run/docker.sock
    "mdadm": r"No such file|cannot open|error opening",
    "mtr": r"not permitted|Failure to|Permission denied",
    "ping": r"not permitted|missing cap|Network is unreachable",
    "smartctl": r"Unable to detect device type|open device: .* failed|Permission denied|lacks SMART",
    "sysctl": r"No such file|[Pp]ermission denied|Read-only file system",
    "systemctl": NO_SYSTEMD,
    "timedatectl": NO_SYSTEMD,
}
# Ends that are no failure: a search that finds nothing; a process or file that went away while being looked at.
GOOD_ENDS = {"grep": {1, 2}, "lsof": {1}, "find": {1}, "du": {1}}
SIGPIPE = 141  # head has seen enough.
MISUNDERSTOOD = re.compile(r"(?im)unrecognized option|(unknown|invalid|illegal|bad) (short )?(option|flag|command|operation|verb|"
                           r"argument)|unknown shorthand|not a docker command|^usage:|syntax error|command not found")


def programs(command):
    """The first word of every part of a shell command line."""
    words = shlex.shlex(command, posix=True, punctuation_chars="|;&<>")
    words.whitespace_split = True
    first, out = True, []
    for word in words:
        if set(word) <= set("|;&"):
            first = True
        elif first:
            out.append(word)
            first = word in ("do", "then")
    return out


def leave_the_machine_alone(command):
    """What would change units aims at one that is not there."""
    return re.sub(r"systemctl (enable --now|start|stop|restart|reload|reset-failed) .*", rf"systemctl \1 {UNIT}", command)


def run(command, cwd, env, timeout=120):
    names = programs(command)
    for name in names:
        if subprocess.run(["bash", "-c", 'type -t -- "$0"', name], env=env, capture_output=True, check=False).returncode != 0:
            return Outcome("not installed", name)
    try:
        done = subprocess.run(["bash", "-c", "set -o pipefail; " + command], cwd=cwd, env=env, timeout=timeout, capture_output=True,
                              text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return Outcome("failed", f"not within {timeout} s")
    said = (done.stdout + done.stderr).strip()
    if names[0] == "vedettectl" and " doctor --url" in command:  # It is there to find what is wrong.
        return Outcome("ran" if re.search(r"\d+ checks, \d+ failed", said) else "failed", said)
    if MISUNDERSTOOD.search(done.stderr):
        return Outcome("failed", said[-600:])
    if done.returncode in (0, SIGPIPE) or any(done.returncode in GOOD_ENDS.get(n, ()) for n in names):
        return Outcome("ran", said)
    for name in names:
        if re.search(NOTHING_HERE.get(name, r"(?!)"), said):
            return Outcome("nothing here", f"{name}: {said.splitlines()[-1][:100]}")
    return Outcome("failed", f"ends with {done.returncode}: {said[-600:]}")


def report(outcomes):
    """Prints what became of {command: Outcome}, the names of what was not run included."""
    by_kind = collections.Counter(o.kind for o in outcomes.values())
    print(f"{len(outcomes)} different commands: {by_kind['ran']} ran")
    for kind, meaning in (("nothing here", "understood by the program, which has nothing to look at here"),
                          ("not installed", "NOT RUN, the program is not installed")):
        print(f"{by_kind[kind]} {meaning}")
        for command, outcome in outcomes.items():
            if outcome.kind == kind:
                print(f"  {command}   [{outcome.detail}]")
    return by_kind
