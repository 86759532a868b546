"""Serve the dashboard in its container, on all of the container's addresses."""

from streamlit.web import cli

from tickercast.dashboard import launch

if __name__ == "__main__":
    cli.main([*launch.words(8501), "--server.address=0.0.0.0"], prog_name="streamlit")
