"""The chart: one panel of bars per workload, one bar per peer."""

import os
import tempfile

PANELS = ("tcp1", "tcp8", "tcp1r", "http1", "http32", "conn", "udp", "udp1400")
CACHE = tempfile.TemporaryDirectory(prefix="rk-bench-chart-")  # removed at exit
ENGINE_COLOUR, PEER_COLOUR, LIMIT_COLOUR = "#1b7f5c", "#8fa3ad", "#d9d9d9"
COLUMNS = 2


def load_pyplot():
    """matplotlib without a display and without a cache in the home folder; None without it."""
    os.environ["MPLCONFIGDIR"] = CACHE.name
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    # The same results give the same file: no random ids.
    matplotlib.rcParams.update({"svg.hashsalt": "rk-engine", "font.size": 8})
    from matplotlib import pyplot

    return pyplot


def colour(peer):
    if peer.name == "direct":
        return LIMIT_COLOUR
    return ENGINE_COLOUR if peer.name.startswith("rk-engine") else PEER_COLOUR


def value_text(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def draw_panel(axes, workload, bars):
    names = [peer.name for peer, _ in bars]
    values = [value for _, value in bars]
    drawn = axes.barh(names, values, color=[colour(peer) for peer, _ in bars])
    axes.bar_label(drawn, labels=[value_text(value) for value in values], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(f"{workload.title}, {workload.unit}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def panel_data(results):
    """(workload, [(peer, median)]) of the panels that were measured."""
    for workload in results.workloads():
        rows = [(peer, results.row(workload.name, peer)) for peer in results.peers]
        bars = [(peer, row.median()) for peer, row in rows if row and row.values]
        if workload.name in PANELS and bars:
            yield workload, bars


def draw(results, path):
    """Writes the SVG; False when matplotlib is missing or there is nothing to draw."""
    pyplot = load_pyplot()
    panels = list(panel_data(results))
    if pyplot is None or not panels:
        return False
    lines = (len(panels) + COLUMNS - 1) // COLUMNS
    figure, grid = pyplot.subplots(lines, COLUMNS, figsize=(10, 2.3 * lines), squeeze=False)
    for axes, (workload, bars) in zip(grid.flat, panels):
        draw_panel(axes, workload, bars)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(f"medians of {results.session.rounds} interleaved rounds", x=0.01, ha="left")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return True
