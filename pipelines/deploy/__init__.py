"""Files for running ArgusLab: the Dagster instance of one machine, and templates for servers and clusters."""
