# SPDX-License-Identifier: Apache-2.0
"""Test the tables and verdicts that bench/report.py makes from measured rounds."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import cache_report
import report
from plan import PEERS, SECTIONS, TARGETS


def rate(*values):
    return [{"rate": v, "cpu_us": 1.0, "n": 1} if v else None for v in values]


def calls(ours, nats_1024, nats_4096):
    return {("calls", 64, 1, "ferry, 1000 in flight"): ours,
            ("calls", 64, 1, "NATS, 1024 in flight"): nats_1024,
            ("calls", 64, 1, "NATS, 4096 in flight"): nats_4096}


def first_verdict(results):
    return report.verdicts(results)[0]


class Verdicts(unittest.TestCase):
    def test_the_rival_is_taken_at_its_best_setting(self):
        v = first_verdict(calls(rate(1800), rate(300), rate(450)))
        self.assertEqual(v["against"], "NATS, 4096 in flight")
        self.assertEqual((v["measured"], v["met"]), ([4.0], True))

    def test_ratios_are_paired_by_round(self):
        v = first_verdict(calls(rate(100, 400), rate(1, 1), rate(50, 100)))
        self.assertEqual(v["measured"], [2.0, 4.0])

    def test_a_failed_round_has_no_ratio(self):
        v = first_verdict(calls(rate(100, 0, 300), rate(1, 1, 1), rate(50, 50, 0)))
        self.assertEqual(v["measured"], [2.0])

    def test_too_little_is_missed(self):
        self.assertIs(first_verdict(calls(rate(299), rate(50), rate(100)))["met"], False)

    def test_without_ferry_or_rival_nothing_is_claimed(self):
        self.assertIsNone(first_verdict(calls(rate(0), rate(50), rate(100)))["met"])
        self.assertIsNone(first_verdict(calls(rate(100), rate(0), rate(0)))["met"])

    def test_a_latency_is_met_by_being_small(self):
        def latency(p50, cpu):
            return [{"p50_us": p50, "p99_us": 1.0, "cpu_us": cpu, "n": 1}]

        found = report.verdicts({
            ("latency", 64, 1, "ferry"): latency(60.0, 50.0),
            ("latency", 64, 1, "NATS, send as soon as possible"): latency(180.0, 20.0),
            ("latency", 64, 1, "TCP, relayed"): latency(40.0, 50.0)})
        self.assertEqual([v["met"] for v in found], [True, True, False])
        self.assertEqual([v["measured"] for v in found], [[60 / 180], [1.5], [2.5]])

    def test_a_bound_of_ferrys_own_needs_no_rival(self):
        def stream(peak):
            return [{"rate": 100.0, "cpu_us": 1.0, "peak_mib": peak, "n": 1024}]

        results = {("streams", 65536, 1, "ferry"): stream(33.0)}
        found = {v["target"]: v for v in report.verdicts(results)}
        v = found["stream, memory of any process: 32 MiB"]
        self.assertEqual((v["measured"], v["met"]), ([33.0], False))
        self.assertIsNone(found["stream, 64 KiB: 0.8x libzmq direct"]["met"])
        self.assertRegex(report.full_text(results), r"peak MiB\n.*\nferry +100 +1.00 +33.0")

    def test_sections_that_were_not_measured_are_not_judged(self):
        self.assertEqual(report.verdicts({}), [])


class Tables(unittest.TestCase):
    def test_a_table_has_median_spread_and_ratio(self):
        text = report.full_text(calls(rate(100, 200, 300), rate(50, 100, 100), rate(0, 0, 0)))
        self.assertIn("200 (100-300)", text)
        self.assertIn("2.00 (2.00-3.00)", text)
        self.assertRegex(text, r"NATS, 4096 in flight +failed")

    def test_one_round_has_no_spread(self):
        self.assertIn(" 12,345 ", report.full_text(calls(rate(12345), rate(50), rate(50))))


class Plan(unittest.TestCase):
    def test_every_target_names_rows_that_are_measured(self):
        sections = {s.name: s for s in SECTIONS}
        for target in TARGETS:
            section = sections[target.section]
            self.assertIn(target.size, section.sizes)
            self.assertIn(target.ends, section.ends)
            for prefix in target.against:
                self.assertTrue(any(r.label.startswith(prefix) for r in section.rows), prefix)

    def test_every_row_has_a_peer_and_a_label_of_its_own(self):
        for section in SECTIONS:
            labels = [row.label for row in section.rows]
            self.assertEqual(len(labels), len(set(labels)))
            self.assertTrue(all(row.peer in PEERS for row in section.rows))

class Cache(unittest.TestCase):
    def figure(self, measured, **more):
        return dict({"name": "a get", "unit": "ns", "ours": measured, "rival": "", "theirs": 0,
                     "measured": measured, "target": "under 200 ns", "bound": 200, "at_most": True},
                    **more)

    def test_the_median_of_the_rounds_decides(self):
        rounds = [[self.figure(m)] for m in (100, 150, 900)]
        self.assertIs(cache_report.as_json(rounds)[0]["met"], True)
        self.assertIn("150 (100-900) ns", cache_report.full_text(rounds))
        self.assertIn("MISSED", cache_report.full_text([[self.figure(300)]]))

    def test_a_bound_may_be_the_least(self):
        rounds = [[self.figure(m, at_most=False, bound=0.9, rival="hiredis")] for m in (0.8, 0.95, 1)]
        self.assertIs(cache_report.as_json(rounds)[0]["met"], True)

    def test_a_figure_without_a_target_is_neither_met_nor_missed(self):
        self.assertIsNone(cache_report.as_json([[self.figure(1, target="")]])[0]["met"])


if __name__ == "__main__":
    unittest.main()
