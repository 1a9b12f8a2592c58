"""ArgusLab: whether LLM endpoints are up, fast, worth their money and still good."""
