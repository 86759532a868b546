"""The quality of forecasts: measures, intervals of measures, promotion and drift."""
