"""Colours and the style sheet of the dock, taken from napari's current theme."""

from dataclasses import dataclass

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

CURVES_ON_DARK = ("#8ab4f8", "#f6b26b", "#63d4b0", "#e58fc0", "#d6cf6f", "#b7a5f5")
CURVES_ON_LIGHT = ("#2459c9", "#b4560a", "#0b7a5f", "#a3347a", "#6f6a10", "#5b45b8")


def mix(first: str, second: str, share: float) -> str:
    """Return the colour with ``share`` (0 to 1) of ``first`` in ``second``, as ``#rrggbb``."""
    a, b = QColor(first), QColor(second)
    parts = zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)
    return str(QColor(*(round(share * x + (1 - share) * y) for x, y in parts)).name())


@dataclass(frozen=True)
class Theme:
    """Every colour the panels use, as ``#rrggbb``."""

    dark: bool
    background: str
    field: str
    control: str
    hover: str
    line: str
    text: str
    muted: str
    disabled: str
    accent: str
    chosen: str
    on_accent: str
    good: str
    warn: str
    bad: str
    unsure: str
    curves: tuple[str, ...]

    @classmethod
    def of_name(cls, name: str) -> "Theme":
        """Return the colours that go with the napari theme ``name``."""
        source = get_theme(name)
        colour = {key: getattr(source, key).as_hex("long") for key in ("background", "foreground", "primary")}
        dark, text = source.type == "dark", source.text.as_hex("long")
        background, accent = colour["background"], "#5674e0" if dark else "#2f56c6"
        return cls(
            dark=dark,
            background=background,
            field=mix(colour["foreground"], background, 0.75) if dark else mix("#ffffff", background, 0.6),
            control=mix(colour["primary"], background, 0.8 if dark else 0.55),
            hover=colour["primary"],
            line=mix(text, background, 0.12),
            text=text,
            muted=mix(text, background, 0.62 if dark else 0.68),
            disabled=mix(text, background, 0.42),
            accent=accent,
            chosen=mix(accent, background, 0.35 if dark else 0.18),
            on_accent="#ffffff",
            good="#6fcf97" if dark else "#1b7a48",
            warn="#e9c04a" if dark else "#8a5a00",
            bad="#ff8a80" if dark else "#b3261e",
            unsure="#29d4ed" if dark else "#0b7f92",
            curves=CURVES_ON_DARK if dark else CURVES_ON_LIGHT,
        )


def style_sheet(theme: Theme) -> str:
    """Return the Qt style sheet of the dock; panels mark widgets by the property ``role``."""
    values = {key: value for key, value in vars(theme).items() if isinstance(value, str)}
    values["faint"] = mix(theme.control, theme.background, 0.5)
    values["accent_hover"] = mix("#ffffff" if theme.dark else "#000000", theme.accent, 0.14)
    values["accent_faint"] = mix(theme.accent, theme.background, 0.3)
    sheet = _SHEET
    for key, value in values.items():
        sheet = sheet.replace(f"@{key};", f"{value};")
    return sheet


_SHEET = """
DyconDock QWidget { font-size: 9pt; padding: 0px; margin: 0px; }
DyconDock QLabel { background: transparent; padding: 0px; color: @text; }
DyconDock QLabel[role="study"] { font-size: 11pt; font-weight: 600; }
DyconDock QLabel[role="hero"] { font-size: 14pt; font-weight: 600; }
DyconDock QLabel[role="title"] { font-weight: 600; }
DyconDock QLabel[role="muted"] { color: @muted; }
DyconDock QLabel[role="small"], DyconDock MessageLine QLabel { font-size: 8pt; }
DyconDock QLabel[role="good"] { color: @good; }
DyconDock QLabel[role="warn"] { color: @warn; }
DyconDock QLabel[role="bad"] { color: @bad; }
DyconDock QLabel[role="changed"] { font-weight: 600; }
DyconDock QLabel[role="chip"] {
  color: @muted; border: 1px solid @line; border-radius: 8px; padding: 1px 7px; font-size: 8pt;
}
DyconDock QLabel[role="chip-warn"] {
  color: @warn; border: 1px solid @warn; border-radius: 8px; padding: 1px 7px; font-size: 8pt;
}
DyconDock QFrame[role="rule"] { background: @line; border: 0px; }
DyconDock QPushButton {
  background: @control; color: @text; border: 0px; border-radius: 4px; padding: 4px 9px; min-height: 16px;
}
DyconDock QPushButton:hover { background: @hover; }
DyconDock QPushButton:pressed { background: @accent; }
DyconDock QPushButton:focus {
  border: 1px solid @accent; padding: 3px 8px;
}
DyconDock QPushButton:checked { background: @chosen; }
DyconDock QPushButton:disabled {
  background: @faint; color: @disabled; border: 0px;
}
DyconDock QPushButton[role="primary"] { background: @accent; color: @on_accent; font-weight: 600; }
DyconDock QPushButton[role="primary"]:hover { background: @accent_hover; }
DyconDock QPushButton[role="primary"]:focus { border: 1px solid @on_accent; }
DyconDock QPushButton[role="primary"]:disabled { background: @accent_faint; color: @disabled; border: 0px; }
DyconDock QPushButton[role="hero"] { padding: 10px 14px; font-size: 10pt; }
DyconDock QPushButton[role="hero-primary"] {
  padding: 10px 14px; font-size: 10pt; background: @accent; color: @on_accent; font-weight: 600;
}
DyconDock QPushButton[role="hero-primary"]:hover { background: @accent_hover; }
DyconDock QPushButton[role="hero-primary"]:disabled { background: @accent_faint; color: @disabled; }
DyconDock QPushButton[role="flat"] {
  background: transparent; color: @muted; padding: 2px 1px; min-height: 14px;
}
DyconDock QPushButton[role="flat-on"] {
  background: @chosen; color: @text; padding: 2px 5px; min-height: 14px;
}
DyconDock QPushButton[role="fold"], DyconDock QPushButton[role="fold-bad"] {
  background: transparent; font-weight: 600; text-align: left; padding: 4px 2px;
}
DyconDock QPushButton[role="fold-bad"] { color: @bad; }
DyconDock QPushButton[role="fold"]:hover { background: @control; }
DyconDock QPushButton[role="fold-bad"]:hover { background: @control; }
DyconDock QPushButton[role="flat"]:hover { background: @control; color: @text; }
DyconDock QPushButton[role="flat"]:checked { color: @accent; }
DyconDock QPushButton[role="flat"]:focus { border: 1px solid @accent; padding: 1px 0px; }
DyconDock QPushButton[role="flat"]:disabled { background: transparent; color: @disabled; }
DyconDock QPushButton[role="count"] {
  background: transparent; color: @muted; padding: 2px 4px; min-height: 16px; border-radius: 9px;
}
DyconDock QPushButton[role="count"]:hover { background: @control; color: @text; }
DyconDock QPushButton[role="count"]:checked { background: @chosen; color: @text; }
DyconDock QPushButton[role="tool"] {
  background: transparent; padding: 5px 4px; min-width: 16px; min-height: 16px;
}
DyconDock QPushButton[role="tool"]:hover { background: @control; }
DyconDock QPushButton[role="tool"]:checked { background: @chosen; }
DyconDock QPushButton[role="tool"]:focus { border: 1px solid @accent; padding: 4px 3px; }
DyconDock QPushButton[role="icon"]:focus { border: 1px solid @accent; padding: 3px 4px; }
DyconDock QPushButton[role="count"]:focus { border: 1px solid @accent; padding: 1px 3px; }
DyconDock QPushButton[role="narrow"]:focus { border: 1px solid @accent; padding: 4px 0px; }
DyconDock QPushButton[role="recent"]:focus { border: 1px solid @accent; padding: 3px 5px; }
DyconDock QComboBox:focus, DyconDock QAbstractSpinBox:focus, DyconDock QTableView:focus {
  border: 1px solid @accent;
}
DyconDock QPushButton[role="narrow"] {
  background: transparent; padding: 5px 0px; min-width: 12px; max-width: 12px; min-height: 16px;
}
DyconDock QPushButton[role="narrow"]:hover { background: @control; }
DyconDock QPushButton[role="recent"] { background: transparent; padding: 4px 6px; text-align: left; }
DyconDock QPushButton[role="recent"]:hover { background: @control; }
DyconDock QPushButton[role="icon"] { padding: 4px 5px; min-width: 14px; }
DyconDock QPushButton::menu-indicator { image: none; width: 0px; }
DyconDock QLineEdit {
  background: @field; color: @text; border: 1px solid @line; border-radius: 4px;
  padding: 1px 6px; min-height: 18px;
}
DyconDock QLineEdit:focus { border: 1px solid @accent; }
DyconDock QComboBox { background: @control; border-radius: 4px; padding: 3px 6px 3px 9px; min-height: 18px; }
DyconDock QComboBox:hover { background: @hover; }
DyconDock QComboBox QAbstractItemView { background: @control; border: 1px solid @line; outline: 0px; }
DyconDock QComboBox QAbstractItemView::item { min-height: 22px; padding: 0px 6px; }
DyconDock QComboBox QAbstractItemView::item:selected { background: @accent; color: @on_accent; }
DyconDock LengthBox { padding: 3px 0px 3px 6px; }
DyconDock QComboBox QLineEdit { background: transparent; border: 0px; padding: 0px; }
DyconDock QComboBox:disabled { background: @faint; color: @disabled; border: 0px; }
DyconDock QAbstractSpinBox {
  background: @control; border-radius: 4px; min-height: 20px; min-width: 60px; padding: 1px 6px;
}
DyconDock QAbstractSpinBox QLineEdit { background: transparent; border: 0px; padding: 0px; }
DyconDock QAbstractSpinBox:disabled { background: @faint; color: @disabled; }
DyconDock QTableView {
  background: @field; border: 1px solid @line; border-radius: 4px; gridline-color: transparent;
  selection-background-color: @chosen; selection-color: @text;
}
DyconDock QTableView::item:selected { background: @chosen; }
DyconDock SeriesDialog QTableView::item:focus { background: @chosen; border: 0px; }
DyconDock SeriesDialog QTableView::indicator:unchecked { border: 1px solid @muted; border-radius: 2px; }
DyconDock SeriesDialog QTableView::indicator:unchecked:disabled { border: 1px solid @line; }
DyconDock QHeaderView { background: transparent; }
DyconDock QHeaderView::section {
  background: @field; color: @muted; border: 0px; border-bottom: 1px solid @line;
  padding: 2px 5px; font-size: 8pt;
}
DyconDock QListView { background: transparent; border: 0px; }
DyconDock QListView::item:selected { background: transparent; }
DyconDock QScrollBar { background: transparent; }
DyconDock QScrollBar:vertical { max-width: 9px; min-width: 9px; margin: 0px; }
DyconDock QScrollBar:horizontal { max-height: 9px; min-height: 9px; margin: 0px; }
DyconDock QScrollBar::handle { background: @hover; border-radius: 4px; }
DyconDock QScrollBar::add-line, DyconDock QScrollBar::sub-line {
  width: 0px; height: 0px; background: transparent;
}
DyconDock QSlider::groove:horizontal { height: 4px; background: @control; border-radius: 2px; }
DyconDock QSlider::sub-page:horizontal { background: @accent; border-radius: 2px; }
DyconDock QSlider::handle:horizontal { width: 12px; margin: -4px 0px; border-radius: 6px; background: @text; }
DyconDock QSlider:disabled { background: transparent; }
DyconDock QSlider::sub-page:horizontal:disabled { background: @control; }
DyconDock QSlider::handle:horizontal:disabled { background: @disabled; }
"""
