"""Static pages to listen on: files that a browser opens from the disk, with nothing from elsewhere."""
