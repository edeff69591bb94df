"""Child processes: spawning, watching for their end, and the transport that stands for one."""
