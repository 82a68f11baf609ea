"""The tab Guidance: a slider over pictures that are files."""
