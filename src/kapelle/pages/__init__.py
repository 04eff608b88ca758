"""HTML that a browser opens from the disk: what reports and studies have in common. It knows nothing of music, models or figures."""
