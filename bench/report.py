# SPDX-License-Identifier: Apache-2.0
"""Tables, ratios and verdicts from the measured rounds.

results maps (section, size, ends, row's label) to a list with one entry for each round: what the
load generator printed, or None where it failed.
"""

from statistics import median

from plan import SECTIONS, TARGETS


def number(x):
    if x >= 10000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def spread(values, form=number):
    """Median (min-max); a single value by itself."""
    if len(values) == 1:
        return form(values[0])
    return f"{form(median(values))} ({form(min(values))}-{form(max(values))})"


def ratio_text(values):
    return spread(values, "{:.2f}".format) if values else ""


def values_of(rounds, metric):
    return [r[metric] for r in rounds if r]


def pairs_of(ours, theirs, metric):
    """The ratio of each round: other work on the machine disturbs both sides of a round."""
    return [(a[metric], b[metric]) for a, b in zip(ours or [], theirs or []) if a and b]


def ratios(ours, theirs, metric):
    return [a / b for a, b in pairs_of(ours, theirs, metric) if b]


def is_cost(metric):
    return metric != "rate"


def section_named(name):
    return next(s for s in SECTIONS if s.name == name)


def ferry_rounds(section, size, ends, results):
    labels = [r.label for r in section.rows if r.peer == "ferry"]
    return results.get((section.name, size, ends, labels[0])) if labels else None


def size_text(size):
    return "" if not size else f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def group_title(section, size, ends):
    parts = [section.title, size_text(size)]
    if section.ends_are:
        parts.append(f"{ends} {section.ends_are if ends > 1 else section.ends_are[:-1]}")
    return ", ".join(p for p in parts if p)


def table(heads, rows):
    """The first column to the left, figures to the right."""
    widths = [max(len(row[i]) for row in [heads] + rows) for i in range(len(heads))]

    def line(row):
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        return "  ".join(cells).rstrip()

    return "\n".join([line(heads), line(["-" * w for w in widths])] + [line(r) for r in rows])


def further_columns(section):
    """Metric and heading of the columns behind the ratio."""
    columns = [("cpu_us", "cpu us")] if section.metric != "kib" else []
    columns += section.columns
    return [("p99_us", "p99 us")] + columns if section.metric == "p50_us" else columns


def row_cells(section, row, ours, rounds):
    name = row.label + (" (limit)" if row.limit else "")
    more = [m for m, _ in further_columns(section)]
    if not any(rounds):
        return [name, "failed"] + [""] * (1 + len(more))
    against = "" if row.peer == "ferry" else ratio_text(ratios(ours, rounds, section.metric))
    return ([name, spread(values_of(rounds, section.metric)), against]
            + [number(median(values_of(rounds, m))) for m in more])


def group_table(section, size, ends, results):
    heads = ["", section.unit, "ferry/this"] + [head for _, head in further_columns(section)]
    ours = ferry_rounds(section, size, ends, results)
    rows = [row_cells(section, row, ours, results[(section.name, size, ends, row.label)])
            for row in section.rows if (section.name, size, ends, row.label) in results]
    return f"{group_title(section, size, ends)}\n" + table(heads, rows)


def best_rival(section, target, results):
    """Label and rounds of the rival's best row, so that each peer is taken at its best settings. The
    section's own metric chooses the best row, so that the processor time belongs to the same row."""
    found = []
    for row in section.rows:
        rounds = results.get((section.name, target.size, target.ends, row.label))
        if row.label.startswith(target.against) and rounds and any(rounds):
            middle = median(values_of(rounds, section.metric))
            found.append((-middle if is_cost(section.metric) else middle, row.label, rounds))
    return max(found, key=lambda f: f[:2])[1:] if found else (None, None)


def verdict(target, results):
    section = section_named(target.section)
    ours = ferry_rounds(section, target.size, target.ends, results)
    label, theirs = best_rival(section, target, results)
    metric = target.metric or section.metric
    if target.alone:
        label, measured = "", values_of(ours or [], metric)
    else:
        measured = ratios(ours, theirs, metric)
    met = None
    if measured:
        ratio = median(measured)
        met = ratio <= target.bound if target.at_most else ratio >= target.bound
    return {"target": target.text, "against": label, "measured": measured, "bound": target.bound,
            "at_most": target.at_most, "met": met}


def verdicts(results):
    measured = {key[0] for key in results}
    return [verdict(t, results) for t in TARGETS if t.section in measured]


def verdict_table(found):
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [[v["target"], v["against"] or "-",
             ratio_text(v["measured"]) or "-",
             words[v["met"]]] for v in found]
    return "Targets\n" + table(["", "the rival's best row", "ferry/rival", ""], rows)


def full_text(results):
    groups = dict.fromkeys(key[:3] for key in results)
    parts = [group_table(section_named(s), size, ends, results) for s, size, ends in groups]
    found = verdicts(results)
    return "\n\n".join(parts + ([verdict_table(found)] if found else []))
