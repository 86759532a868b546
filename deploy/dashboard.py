"""Serve the dashboard in its container, on all of the container's addresses.

On Cloud Run, whose names and logins are in front of it, it answers to any host; elsewhere to this machine's own.
"""

import os

from streamlit.web import cli

from tickercast.dashboard import launch

if __name__ == "__main__":
    words = launch.words(8501, hosts=["*"]) if "K_SERVICE" in os.environ else launch.words(8501)
    cli.main([*words, "--server.address=0.0.0.0"], prog_name="streamlit")
