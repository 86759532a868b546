"""How good forecasts are: measures, intervals of measures, promotion and drift."""
