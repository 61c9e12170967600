"""Reading a catalogue: layout, files, configurations (nearest file wins)."""
