"""What happens when things break: connections cut, processes killed, everything busy."""
