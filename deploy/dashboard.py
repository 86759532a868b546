"""Serves the dashboard of the container, where every address is the container's own."""

from streamlit.web import cli

from tickercast.dashboard import launch

if __name__ == "__main__":
    cli.main([*launch.words(8501), "--server.address=0.0.0.0"], prog_name="streamlit")
