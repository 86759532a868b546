"""The local dashboard: a Streamlit app that reads the warehouse's views and changes nothing.

`app` is the script that Streamlit runs, the pages draw, `figures` and `charts` are pure functions from frames to Plotly
figures, `state` caches the answers of the warehouse, and `show.sentences` puts the numbers into words. Only modules
that Streamlit runs import Streamlit and Plotly, so the command line stays light.
"""
