"""The driver for trio, by itself: nurseries, cancellation, streams, servers."""
