"""What every load generator does, shown with the one that needs no server: plain TCP."""

import json
import subprocess
import sys
import unittest

RAW = sys.argv.pop(1)


def run(*words):
    return subprocess.run([RAW, *words], capture_output=True, text=True, timeout=30)


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
        for option, value in (("--size", "0"), ("--ends", "17"), ("--window", "many"),
                              ("--port", "65536"), ("--seconds", "0")):
            done = run("calls", "direct", option, value)
            self.assertNotEqual(done.returncode, 0, option)
            self.assertEqual(done.stdout, "", option)


if __name__ == "__main__":
    unittest.main()
