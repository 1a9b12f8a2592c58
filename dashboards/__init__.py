"""Pages and figures of the site. A leaf: pure functions of frames, SQL as text, nothing is queried or written here."""
