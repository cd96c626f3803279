"""Text files, good and odd, beside Debian's node_exporter 1.5.0: each is shown by both with the same families, types, labels and
values, or refused by both."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

CASES = {
    "no_newline": b'a_metric 1',
    "no_newline2": b'# TYPE a_metric gauge\na_metric 1\na_metric{x="1"} 2',
    "crlf": b'a_metric 1\r\n',
    "interleaved": b'# TYPE a gauge\n# TYPE b gauge\na 1\nb 2\na{x="1"} 3\n',
    "interleaved2": b'# TYPE a gauge\na 1\n# TYPE b gauge\nb 2\n# TYPE c counter\nc 1\na{x="1"} 3\n',
    "type_after": b'a 1\n# TYPE a gauge\n',
    "type_twice": b'# TYPE a gauge\na 1\n# TYPE a gauge\na{x="1"} 1\n',
    "help_twice": b'# HELP a one\na 1\n# HELP a two\n',
    "help_only": b'# HELP a one\n',
    "type_only": b'# TYPE a gauge\n',
    "empty": b'',
    "blank": b'\n\n  \n',
    "comment_only": b'# just a comment\n',
    "timestamp": b'a 1 1000\n',
    "dup": b'a 1\na 2\n',
    "dup_labels": b'a{x="1"} 1\na{x="1"} 2\n',
    "dup_label_name": b'a{x="1",x="2"} 1\n',
    "unknown_type": b'# TYPE a foo\na 1\n',
    "nan": b'a NaN\nb +Inf\nc -Inf\nd nan\ne inf\nf 0x10\ng 1e3\nh 1_000\n',
    "hex": b'f 0x10\n',
    "under": b'h 1_0\n',
    "trailing_comma": b'a{x="1",} 1\n',
    "spaces": b'  a  { x = "1" , y = "2" }   1  \n',
    "tabs": b'a\t{x="1"}\t1\n',
    "bad_utf8": b'a{x="\xff"} 1\n',
    "bad_escape": b'a{x="\\q"} 1\n',
    "escapes": b'a{x="q\\"u\\\\o\\nte"} 1\n',
    "hist": b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n',
    "hist_noinf": b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 3\nh_count 2\n',
    "hist_untyped": b'h_bucket{le="1"} 1\nh_sum 3\nh_count 2\n',
    "hist_bad_le": b'# TYPE h histogram\nh_bucket{le="x"} 1\n',
    "summary": b'# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 3\ns_count 2\n',
    "summary_plain": b'# TYPE s summary\ns 1\n',
    "counter_total": b'# HELP c_total a\n# TYPE c_total counter\nc_total 1\n',
    "reserved": b'node_textfile_mtime_seconds{file="x"} 1\n',
    "node_conflict": b'# HELP go_goroutines other help\n# TYPE go_goroutines counter\ngo_goroutines{x="1"} 1\n',
    "openmetrics_eof": b'a 1\n# EOF\n',
    "openmetrics_unit": b'# UNIT a seconds\na 1\n',
    "bad_line": b'a 1\nbroken line here\nb 2\n',
    "bad_value": b'a one\n',
    "missing_value": b'a\n',
    "colon": b'a:b:c 1\n',
    "digit": b'1a 1\n',
    "dash": b'a-b 1\n',
    "label_name": b'a{__name__="b"} 1\n',
    "quoted_utf8": b'{"a.b"} 1\n',
    "mixed_labels": b'a{x="1"} 1\na{y="2"} 2\na 3\n',
    "help_escape": b'# HELP a back\\\\slash and\\nnewline\na 1\n',
    "large": b'a 1e308\nb 1e309\nc 123456789012345678901234567890\nd 0.1\ne 1e-320\n',
    "bom": b'\xef\xbb\xbfa 1\n',
    "nul": b'a{x="\x00"} 1\n',
    "type_other_after": b'# TYPE a counter\nb 1\na 2\n',
    "two_help_families": b'# HELP a x\n# HELP b y\na 1\nb 1\n',
    "info": b'# TYPE i info\ni{x="1"} 1\n',
    "gaugehist": b'# TYPE h gaugehistogram\nh_bucket{le="+Inf"} 1\n',
    "type_upper": b'# TYPE a GAUGE\na 1\n',
    "nospace_comment": b'#TYPE a gauge\na 1\n',
    "plus": b'a +1\nb -0\nc .5\nd 5.\n',
    "neg_counter": b'# TYPE c counter\nc -1\n',
}
# Whether the agent shows it where node_exporter does not, or the other way round.
OTHERWISE = {
    "spaces": (True, "blanks before a name and after a value are let pass"),
    "quoted_utf8": (True, "names in quotes are newer than this node_exporter"),
    "type_upper": (False, "types are written in lower case"),
    "nospace_comment": (True, '"#TYPE" is a comment here'),
    "reserved": (True, "the family is the collector's own, and both are shown"),
}
OURS = ("vedette_", "process_", "go_", "promhttp", "node_exporter", "node_scrape_collector", "grpc")


def labels_of(text):
    """The pairs of a series' braces, in order of their names."""
    out, i = [], 0
    while i < len(text):
        name, i = text[i:text.index("=", i)], text.index("=", i) + 2
        begin = i
        while text[i] != '"':
            i += 2 if text[i] == "\\" else 1
        out.append((name, text[begin:i]))
        i += 2
    return sorted(out)


class Textfiles(unittest.TestCase):
    def setUp(self):
        if shutil.which("prometheus-node-exporter") is None:
            self.skipTest("Debian's prometheus-node-exporter is not installed")
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("agent", "agent")
        self.folder = self.stack.path("textfiles")
        os.makedirs(self.folder)
        flags = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={self.folder}"]
        port = s.free_port()
        self.stack.run("node_exporter", ["prometheus-node-exporter", *flags, f"--web.listen-address=127.0.0.1:{port}"])
        self.reference = f"http://127.0.0.1:{port}/metrics"
        s.wait_until("node_exporter answers", lambda: self.shown(self.reference))
        self.stack.agent(*flags)
        # A part, so that it is collected anew.
        self.agent = f"http://127.0.0.1:{self.stack.agent_http}/metrics?collect[]=textfile"

    def shown(self, url):
        """The lines by family, labels in order."""
        out = {}
        for line in self.stack.get_text(url).splitlines():
            name = line.split(" ")[2] if line.startswith("# ") else line.split("{")[0].split(" ")[0]
            if name.startswith(OURS):
                continue
            if not line.startswith("#") and "{" in line:
                labels, value = line[line.index("{") + 1:].rsplit("} ", 1)
                line = (name, tuple(labels_of(labels)), value)
            out.setdefault(name, []).append(line)
        return {name: sorted(lines, key=str) for name, lines in out.items()}

    def test_each_is_shown_or_refused_by_both(self):
        path = os.path.join(self.folder, "t.prom")
        for name, text in CASES.items():
            with self.subTest(name):
                with open(path + ".new", "wb") as f:
                    f.write(text)
                os.utime(path + ".new", (1000, 1000))
                os.rename(path + ".new", path)
                want, got = self.shown(self.reference), self.shown(self.agent)
                if name not in OTHERWISE:
                    self.assertEqual(got, want)
                    continue
                self.assertNotEqual(got, want, "no exception is needed any more")
                error = got["node_textfile_scrape_error"][-1]
                self.assertEqual(error, "node_textfile_scrape_error 0" if OTHERWISE[name][0] else "node_textfile_scrape_error 1")


if __name__ == "__main__":
    xml_unittest.main()
