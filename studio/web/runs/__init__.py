"""The tab Runs: everything in outputs/."""
