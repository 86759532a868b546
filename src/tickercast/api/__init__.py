"""The HTTP API: forecasts, records and odds for other programs, over the same use cases as the command line.

A request passes `door` (host, size, token, quota, cached answer, metrics), then a route of `reads`, `forecasts` or
`health`; whatever goes wrong becomes one of `problems`.
"""
