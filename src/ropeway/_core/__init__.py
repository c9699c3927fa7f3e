"""The rooms of the sans-I/O connection: policy lives here, waiting lives in the drivers."""
