"""The engines behind the ports; vendor errors are translated here, once."""
