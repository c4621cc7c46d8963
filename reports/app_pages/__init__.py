"""The dashboard's pages, one thin file each; drawn when Streamlit runs them."""
