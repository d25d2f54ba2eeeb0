"""The deck that the project began with: its eight models, as they were and as they should be."""
