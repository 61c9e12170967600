"""The picture: a static site of a catalogue and its runs, which needs no server."""
