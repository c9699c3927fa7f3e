"""What all drivers have around an engine: attributes, deadlines, JSON. No event library in here."""
