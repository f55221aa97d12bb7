"""What the case table says about the quality of a prediction that nobody has read."""

from napari_dycon.guidance.quality import ENOUGH, LEAVE_DICE, USUAL_SHARE, Outlook
from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.wording import millilitres

RANGE = f"in {round(10 * USUAL_SHARE)} of 10 cases like the checked ones"


def quality_text(case: CaseRow) -> str:
    """Return a word and a figure, what was reached where that is known, or a dash."""
    if case.reached is not None:
        return f"was {case.reached:.2f}"
    return "–" if case.outlook is None else f"{case.outlook.word} {case.outlook.dice:.2f}"


def quality_lines(case: CaseRow) -> list[str]:
    """Return what a tooltip says: the expected Dice with its range, and what that rests on."""
    if case.reached is not None:
        return [f"the model reached a Dice of {case.reached:.2f} here, before it knew your labels"]
    if case.outlook is None:
        return []
    lines = [_expected_line(case.outlook), _basis(case.outlook)]
    if case.may_leave:
        lines.append("you may leave this case as the model has it")
    return lines


def volume_line(case: CaseRow) -> str:
    """Return the volume with its range, and whether the scan cuts the structure; empty without one."""
    if case.volume_ml is None:
        return ""
    text = f"volume {millilitres(case.volume_ml)}"
    if case.volume_range is not None:
        low, high = case.volume_range
        text += f", {millilitres(low)} to {millilitres(high)} {RANGE}"
    return f"{text}; it touches the edge of the scan, so this is a part of it" if case.cut else text


def leave_tip(count: int) -> str:
    """Return what the filter for cases that may be left says."""
    these = "this case" if count == 1 else f"these {count}"
    return (
        f"You may leave {these}: in cases like the checked ones, 9 of 10 have a Dice of at least "
        f"{LEAVE_DICE:g} in every structure. That holds as long as the cases that you completed are like the "
        "rest; look at some of them by chance. Click to show only these, or all again."
    )


def _expected_line(outlook: Outlook) -> str:
    text = f"a Dice of about {outlook.dice:.2f} is expected"
    if USUAL_SHARE not in outlook.ranges:
        return text
    low, high = outlook.ranges[USUAL_SHARE]
    return f"{text}, {low:.2f} to {high:.2f} {RANGE}"


def _basis(outlook: Outlook) -> str:
    patients = f"{outlook.checked} patients" if outlook.checked != 1 else "1 patient"
    mean = "" if outlook.constant is None else f"; the mean there is {outlook.constant:.2f}"
    if outlook.checked >= ENOUGH:
        return f"it rests on {patients} that you completed and the model had not learned from{mean}"
    return (
        f"{outlook.checked} of {ENOUGH} checked{mean}. Complete predicted cases without accepting, "
        "before you train on, and it will be known how far this can be trusted"
    )
