# SPDX-License-Identifier: Apache-2.0
"""Test the common part of the load generators with plain TCP, the one that needs no server."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

RAW = sys.argv.pop(1)


def run(*words):
    return subprocess.run([RAW, *words], capture_output=True, text=True, timeout=120)


class LoadGenerator(unittest.TestCase):
    def test_calls_report_a_rate_and_the_processor_time(self):
        done = run("calls", "hop", "--size", "1024", "--window", "16", "--seconds", "0.05")
        result = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(result["rate"], 0)
        self.assertGreater(result["n"], 0)
        self.assertIn("cpu_us", result)

    def test_latency_reports_quantiles_in_order(self):
        result = json.loads(run("latency", "direct", "--seconds", "0.05").stdout)
        self.assertGreater(result["p50_us"], 0)
        self.assertGreaterEqual(result["p99_us"], result["p50_us"])

    def test_an_unknown_row_is_refused_and_the_known_ones_are_listed(self):
        done = run("calls", "sideways")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("calls direct", done.stderr)

    def test_numbers_out_of_range_are_refused(self):
        for option, value in (("--size", "0"), ("--ends", "101"), ("--window", "many"),
                              ("--port", "65536"), ("--seconds", "0")):
            done = run("calls", "direct", option, value)
            self.assertNotEqual(done.returncode, 0, option)
            self.assertEqual(done.stdout, "", option)

    def test_a_row_that_loses_a_process_fails_and_leaves_nobody_behind(self):
        row = subprocess.Popen([RAW, "calls", "hop", "--seconds", "20"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        children = self.wait_for_children(row.pid, 2)
        os.kill(children[0], signal.SIGKILL)
        out, err = row.communicate(timeout=120)
        self.assertEqual((row.returncode, out), (1, ""))
        self.assertIn("ended early", err)
        self.wait_until_gone(children[1])

    def wait_for_children(self, pid, n):
        for _ in range(6000):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                children = [int(word) for word in f.read().split()]
            if len(children) == n:
                return children
            time.sleep(0.02)
        self.fail(f"{n} children did not start")

    def wait_until_gone(self, pid):
        for _ in range(6000):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    if f.read().rpartition(")")[2].split()[0] == "Z":
                        return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)
        self.fail(f"process {pid} is still there")


if __name__ == "__main__":
    unittest.main()
