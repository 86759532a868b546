"""Brokers: the venues where paper is traded, behind the port `Broker`."""
