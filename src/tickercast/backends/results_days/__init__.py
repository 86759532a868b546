"""Sources of results days, behind the port `ports.ResultsSource`."""
