"""The local dashboard: a Streamlit app that reads the warehouse's views and changes nothing.

`app` is what Streamlit runs, the pages draw, `figures` and `charts` are pure functions from frames to Plotly figures,
`words` says in sentences what the numbers mean, and `data` asks. Streamlit and Plotly are imported by what Streamlit
runs only, so that the command line stays light.
"""
