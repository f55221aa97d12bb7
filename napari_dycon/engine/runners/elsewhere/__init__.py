"""A training on another machine: through the user's own ssh, or a folder that both machines see.

Whoever asks prepares the bundle, sends what is missing there and follows; whatever happens to the line, the
training goes on. Neither end executes anything that it is sent.
"""
