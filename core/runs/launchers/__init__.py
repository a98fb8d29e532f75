"""Ways to start a trainer. ``local`` spawns a process of its own on this machine."""
