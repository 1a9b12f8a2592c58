"""The look of every figure: one palette that reads on white and on ink, and the plotly template ``arguslab`` for both.

Colours follow meaning, never alone: a word or a shape says the same. Hues are told apart by colour-blind readers
(blue against orange, never red against green).
"""

from typing import Any

import plotly.graph_objects as go

SERIES = ("#2f7fc1", "#d0700f", "#7d67c9", "#148a78", "#c9507c", "#7a8417", "#a0693c", "#5b7f95")
"""Categorical, in order of use; each has a contrast of at least 3 : 1 on both backgrounds."""

GOOD = "#2a7fa8"
ACCENT = "#2f7fc1"
MUTED = "#7f8a99"
BACKGROUNDS = {"light": "#ffffff", "dark": "#161b22"}

BLAME = {
    "provider": "#cf4a3c",
    "network": "#7d67c9",
    "us": "#2f7fc1",
    "shared": "#b9811c",
    "catalog": "#148a78",
    "policy": "#7a8417",
    "probe": "#7f8a99",
    "none": GOOD,
}
SEVERITY = {"critical": "#cf4a3c", "major": "#d0700f", "minor": "#7d67c9"}
VERDICT = {"kept": GOOD, "broken": "#cf4a3c", "unproven": MUTED, "insufficient": MUTED}

UPTIME_BANDS = (
    ("blind", "rgba(127,138,153,0.22)"),
    ("not counted", "#7f8a99"),
    ("< 80 %", "#a3262a"),
    ("80-95 %", "#e8833a"),
    ("95-99 %", "#f2cf7c"),
    ("99-100 %", "#8fc3e0"),
    ("100 %", "#2a7fa8"),
)
"""Steps of the uptime calendar, worst to best, after the two that are not uptime at all."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _template(ink: str, soft: str, grid: str, raised: str) -> go.layout.Template:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "zerolinewidth": 1,
        "tickcolor": grid,
        "tickfont": {"color": soft, "size": 11},
        "title": {"font": {"color": soft, "size": 12}, "standoff": 8},
        "automargin": True,
        "ticks": "outside",
        "ticklen": 4,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": ink},
            "colorway": list(SERIES),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "hoverlabel": {
                "bgcolor": raised,
                "bordercolor": grid,
                "font": {"color": ink, "size": 12, "family": FONT},
                "align": "left",
                "namelength": -1,
            },
            "hovermode": "closest",
            "legend": {
                "orientation": "h",
                "traceorder": "normal",
                "x": 0,
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"color": soft, "size": 11},
                "itemsizing": "constant",
            },
            "xaxis": axis,
            "yaxis": axis,
            "bargap": 0.18,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": soft, "activecolor": ink},
            "annotationdefaults": {"font": {"color": soft, "size": 11}},
            "shapedefaults": {"line": {"color": soft}},
        },
    )


def templates() -> dict[str, dict[str, Any]]:
    """Return the plotly template ``arguslab`` for both themes, as JSON objects."""
    return {
        "light": _template("#1c2430", "#566173", "#e3e8ee", "#ffffff").to_plotly_json(),
        "dark": _template("#e3e8ef", "#9aa7b8", "#2a323d", "#1f2630").to_plotly_json(),
    }


def canvas(height: int = 320, **layout: Any) -> go.Figure:
    """Return an empty figure without a theme; the site applies its reader's, `themed` any other place's."""
    return go.Figure(layout={"template": {}, "height": height, **layout})


def themed(figure: go.Figure, theme: str = "light") -> go.Figure:
    """Return a copy in the template ``arguslab``, light or dark, for a notebook or an export."""
    return go.Figure(figure).update_layout(template=templates()[theme])


def faded(colour: str, alpha: float) -> str:
    """Return a ``#rrggbb`` colour as CSS rgba."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
