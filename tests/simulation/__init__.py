"""Programs in a simulated world: bugs to be found, programs that must pass, the kernel against Linux."""
