"""What is said of labels that join a training."""

from napari_dycon.engine.events import LabelsJoined


def test_slices_are_always_told_and_strokes_once_for_each_case(opened):
    said = []
    opened.session.dialogue.message.connect(lambda level, text: said.append(text))
    training = opened.session.training
    for event in (
        LabelsJoined(1, ("alpha",), 0),
        LabelsJoined(2, ("alpha",), 0),
        LabelsJoined(3, ("beta",), 0),
        LabelsJoined(4, ("alpha",), 2),
        LabelsJoined(5, ("alpha",), -1),
    ):
        training._on_trained(event)
    assert said == [
        "What changed in alpha joined the training.",
        "What changed in beta joined the training.",
        "2 slices joined the training.",
    ]
    training.train("dycon", None)
    training._on_trained(LabelsJoined(1, ("alpha",), 0))
    assert said[-1] == "What changed in alpha joined the training."
    opened.rest()
