"""The layers of the viewer: who adds them, how they look, how they are turned and painted on."""
