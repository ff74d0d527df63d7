"""Files and folders: text, digests, the cache and full disks."""
