"""Recorded /proc and /sys trees shown by the agent and by Debian's node_exporter 1.5.0: whatever the one gives, the other gives,
with the same types, labels and values. Then the same trees damaged: files that are missing, empty, cut short or hold
nonsense. A machine that looks different from ours is found here rather than on somebody's dashboard.

  bazel test --test_env=VEDETTE_SEED=7 --test_env=VEDETTE_DAMAGES=2000 ... damages more; a failure names the file and what was
  done to it."""
import math
import os
import random
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

SEED = int(os.environ.get("VEDETTE_SEED", "1"))
DAMAGES = int(os.environ.get("VEDETTE_DAMAGES", "300"))
TESTDATA = os.path.join(s.ROOT, "agent/host/testdata")
REFERENCE = "prometheus-node-exporter"

# What reads no tree but the machine it runs on.
LIVE = {"ethtool", "filesystem", "logind", "netdev", "network_route", "qdisc", "systemd", "tcpstat", "time", "timex", "uname",
        "wifi"}
WITHOUT_AGENT = {"ntp", "perf", "runit", "supervisord"}
# What either says of itself.
OWN = ("go_", "process_", "promhttp_", "node_exporter_", "node_scrape_collector_", "scrape_", "vedette_")
FLAGS = ["--collector.bcache.priorityStats", "--collector.cpu.info", "--collector.cpu.info.flags-include=^(aes|avx.?)$",
         "--collector.cpu.info.bugs-include=^(mds|spectre_.*)$", "--collector.stat.softirq", "--collector.netstat.fields=.*",
         "--collector.diskstats.device-exclude=^ram", "--collector.sysctl.include=kernel.threads-max",
         "--collector.sysctl.include=fs.file-nr:total,current,max",
         "--collector.sysctl.include-info=kernel.seccomp.actions_avail"]

# Where the agent means to differ from 1.5.0, and why. The patterns are of series, as NAME{label="value",...}.
MEANT = [
    (r"^node_textfile_mtime_seconds", "1.5.0 cuts the fraction of a second off"),
    (r"^node_selinux_", "1.5.0 looks at the machine itself, wherever its sysfs is said to be"),
    (r'^node_btrfs_allocation_ratio\{.*mode="raid1c[34]"', "1.5.0 does not know these layouts and shows 0"),
    (r'^node_disk_info\{.*device="nvme0n1"', "newer ones show SCSI_IDENT_SERIAL, which is printed on the disk"),
    (r'^node_md_(blocks_synced|state)\{device="(md14|md2)"', "1.5.0 does not know that arrays are reshaped"),
    (r'^node_zfs_zpool_state\{state="suspended"', "1.5.0 does not know of suspended pools"),
    (r'^node_zfs_zpool_dataset_.*zpool="(my pool-2|tank)"', "1.5.0 cuts the name of a dataset at its first blank"),
    (r'^node_hwmon_sensor_label\{.*sensor="freq', "1.5.0 does not show the labels of clocks"),
    (r"^node_softnet_", "1.5.0 counts lines where newer kernels name the CPU"),
    (r'^node_btrfs_.*uuid=""', "1.5.0 shows a file system whose uuid cannot be read, with uuid empty"),
    (r'^node_mountstats_.*protocol=""', "1.5.0 shows a mount without a transport, with protocol empty"),
    (r"^jobs_total", "1.5.0 keeps one file's samples of a family"),
    (r"^node_edac_csrow_", "1.5.0 gives up at a row that counts only one kind of errors"),
]

# Of a number that cannot be read 1.5.0 shows 0, or what it makes of its beginning; the agent shows nothing, or its beginning.
AS_NOTHING = re.compile(r"^missing: .* 0\.0$|^value: .*, reference 0\.0$")

# The file a path belongs to, to the collectors that read it; the first that matches.
READERS = [
    (r"^proc/stat$", ["stat"]),  # Not cpu: counters that step back are told apart from restarts by what was before.
    (r"^proc/cpuinfo$", []),
    (r"^proc/(loadavg|meminfo|vmstat|diskstats|interrupts|schedstat|buddyinfo|slabinfo|zoneinfo|cgroups|drbd)$", None),
    (r"^proc/mdstat$|^sys/block/md", ["mdadm"]),
    (r"^proc/pressure/", ["pressure"]),
    (r"^proc/self/mount", ["mountstats"]),
    (r"^proc/[0-9]+/(stat|task)|^proc/sys/kernel/(threads-max|pid_max)$", ["processes"]),
    (r"^proc/sys/kernel/random/", ["entropy"]),
    (r"^proc/sys/fs/file-nr$", ["filefd", "sysctl"]),
    (r"^proc/sys/kernel/seccomp", ["sysctl"]),
    (r"^proc/sys/net/netfilter/|^proc/net/stat/nf_conntrack$", ["conntrack"]),
    (r"^proc/net/stat/", ["lnstat"]),
    (r"^proc/net/arp$", ["arp"]),
    (r"^proc/net/(netstat|snmp6?)$", ["netstat"]),
    (r"^proc/net/sockstat", ["sockstat"]),
    (r"^proc/net/udp", ["udp_queues"]),
    (r"^proc/net/softnet_stat$", ["softnet"]),
    (r"^proc/net/ip_vs", ["ipvs"]),
    (r"^proc/net/rpc/nfs$", ["nfs"]),
    (r"^proc/net/rpc/nfsd$", ["nfsd"]),
    (r"^proc/spl/", ["zfs"]),
    (r"^run/udev/", ["diskstats"]),
    (r"^sys/devices/system/cpu/cpu\d+/cpufreq/", ["cpufreq"]),
    # 1.5.0 reads these once, or takes their first two letters for 0x whatever they are.
    (r"/cpu/isolated$|^sys/class/fc_host/.*/(port_id|port_name|node_name|fabric_name)$", []),
    (r"/device/uevent$|/bonding_masters$|^textfile/", []),  # What nonsense there means is anybody's guess.
    (r"/topology/", []),  # Where a CPU is does not change; the agent reads it once.
    (r"^sys/devices/system/cpu/cpu", ["cpu"]),
    (r"^sys/devices/system/node/", ["meminfo_numa"]),
    (r"^sys/devices/system/edac/", ["edac"]),
    (r"^sys/fs/selinux/", ["selinux"]),
    (r"^sys/kernel/mm/ksm/", ["ksmd"]),
    (r"^sys/class/dmi/", []),  # 1.5.0 reads it once.
    (r"^sys/class/net/[^/]+/(bonding|lower_|slave_)|bonding_masters", ["bonding"]),
    (r"^sys/class/net/", ["netclass"]),
    (r"^sys/class/thermal/", ["thermal_zone"]),
    (r"/hwmon", ["hwmon"]),
    (r"^sys/class/power_supply/", ["powersupplyclass"]),
    (r"^sys/class/powercap/", ["rapl"]),
    (r"^sys/class/drm/", ["drm"]),
    (r"^sys/block/dm-|^sys/block/sd", []),
    (r"^sys/class/nvme/", ["nvme"]),
    (r"^sys/class/scsi_tape/", ["tapestats"]),
    (r"^sys/class/fc_host/", ["fibrechannel"]),
    (r"^sys/class/infiniband/", ["infiniband"]),
    (r"^sys/fs/bcache/", ["bcache"]),
    (r"^sys/fs/btrfs/", ["btrfs"]),
    (r"^sys/fs/xfs/", ["xfs"]),
    (r"^etc/os-release$", ["os"]),
]


def readers(path):
    for pattern, names in READERS:
        if re.search(pattern, path):
            return [os.path.basename(path)] if names is None else names
    return []


def unpack(tree, root):
    """As tests/support/recorded_tree.cc does it. The paths of the files."""
    paths, out = [], None
    with open(os.path.join(TESTDATA, tree + ".tree"), encoding="utf-8") as f:
        for line in f:
            if not line.startswith(("== ", "-> ")):
                out.write(line)
                continue
            if out:
                out.close()
            path, _, target = line[3:].rstrip("\n").partition(" ") if line.startswith("-> ") else (line[3:].rstrip("\n"), "", "")
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if target:
                os.symlink(target, full)
                out = None
            else:
                out = open(full, "w", encoding="utf-8")
                paths.append(path)
    if out:
        out.close()
    for missing in ("proc/self", "sys", "run/udev", "textfile"):
        os.makedirs(os.path.join(root, missing), exist_ok=True)
    # node_exporter wants /proc/self to be what it is, a link to a process.
    os.rename(os.path.join(root, "proc/self"), os.path.join(root, "proc/99"))
    os.symlink("99", os.path.join(root, "proc/self"))
    return paths


def parse(text):
    """{family: (type, {series: value})}; a series is its name and labels in order, as text."""
    families, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            kinds[name] = kind
            families[name] = (kind, {})
        elif line and not line.startswith("#"):
            m = re.match(r'([a-zA-Z_:][\w:]*)(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})? (\S+)$', line)
            if not m:
                raise ValueError(f"not a sample: {line!r}")
            labels = sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            series = m[1] + ("{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}" if labels else "")
            family = m[1] if m[1] in kinds else re.sub(r"_(bucket|sum|count)$", "", m[1])
            families.setdefault(family, ("untyped", {}))[1][series] = float(m[3])
    return families


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-12 * max(abs(a), abs(b))


def succeeded(families):
    _, series = families.get("node_scrape_collector_success", ("", {}))
    return {re.search(r'collector="(.*)"', key)[1]: value for key, value in series.items()}


def differences(want, got):
    """What the reference shows and the agent does not, a line each."""
    out = []
    for name, (kind, series) in want.items():
        if name.startswith(OWN):
            continue
        got_kind, got_series = got.get(name, ("", {}))
        for key, value in series.items():
            if any(re.search(pattern, key) for pattern, _ in MEANT):
                continue
            if key not in got_series:
                out.append(f"missing: {key} {value}")
            elif not same(value, got_series[key]):
                out.append(f"value: {key} {got_series[key]}, reference {value}")
        if got_series and got_kind != kind:
            out.append(f"type: {name} {got_kind}, reference {kind}")
    return out


def added(want, got):
    """Series that the agent has in a family that the reference gives too."""
    return [f"added: {key} {value}" for name, (_, series) in got.items() if name in want and not name.startswith(OWN)
            for key, value in series.items() if key not in want[name][1] and not any(re.search(pattern, key) for pattern, _ in MEANT)]


def damages(text, r):
    """One way to damage a file: what it is called and the new text; None for a file that is gone."""
    lines = text.splitlines(keepends=True)
    numbers = list(re.finditer(r"-?\b\d+(\.\d+)?\b", text))
    kinds = ["gone", "empty", "blank", "nonsense"]
    if len(text) > 4:
        kinds.append("cut short")
    if len(lines) > 1:
        kinds += ["line gone", "line twice", "lines swapped", "blank line"]
    if numbers:
        kinds += ["number"] * 4
    kind = r.choice(kinds)
    if kind == "gone":
        return kind, None
    if kind == "empty":
        return kind, ""
    if kind == "blank":
        return kind, "\n"
    if kind == "nonsense":
        return kind, r.choice(("N/A\n", "not a number\n", "-\n", "\x00\x01\n", "a: b c\n"))
    if kind == "cut short":
        at = r.randrange(1, len(text))
        return f"cut short at {at}", text[:at]
    if kind == "number":
        m = r.choice(numbers)
        value = r.choice(("0", "7", "4294967296", "1099511627776", "x", ""))
        return f"{m[0]} at {m.start()} becomes {value!r}", text[:m.start()] + value + text[m.end():]
    at = r.randrange(len(lines) - 1)
    if kind == "line gone":
        lines.pop(at)
    elif kind == "line twice":
        lines.insert(at, lines[at])
    elif kind == "lines swapped":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    else:
        lines.insert(at, "\n")
    return f"{kind} ({at})", "".join(lines)


@unittest.skipUnless(shutil.which(REFERENCE), "Debian's prometheus-node-exporter is not installed")
class RecordedTrees(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("agent", "agent")
        told = subprocess.run([REFERENCE, "--help"], capture_output=True, text=True, check=False)
        names = set(re.findall(r"--collector\.([a-z_0-9]+)\s", told.stdout + told.stderr))
        self.collectors = sorted(names - LIVE - WITHOUT_AGENT)
        self.assertGreater(len(self.collectors), 45)

    def start(self, tree):
        """Unpacks a tree and starts both programs over it. The root, and the paths of its files."""
        st = self.stack
        root = st.path("root")
        paths = unpack(tree, root)
        flags = [f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", f"--path.rootfs={root}",
                 f"--path.udev.data={root}/run/udev", f"--collector.textfile.directory={root}/textfile", *FLAGS,
                 *[f"--collector.{c}" for c in self.collectors], *[f"--no-collector.{c}" for c in sorted(LIVE)]]
        self.reference_port = s.free_port()
        self.reference = st.run("node_exporter", [REFERENCE, *flags, *[f"--no-collector.{c}" for c in sorted(WITHOUT_AGENT)],
                                                  f"--web.listen-address=127.0.0.1:{self.reference_port}"])
        self.wait_for_reference()
        st.agent(*flags, "--no-collector.container")
        return root, paths

    def wait_for_reference(self):
        def answers():
            if not self.reference.alive():
                self.fail(f"node_exporter ended: {self.reference.text()[-2000:]}")
            return self.ask(self.reference_port, ["loadavg"])
        s.wait_until("node_exporter answers", answers)

    def ask_reference(self, collector):
        """None where the damage ends node_exporter, or makes it answer 500."""
        try:
            return self.ask(self.reference_port, [collector])
        except OSError:
            return None

    def ask(self, port, collectors=()):
        query = "&".join(f"collect[]={c}" for c in collectors)
        return parse(self.stack.get_text(f"http://127.0.0.1:{port}/metrics" + (f"?{query}" if query else "")))

    def both(self, collectors=()):
        return self.ask(self.reference_port, collectors), self.ask(self.stack.agent_http, collectors)

    def check_tree(self, tree):
        self.start(tree)
        want, got = self.both()
        wrong = differences(want, got) + added(want, got)
        of_want, of_got = succeeded(want), succeeded(got)
        for collector in self.collectors:
            if of_want.get(collector) == 1 and of_got.get(collector) != 1:
                wrong.append(f"{collector} succeeds in the reference and not here")
        self.assertEqual(wrong, [], "\n".join(wrong))
        # The comparison would be empty if neither showed anything.
        series = sum(len(samples) for name, (_, samples) in want.items() if name.startswith("node_"))
        print(f"{tree}: {series} series of {len(want)} families are the same", file=sys.stderr)
        self.assertGreater(series, 300)

    def test_full(self):
        self.check_tree("full")

    def test_hardware(self):
        self.check_tree("hardware")

    def test_odd(self):
        self.check_tree("odd")

    def test_damaged(self):
        r = random.Random(SEED)
        root, paths = self.start("full")
        paths = [path for path in paths if readers(path)]
        # Each kind of file as often as any other, however many of it there are.
        kinds = {}
        for path in paths:
            kinds.setdefault(re.sub(r"\d+", "#", path), []).append(path)
        wrong, failed, ended = [], 0, 0
        for _ in range(DAMAGES):
            path = r.choice(kinds[r.choice(sorted(kinds))])
            full = os.path.join(root, path)
            with open(full, encoding="utf-8") as f:
                text = f.read()
            how, damaged = damages(text, r)
            os.unlink(full)
            if damaged is not None:
                with open(full, "w", encoding="utf-8") as f:
                    f.write(damaged)
            for collector in readers(path):
                want, got = self.ask_reference(collector), self.ask(self.stack.agent_http, [collector])
                if want is None:
                    ended += 1
                    continue
                if succeeded(want).get(collector) != 1:
                    # It gave up half way; the agent may know more, but nothing else.
                    failed += 1
                    found = [line for line in differences(want, got) if line.startswith(("value", "type"))]
                else:
                    found = differences(want, got) + added(want, got)
                    if succeeded(got).get(collector) != 1:
                        found.append(f"{collector} fails here and not in the reference")
                wrong += [f"{path}: {how}: {line}" for line in found if not AS_NOTHING.search(line)]
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
            if not self.reference.alive():
                self.reference.start()
                self.wait_for_reference()
        print(f"{DAMAGES} damages, seed {SEED}: {failed} fail a collector of the reference, {ended} all of it; "
              f"{len(wrong)} differences", file=sys.stderr)
        self.assertEqual(wrong, [], "\n".join(wrong))


if __name__ == "__main__":
    xml_unittest.main()
