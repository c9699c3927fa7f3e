"""Floor 0, the words: each module by its own file, and all of them against websockets 17.4."""
