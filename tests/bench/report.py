"""The tables of a run: every result next to those of the other systems, and next to its target."""

import statistics

import exports
import fragments
import media
import parts
import servers
import stores
import versions

BUFFERS = (servers.IN_PROCESS, servers.BUFFERED)


class Comparison:
    """One line: merganser's result of a measure, compared with the best of some others, and the target, if any."""

    def __init__(self, measure, against, target=None, other_measure=None):
        self.measure, self.against, self.target = measure, against, target
        self.other_measure = other_measure or measure


class Unit:
    """The format of a measure's results, and whether more is better."""

    def __init__(self, text, more=False):
        self.text, self.more = text, more


UNITS = {
    "lineitem, streamed": Unit("{:.2f} s"),
    "lineitem, Arrow table": Unit("{:.2f} s"),
    "SELECT 1": Unit("{:.2f} ms"),
    "SELECT 1, cursor kept": Unit("{:.2f} ms"),
    "point query": Unit("{:.1f} ms"),
    "8 clients, mix": Unit("{:.0f} queries/s", more=True),
    "64 clients, mix": Unit("{:.0f} queries/s", more=True),
    "ingest of lineitem": Unit("{:.2f} s"),
    versions.AT_HEAD: Unit("{:.0f} ms"),
    versions.AT_VERSION: Unit("{:.0f} ms"),
    versions.POINT_AT_HEAD: Unit("{:.1f} ms"),
    versions.POINT_AT_VERSION: Unit("{:.1f} ms"),
    versions.COPY: Unit("{:.2f} s"),
    versions.ROLLBACK: Unit("{:.3f} s"),
    versions.SCATTERED: Unit("{:.3f} s"),
    versions.YOUNG: Unit("{:.1f} ms"),
    versions.OLD: Unit("{:.1f} ms"),
    versions.YOUNG_AGAIN: Unit("{:.1f} ms"),
    versions.MAINTAINED: Unit("{:.1f} ms"),
    versions.WRITERS: Unit("{:.0f} commits/s", more=True),
    **{fragments.selected(place): Unit("{:.3f} s") for place in fragments.PLACES},
    **{fragments.whole(place): Unit("{:.2f} s") for place in fragments.PLACES},
    **{measure: Unit("{:.1f} s") for measure in media.INGESTS},
    **{measure: Unit("{:.0f} assets/s", more=True) for measure in media.SMALL},
    **{measure: Unit("{:.2f} s") for measure in (*exports.FORMATS, exports.SAMPLES, exports.VERIFIED)},
}
OWN = (servers.MERGANSER,)

COMPARISONS = [
    Comparison("lineitem, streamed", BUFFERS, 1.0),
    Comparison("lineitem, streamed", parts.FLIGHT_SQL_PEERS, 0.9),
    Comparison("lineitem, streamed", (servers.CEILING,)),
    Comparison("lineitem, streamed", (servers.QUACK,)),
    Comparison("lineitem, Arrow table", (servers.QUACK,), 0.3),
    Comparison("lineitem, Arrow table", parts.FLIGHT_SQL_PEERS, 0.9),
    Comparison("lineitem, Arrow table", BUFFERS),
    Comparison("lineitem, Arrow table", (servers.CEILING,)),
    Comparison("SELECT 1", parts.FLIGHT_SQL_PEERS, 0.6),
    Comparison("SELECT 1", (servers.IN_PROCESS,)),
    Comparison("SELECT 1", (servers.QUACK,)),
    Comparison("SELECT 1, cursor kept", parts.FLIGHT_SQL_PEERS, 0.6),
    Comparison("point query", parts.FLIGHT_SQL_PEERS),
    Comparison("point query", (servers.IN_PROCESS,)),
    Comparison("point query", (servers.QUACK,)),
    Comparison("ingest of lineitem", (servers.IN_PROCESS,), 1.2),
    Comparison("64 clients, mix", (servers.MERGANSER,), 0.9, other_measure="8 clients, mix"),
    Comparison("64 clients, mix", parts.FLIGHT_SQL_PEERS),
    Comparison("64 clients, mix", (servers.IN_PROCESS,)),
    Comparison("8 clients, mix", parts.FLIGHT_SQL_PEERS),
    Comparison("8 clients, mix", (servers.IN_PROCESS,)),
    Comparison(versions.AT_VERSION, OWN, 1.1, other_measure=versions.AT_HEAD),
    Comparison(versions.POINT_AT_VERSION, OWN, 1.1, other_measure=versions.POINT_AT_HEAD),
    Comparison(versions.ROLLBACK, OWN, 0.05, other_measure=versions.COPY),
    Comparison(versions.SCATTERED, OWN, 0.05, other_measure=versions.COPY),
    Comparison(versions.OLD, OWN, 1.5, other_measure=versions.YOUNG),
    Comparison(versions.MAINTAINED, OWN, 1.1, other_measure=versions.YOUNG_AGAIN),
    Comparison(versions.WRITERS, (servers.IN_PROCESS,), 5.0),
]
for place in fragments.PLACES:
    one_percent = fragments.selected(place)
    COMPARISONS += [
        Comparison(one_percent, OWN, 0.05, other_measure=fragments.whole(place)),
        Comparison(one_percent, (fragments.LANCE,), 1.0),
        Comparison(one_percent, (fragments.TAKEN,)),
    ]
for measure in media.INGESTS:
    COMPARISONS += [
        Comparison(measure, (media.COPY,), 1.3),
        Comparison(measure, (media.BY_HAND,)),
        Comparison(measure, (media.DATASETS,)),
    ]
for measure in media.SMALL:
    COMPARISONS.append(Comparison(measure, (media.ONE_BY_ONE,), 5.0))
COMPARISONS.append(Comparison(media.small(stores.FOLDER), (media.SYNCED,)))
COMPARISONS += [
    Comparison(exports.PARQUET, (servers.IN_PROCESS,), 1.1),
    Comparison(exports.ARROW, (exports.PYARROW,), 1.2),
    Comparison(exports.SAMPLES, (exports.WEBDATASET,), 0.5),
    Comparison(exports.CSV, (servers.IN_PROCESS,)),
    Comparison(exports.VERIFIED, OWN, 1.0, other_measure=exports.PARQUET),
]
BYTES_READ = 1.02
GROWTH_MEBIBYTES = 512
SLOW_MEBIBYTES = 64
HEAD = ["measure", "merganser", "compared with", "its result", "ratio", "target", "target met"]


class Report:
    """The lines of the table, each a list of strings under `HEAD`; and notes below it on missing results."""

    def __init__(self, run):
        self.lines, self.notes = [], []
        for comparison in COMPARISONS:
            if _asked(run, comparison.measure):
                self.lines.append(_compared(run, comparison, self.notes))
        if _asked(run, versions.WRITERS):
            self.lines.append(_slowest_commits(run, self.notes))
        if _asked(run, parts.crowd_measure(64)):
            self.lines.append(_errors(run, self.notes))
        for place in fragments.PLACES:
            if servers.MERGANSER in run.samples.get(fragments.selected(place), {}):
                self.lines.append(_bytes_read(run, place))
        for measure in (*media.MEMORY, exports.MEMORY):
            if _asked(run, measure):
                self.lines.append(_memory(run, measure, self.notes))
        if _asked(run, parts.SLOW):
            self.lines.append(_slow(run, self.notes))
        self.notes = [f"({number}) {note}" for number, note in enumerate(self.notes, 1)]


def _asked(run, measure):
    return measure in run.samples or any(failed == measure for failed, _ in run.failures)


def median(run, measure, name):
    samples = run.samples.get(measure, {}).get(name)
    return statistics.median(sample["value"] for sample in samples) if samples else None


def _compared(run, comparison, notes):
    unit = UNITS[comparison.measure]
    own = median(run, comparison.measure, servers.MERGANSER)
    figures = {name: median(run, comparison.other_measure, name) for name in comparison.against}
    there = {name: figure for name, figure in figures.items() if figure is not None}
    line = [comparison.measure, _figure(run, comparison.measure, servers.MERGANSER, notes)]
    if not there:
        missing = [_missing(run, comparison.other_measure, name, notes) for name in figures]
        label = " or ".join(figures)
        return [*line, label, "; ".join(dict.fromkeys(missing)), "–", _target(comparison), _verdict(comparison, None)]
    best = (max if unit.more else min)(there, key=there.get)
    label = best if len(there) == 1 else f"{best} (best of {len(there)})"
    for name in figures.keys() - there.keys():
        label += f"; {name}: {_missing(run, comparison.other_measure, name, notes)}"
    if comparison.other_measure != comparison.measure:
        label += f", {comparison.other_measure}"
    ratio = own / there[best] if own is not None else None
    shown = "–" if ratio is None else f"{ratio:.2f}"
    figure = _figure(run, comparison.other_measure, best, notes)
    return [*line, label, figure, shown, _target(comparison), _verdict(comparison, ratio)]


def _figure(run, measure, name, notes):
    """The median, and the range of the rounds."""
    value = median(run, measure, name)
    if value is None:
        return _missing(run, measure, name, notes)
    values = [sample["value"] for sample in run.samples[measure][name]]
    text = UNITS[measure].text
    number, _, word = text.partition(" ")
    if len(values) == 1:
        return text.format(value)
    return f"{number.format(value)} ({number.format(min(values))}–{number.format(max(values))}) {word}"


def _missing(run, measure, name, notes):
    """The text in place of a missing result, with the number of a note on the cause."""
    if name in run.left_out:
        return "left out"
    failure = run.failures.get((measure, name))
    if name not in run.absent and failure is None:
        return "not measured"
    note = f"{name}: {failure or run.absent[name]}"
    if note not in notes:
        notes.append(note)
    word = "failed" if failure else "not available here"
    return f"{word} ({notes.index(note) + 1})"


def _target(comparison):
    if comparison.target is None:
        return ""
    return f"{'≥' if UNITS[comparison.measure].more else '≤'} {comparison.target:g}"


def _verdict(comparison, ratio):
    if comparison.target is None:
        return ""
    if ratio is None:
        return "unknown"
    more = UNITS[comparison.measure].more
    # Rounded to two decimals, as in the table.
    ratio = round(ratio, 2)
    return _reached(ratio >= comparison.target if more else ratio <= comparison.target)


def _reached(yes):
    return "yes" if yes else "no"


def _slowest_commits(run, notes):
    """The duration of the slowest of a hundred commits, in milliseconds, compared with one writer in process."""
    p99 = {}
    for name in (servers.MERGANSER, servers.IN_PROCESS):
        samples = run.samples.get(versions.WRITERS, {}).get(name, [])
        p99[name] = statistics.median(sample["p99"] for sample in samples) * 1000 if samples else None
    own, other = p99.values()
    shown = [_missing(run, versions.WRITERS, name, notes) if it is None else f"{it:.0f} ms" for name, it in p99.items()]
    ratio = "–" if None in (own, other) else f"{own / other:.2f}"
    return [f"{versions.WRITERS}, p99", shown[0], servers.IN_PROCESS, shown[1], ratio, "", ""]


def _errors(run, notes):
    samples = run.samples.get(parts.crowd_measure(64), {}).get(servers.MERGANSER, [])
    if not samples:
        shown = _missing(run, parts.crowd_measure(64), servers.MERGANSER, notes)
        return ["64 clients, errors", shown, "", "", "", "none", "unknown"]
    errors = sum(sample["errors"] for sample in samples)
    texts = sorted({text for sample in samples for text in sample["error_texts"]})
    notes.extend(f"64 clients: {text}" for text in texts[:3])
    return ["64 clients, errors", str(errors), "", "", "", "none", _reached(errors == 0)]


def _bytes_read(run, place):
    """The bytes that were read from the store, compared with those of the selected fragments."""
    worst = max(run.samples[fragments.selected(place)][servers.MERGANSER], key=lambda sample: sample["ratio"])
    shown = [f"{worst[name] / 1e6:.2f} MB" for name in ("bytes_read", "bytes")]
    measure, ratio = f"{fragments.selected(place)}: bytes read", worst["ratio"]
    target = f"≤ {BYTES_READ:g}"
    return [measure, shown[0], "bytes selected", shown[1], f"{ratio:.3f}", target, _reached(ratio <= BYTES_READ)]


def _memory(run, measure, notes):
    """The largest growth of the server's memory in any of the rounds."""
    samples = run.samples.get(measure, {}).get(servers.MERGANSER)
    target = f"≤ {GROWTH_MEBIBYTES} MiB"
    if not samples:
        return [measure, _missing(run, measure, servers.MERGANSER, notes), "", "", "", target, "unknown"]
    growth = max(sample["held"] for sample in samples)
    return [measure, f"+{growth:.0f} MiB", "", "", "", target, _reached(growth <= GROWTH_MEBIBYTES)]


def _slow(run, notes):
    samples = run.samples.get(parts.SLOW, {}).get(servers.MERGANSER)
    what = f"slow reader of 50 GB, {run.settings.slow_seconds:g} s"
    target = f"≤ {SLOW_MEBIBYTES} MiB"
    if not samples:
        return [what, _missing(run, parts.SLOW, servers.MERGANSER, notes), "", "", "", target, "unknown"]
    growth = samples[0]["value"]
    return [what, f"+{growth:.0f} MiB", "", "", "", target, _reached(growth <= SLOW_MEBIBYTES)]


def cpu(run):
    """The CPU seconds of server and client, for the measures that have them."""
    lines = []
    for measure, names in run.samples.items():
        for name, samples in names.items():
            if "server_cpu" in samples[0]:
                server = statistics.median(sample["server_cpu"] for sample in samples)
                client = statistics.median(sample["cpu"] for sample in samples)
                lines.append(f"  {measure}, {name}: server {server:.2f}, client {client:.2f}")
    return ["CPU seconds:", *lines] if lines else []


# === forms ===


def heading(facts):
    rounds = "one round" if facts["rounds"] == 1 else f"medians of {facts['rounds']} rounds (minimum–maximum)"
    machine = f"{facts['cores']} cores, {facts['memory_gib']} GiB"
    packages = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return [
        f"{facts['date']}, TPC-H scale {facts['scale']:g}, {rounds}, {machine}.",
        f"{facts['merganser']}; {packages}.",
    ]


def text(facts, report):
    """The table for a terminal."""
    widths = [max(len(line[place]) for line in [HEAD, *report.lines]) for place in range(len(HEAD))]
    written = heading(facts) + [""]
    previous = None
    for line in [HEAD, *report.lines]:
        shown = line if line[0] != previous else ["", "", *line[2:]]
        previous = line[0]
        written.append("  ".join(cell.ljust(width) for cell, width in zip(shown, widths, strict=True)).rstrip())
    return "\n".join(written + report.notes) + "\n"


def markdown(facts, report):
    """The table for the README."""
    written = ["| " + " | ".join(HEAD) + " |", "|---|---|---|---|---|---|---|"]
    previous = None
    for line in report.lines:
        shown = line if line[0] != previous else ["", "", *line[2:]]
        previous = line[0]
        written.append("| " + " | ".join(cell.replace("|", "\\|") for cell in shown) + " |")
    notes = [f"{note}  " for note in report.notes]
    return "\n".join([*written, "", *notes, *heading(facts), "To repeat the run: `tests/bench/run.sh`."]) + "\n"
