"""The driver for trio: clients and servers under structured concurrency."""
